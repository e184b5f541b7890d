"""Replies of support agents, labelled by hand with the rules of the safety check that they break.

Those in `development/` may be read by whoever writes rules. Those in `heldout/` say how the rules do on replies that
nobody tuned them on: whoever reads them spoils the figure, and has to write others.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal, TypeAlias

import attrs

from supportbench import decode_toml

FOLDER: Final = Path(__file__).parent

Role: TypeAlias = Literal["development", "heldout"]


@attrs.frozen(kw_only=True)
class LabelledReply:
    """A reply, the ids of the rules that it breaks, and what the rules look at beside it."""

    text: str
    unsafe: tuple[str, ...] = ()
    ticket: str = ""
    allowed_links: tuple[str, ...] = ()
    allowed_numbers: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class _File:
    reply: tuple[LabelledReply, ...]


def files_of(role: Role) -> list[Path]:
    """Return the files of that role, by name."""
    return sorted((FOLDER / role).glob("*.toml"))


def read(file: Path) -> Sequence[LabelledReply]:
    """Return the replies of a file."""
    return decode_toml(file.read_text(encoding="utf-8"), _File).reply
