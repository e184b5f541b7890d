"""What the judge is told: what to look at, what an expert expects, and the texts inside a fence.

The texts of the prompt are in `prompts/`. The material stands between two lines with a marker drawn anew for each call,
which nobody who wrote a text could know; neither the prompt's fingerprint nor the key of a kept answer contains it.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from string import Template
from typing import Any, Final
from unicodedata import category

import attrs

from supportbench import Messages, Submission, fingerprint, readable, unstructure
from supportbench_judge.options import Criterion

TEXTS: Final = ("summary", "response")
_PROMPTS: Final = ("system", "material", "repair")
_UNSEEN: Final = ("Cf", "Cn", "Co")
_JOINERS: Final = "\u200c\u200d"  # which some scripts and emoji are written with


@attrs.frozen(kw_only=True)
class Question:
    """All that a judge is asked of one ticket: the material, what is expected, and the criteria of each text."""

    material: Mapping[str, Any]
    reference: Mapping[str, Any]
    criteria: Mapping[str, tuple[Criterion, ...]]

    @classmethod
    def of(cls, submission: Submission, criteria: Mapping[str, tuple[Criterion, ...]]) -> Question:
        """Return what is asked of the submission's texts that have criteria.

        Disguised words and characters that nobody sees are left out of them: a model would read those.
        """
        key, action = submission.case.answer_key, submission.action
        asked = [text for text in TEXTS if text in criteria]
        expected = {"summary": key.summary_concepts, "response": key.response_concepts}
        return cls(
            material={
                "ticket": unstructure(submission.case.ticket),
                "texts": {text: _visible(readable(getattr(action, text))) for text in asked},
            },
            reference={text: [list(concept.phrases) for concept in expected[text]] for text in asked},
            criteria={text: criteria[text] for text in asked},
        )

    def messages(self) -> Messages:
        """Return the system message and the material's, with a marker that was never used before."""
        marker = secrets.token_hex(16)
        system = _template("system").substitute(
            criteria="\n\n".join(
                _described(text, criterion) for text, criteria in self.criteria.items() for criterion in criteria
            ),
            reference="\n\n".join(_expected(text, points) for text, points in self.reference.items()),
            shape=_json(
                {
                    text: {criterion.name: {"reason": "…", "verdict": "…"} for criterion in criteria}
                    for text, criteria in self.criteria.items()
                }
            ),
            marker=marker,
        )
        material = _template("material").substitute(marker=marker, material=_json(self.material))
        return ({"role": "system", "content": system}, {"role": "user", "content": material})


def repair_text() -> str:
    """Return what the judge is told of an answer that cannot be used, with `$faults` for what is wrong with it."""
    return _template("repair").template


@cache
def prompt_fingerprint() -> str:
    """Return a string that changes with the prompt's texts."""
    return fingerprint({name: _template(name).template for name in _PROMPTS})


@cache
def _template(name: str) -> Template:
    return Template((files(__package__) / "prompts" / f"{name}.md").read_text(encoding="utf-8").strip())


def _visible(text: str) -> str:
    """Return the text without characters that have no look: tags, private ones, supplementary variation selectors."""
    return "".join(
        char
        for char in text
        if char in _JOINERS or (category(char) not in _UNSEEN and not "\U000e0100" <= char <= "\U000e01ef")
    )


def _described(text: str, criterion: Criterion) -> str:
    return f'"{text}" / "{criterion.name}": {criterion.question}\nVerdicts, the worst first: {_listed(criterion.scale)}'


def _expected(text: str, points: Iterable[Iterable[str]]) -> str:
    listed = "\n".join(f"- {' or '.join(_json(phrase) for phrase in phrases)}" for phrases in points)
    return f'In the "{text}":\n{listed or "- what the ticket itself makes matter"}'


def _listed(values: Iterable[str]) -> str:
    return ", ".join(map(_json, values))


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2 if isinstance(value, Mapping) else None)
