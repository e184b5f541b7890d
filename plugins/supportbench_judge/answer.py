"""From the judge's words to verdicts, or to what is wrong with them: nothing is guessed and nothing mended."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import attrs

from supportbench import AnswerForm, UnusableAnswerError
from supportbench_judge.options import Criterion

_FENCED: Final = re.compile(r"```(?:json)?\s*\n(.*)\n\s*```", re.DOTALL)
_LONGEST_REASON: Final = 400
_MOST_FAULTS: Final = 10


@attrs.frozen
class Given:
    """A verdict as it was given, and the judge's reason for it."""

    reason: str
    verdict: str


Verdicts = Mapping[str, Mapping[str, Given]]
"""By text and criterion."""


def answer_form(criteria: Mapping[str, tuple[Criterion, ...]]) -> AnswerForm:
    """Return the form of an answer: a closed schema in which the reason comes before the verdict."""
    return AnswerForm(
        name="judgement",
        noun="judgement",
        private=True,  # a reason may say what the answer key holds
        schema=_closed({text: _closed({c.name: _of(c) for c in of_text}) for text, of_text in criteria.items()}),
    )


def read_verdicts(text: str, criteria: Mapping[str, tuple[Criterion, ...]]) -> Verdicts:
    """Return the verdicts that the answer consists of.

    The whole answer is one JSON object, as it is or in one Markdown fence; a `<think>` block may come before. An answer
    that merely contains one is none: the object may be a quotation of what was judged.

    Raises:
        UnusableAnswerError: it is anything else, or a criterion is missing, unknown, given twice, or without a reason.
    """
    try:
        answer = json.loads(_bare(text), object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        raise UnusableAnswerError(("it is not one JSON object and nothing else",)) from None
    faults = list(_faults(answer, criteria))
    if faults:
        rest = len(faults) - _MOST_FAULTS
        raise UnusableAnswerError((*faults[:_MOST_FAULTS], *([f"and {rest} more faults"] if rest > 0 else [])))
    return {
        name: {
            criterion.name: Given(
                reason=" ".join(answer[name][criterion.name]["reason"].split())[:_LONGEST_REASON],
                verdict=answer[name][criterion.name]["verdict"],
            )
            for criterion in of_text
        }
        for name, of_text in criteria.items()
    }


class _Pairs(dict[str, Any]):
    """A JSON object that remembers which of its keys stand in it more than once."""

    def __init__(self, pairs: Iterable[tuple[str, Any]]) -> None:
        pairs = list(pairs)
        super().__init__(pairs)
        names = [name for name, _ in pairs]
        self.repeated = sorted({name for name in names if names.count(name) > 1}) if len(names) > len(self) else []


def _faults(answer: object, criteria: Mapping[str, tuple[Criterion, ...]]) -> Iterator[str]:
    yield from _wrong_keys("the answer", answer, tuple(criteria))
    for text, of_text in criteria.items():
        judged = answer.get(text) if isinstance(answer, _Pairs) else None
        if judged is None:
            continue
        yield from _wrong_keys(f'"{text}"', judged, tuple(criterion.name for criterion in of_text))
        for criterion in of_text:
            given = judged.get(criterion.name) if isinstance(judged, _Pairs) else None
            if given is not None:
                yield from _faults_of(f'"{text}" / "{criterion.name}"', given, criterion)


def _faults_of(where: str, given: object, criterion: Criterion) -> Iterator[str]:
    yield from _wrong_keys(where, given, ("reason", "verdict"))
    if not isinstance(given, _Pairs):
        return
    reason, verdict = given.get("reason", ""), given.get("verdict", "")
    if "reason" in given and not (isinstance(reason, str) and reason.strip()):
        yield f"{where} has no reason"
    if "verdict" in given and verdict not in criterion.scale:
        yield f"{where} has a verdict that there is not; choose one of {', '.join(map(json.dumps, criterion.scale))}"


def _wrong_keys(where: str, value: object, wanted: tuple[str, ...]) -> Iterator[str]:
    if not isinstance(value, _Pairs):
        yield f"{where} is no JSON object"
        return
    for name in wanted:
        if name in value.repeated:
            yield f'{where} has "{name}" more than once'
        elif value.get(name) is None:
            yield f'{where} lacks "{name}"'
    if not set(value) <= set(wanted):
        yield f"{where} has keys too many; it has these alone: {', '.join(map(json.dumps, wanted))}"


def _bare(text: str) -> str:
    stripped = text.strip()
    if stripped.startswith("<think>"):
        stripped = stripped.partition("</think>")[2].strip()
    fenced = _FENCED.fullmatch(stripped)
    return fenced[1] if fenced else stripped


def _of(criterion: Criterion) -> dict[str, Any]:
    return _closed({"reason": {"type": "string"}, "verdict": {"type": "string", "enum": list(criterion.scale)}})


def _closed(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }
