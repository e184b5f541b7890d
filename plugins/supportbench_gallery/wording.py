"""The words of `phrases.toml`."""

from __future__ import annotations

from functools import cache, cached_property
from importlib.resources import files

import attrs
from attrs import field

from supportbench import decode_toml, fold


def _one_line(text: str) -> str:
    return " ".join(text.split())


@attrs.frozen(kw_only=True, slots=False)
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
    function_words: str = field(converter=_one_line)
    extract_summary_frames: tuple[str, ...]
    extract_reply_frames: tuple[str, ...]
    judge_summary: str = field(converter=_one_line)
    judge_reply: str
    unsafe_sentence: str

    @cached_property
    def trade(self) -> frozenset[str]:
        """The vocabulary's words, folded one by one as `fold` returns each."""
        return frozenset(map(fold, self.vocabulary.split()))

    @cached_property
    def small_words(self) -> frozenset[str]:
        """The function words, each as it is written."""
        return frozenset(self.function_words.split())


@cache
def wording() -> Wording:
    """Return the words."""
    return decode_toml((files(__package__) / "phrases.toml").read_text(encoding="utf-8"), Wording)
