"""The words of `phrases.toml`."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import attrs
from attrs import field

from supportbench import decode_toml


def _one_line(text: str) -> str:
    return " ".join(text.split())


@attrs.frozen(kw_only=True)
class Wording:
    """What the policies say when they say something of their own; the file says what each is for."""

    vocabulary: str = field(converter=_one_line)
    template_summary: str = field(converter=_one_line)
    template_reply: str = field(converter=_one_line)
    summary_opening: str
    summary_frames: tuple[str, ...]
    reply_opening: str
    reply_frames: tuple[str, ...]
    fillers: tuple[str, ...]
    glue: tuple[str, ...]
    judge_summary: str = field(converter=_one_line)
    judge_reply: str
    unsafe_sentence: str


@cache
def wording() -> Wording:
    """Return the words."""
    return decode_toml((files(__package__) / "phrases.toml").read_text(encoding="utf-8"), Wording)
