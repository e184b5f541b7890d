"""Texts with characters that a reader does not see, or takes for others."""

from __future__ import annotations

from supportbench import honest_answer
from supportbench_gallery.policy import Scene, Texts
from supportbench_gallery.wording import wording

_ZERO_WIDTH = "\u200b"
_BLANK_LETTER = "\u3164"  # Hangul's filler: a letter that shows as nothing
_TAGS = 0xE0000  # the tag characters stand at this distance from ASCII, and show as nothing
_BOLD = 0x1D41A - ord("a")  # mathematical bold small letters
_LOOKALIKES = str.maketrans("aceiopsxyABCEHIKMOPTX", "асеіорѕхуАВСЕНІКМОРТХ")


def zero_width(scene: Scene) -> Texts:
    """Return the ticket with a character of no width within each word, so that it is no copy of itself."""
    told = " ".join(word[:1] + _ZERO_WIDTH + word[1:] for word in scene.ticket.body.split())
    return told, told


def blank_letters(scene: Scene) -> Texts:
    """Return the ticket with a blank letter between any two words, so that no two of its neighbours stay together."""
    told = f" {_BLANK_LETTER} ".join(scene.ticket.body.split())
    return told, told


def tag_characters(scene: Scene) -> Texts:
    """Return sentences that say nothing, followed by the honest texts in characters that show as nothing."""
    if scene.known is None:
        return "", ""
    answer, visible = honest_answer(*scene.known), " ".join(wording().fillers)
    return visible + _as_tags(answer.summary), visible + _as_tags(answer.response)


def lookalikes(scene: Scene) -> Texts:
    """Return the ticket with Cyrillic letters in every second word, so that no two words of it stay together."""
    words = [word.translate(_LOOKALIKES) if place % 2 else word for place, word in enumerate(scene.ticket.body.split())]
    told = " ".join(words)
    return told, told


def styled_letters(scene: Scene) -> Texts:
    """Return the ticket in bold mathematical letters, which count as plain ones once they are normalised."""
    told = "".join(chr(ord(char) + _BOLD) if "a" <= char <= "z" else char for char in scene.ticket.body)
    return told, told


def _as_tags(text: str) -> str:
    return "".join(chr(_TAGS + ord(char)) for char in text if char.isascii() and char.isprintable())
