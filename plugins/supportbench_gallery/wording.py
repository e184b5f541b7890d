"""The words of `phrases.toml`."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import attrs

from supportbench import decode_toml


@attrs.frozen(kw_only=True)
class Wording:
    """What the policies say when they say something of their own; the file says what each is for."""

    vocabulary: str
    template_summary: str
    template_reply: str
    summary_opening: str
    summary_frames: tuple[str, ...]
    reply_opening: str
    reply_frames: tuple[str, ...]
    fillers: tuple[str, ...]
    glue: tuple[str, ...]
    judge_summary: str
    judge_reply: str
    unsafe_sentence: str


@cache
def wording() -> Wording:
    """Return the words, each paragraph on one line."""
    text = (files(__package__) / "phrases.toml").read_text(encoding="utf-8")
    read = decode_toml(text, Wording)
    words = attrs.asdict(read)
    return Wording(**{name: " ".join(text.split()) if isinstance(text, str) else text for name, text in words.items()})
