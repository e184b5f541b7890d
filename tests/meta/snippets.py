"""The pages of the documentation, and their snippets.

A page's snippets are found by the parser that MyST uses. Files that the page shows (`{code-block}` and
`{literalinclude}` with a `:caption:`) are its snippets too, under their name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import attrs
from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT: Final = Path(__file__).parents[2]
DOCS: Final = ROOT / "docs"
README: Final = ROOT / "README.md"
PAGES: Final = sorted(
    path for path in (README, *DOCS.rglob("*.md")) if not {"_build", "changelog.d"} & set(path.relative_to(ROOT).parts)
)

_NESTING: Final = ("admonition", "important", "note", "seealso", "tip", "warning")
_WITHOUT_SNIPPETS: Final = ("command-help", "eval-rst", "toctree")
_OPTION: Final = re.compile(r":([\w-]+):\s*(.*)")


@attrs.frozen(kw_only=True)
class Snippet:
    """A fenced text: its language, the name of the type or of the file that it stands for, and its first line."""

    language: str
    text: str
    line: int
    kind: str = ""
    file_name: str = ""


@attrs.frozen(kw_only=True)
class Command:
    """A command of a `console` snippet and the output that is shown under it, empty where none is."""

    text: str
    shown: str


def snippets_of(page: Path) -> list[Snippet]:
    """Return the snippets of a page, in order; raises ValueError for a fence that nobody would check."""
    return list(_snippets(page.read_text(encoding="utf-8"), page, 0))


def commands_of(console: str) -> list[Command]:
    """Return the commands of a `console` snippet (lines behind `$ `, further ones behind `> `) and what they print."""
    commands: list[Command] = []
    for line in console.splitlines():
        if line.startswith("$ "):
            commands.append(Command(text=line[2:], shown=""))
        elif line.startswith("> ") and commands and not commands[-1].shown:
            commands[-1] = attrs.evolve(commands[-1], text=f"{commands[-1].text}\n{line[2:]}")
        elif commands:
            commands[-1] = attrs.evolve(commands[-1], shown=f"{commands[-1].shown}{line}\n")
        else:
            raise ValueError(f"a console snippet must begin with a command, this one begins with {line!r}")
    return commands


def script_of(sh: str) -> list[Command]:
    """Return an `sh` snippet as one command; a `…` after an equals sign is what its reader fills in."""
    return [Command(text=sh.replace("=…", "=filled-in"), shown="")]


def looks_like(printed: str, shown: str) -> bool:
    """Return whether the output is the one shown; a `…` stands for anything in its line, alone for any lines.

    Blank lines and blanks at the end of a line make no difference.
    """
    pattern = "".join(
        r"(?:.*\n)*?" if line == "…" else re.escape(line).replace("…", ".*") + r"\n" for line in _inked(shown)
    )
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in _inked(printed))) is not None


def _inked(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines() if line.strip()]


def _snippets(text: str, page: Path, offset: int) -> Iterator[Snippet]:
    for token in MarkdownIt().parse(text):
        if token.type == "code_block":
            raise ValueError(f"{page}: indented code is not checked by anything; fence it: {token.content[:40]!r}")
        if token.type == "fence":
            line = offset + (token.map or [0])[0] + 1
            if token.info.startswith("{"):
                yield from _of_directive(token, page, line)
            else:
                language, _, kind = token.info.strip().partition(" ")
                yield Snippet(language=language, text=token.content, line=line, kind=kind.strip())


def _of_directive(token: Token, page: Path, line: int) -> Iterator[Snippet]:
    name, _, argument = token.info.strip().removeprefix("{").partition("}")
    body = token.content.splitlines(keepends=True)
    options: dict[str, str] = {}
    while body and (option := _OPTION.match(body[0])):
        options[option[1]] = option[2].strip()
        body.pop(0)
    text = "".join(body)
    if name in _NESTING:
        yield from _snippets(text, page, line)
    elif name == "code-block":
        yield Snippet(
            language=argument.strip(), text=text.lstrip("\n"), line=line, file_name=options.get("caption", "")
        )
    elif name == "literalinclude":
        if "caption" in options:
            whole = (page.parent / argument.strip()).read_text(encoding="utf-8")
            yield Snippet(language="file", text=whole, line=line, file_name=options["caption"])
    elif name not in _WITHOUT_SNIPPETS:
        raise ValueError(f"{page}, line {line}: nobody checks what is in {{{name}}}")
