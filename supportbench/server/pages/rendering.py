"""Pages as a browser gets them: one file that needs nothing else, no script, and nothing from another host.

Text is escaped where it is put in: whatever comes from a pack or a request passes `text`.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from functools import cache
from html import escape
from importlib.resources import files
from string import Template
from typing import Final
from urllib.parse import quote

from litestar import Response

_LINKS: Final = (("API", "/docs"), ("Tasks", "/tasks"), ("Rubrics", "/rubrics"), ("Plugins", "/plugins"))


def text(value: object) -> str:
    """Return the value as text that is safe in an element and in a quoted attribute."""
    return escape(str(value))


def code(value: object) -> str:
    """Return an element with the value as code."""
    return f"<code>{text(value)}</code>"


def foreign(value: object) -> str:
    """Return an element with text from a pack, whose direction of writing does not reach what stands around it."""
    return f"<bdi>{text(value)}</bdi>"


def code_block(told: str, values: Sequence[str]) -> str:
    """Return a block of code that can be scrolled by keyboard; `told` says what it is to who cannot see it."""
    lines = "\n".join(map(text, values))
    return f'<pre tabindex="0" role="region" aria-label="{text(told)}"><code>{lines}</code></pre>'


def table(caption: str, header: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[str] = ()) -> str:
    """Return a table whose rows are HTML already, the first cell of each its heading."""
    kinds = [' class="number"' if name in numbers else "" for name in header]
    head = "".join(f'<th scope="col"{kind}>{text(name)}</th>' for name, kind in zip(header, kinds, strict=True))
    body = []
    for first, *others in rows:
        cells = "".join(f"<td{kind}>{cell}</td>" for cell, kind in zip(others, kinds[1:], strict=True))
        body.append(f'<tr><th scope="row"{kinds[0]}>{first}</th>{cells}</tr>')
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{text(caption)}"><table><caption>{text(caption)}'
        f"</caption><thead><tr>{head}</tr></thead><tbody>\n{chr(10).join(body)}\n</tbody></table></div>"
    )


def page(*, title: str, version: str, content: str, root: str, framed_by: Iterable[str] = ()) -> Response[bytes]:
    """Return the answer with a page of this content (HTML), below `root`, the path that the application is mounted at.

    It may be shown in frames of the origins in `framed_by` alone.
    """
    style = _file("style.css")
    links = "\n".join(f'<a href="{text(root)}{path}">{name}</a>' for name, path in _LINKS)
    written = Template(_file("page.html")).substitute(
        title=text(title),
        version=text(version),
        icon=f"data:image/svg+xml,{quote(_file('icon.svg').strip())}",
        style=style,
        links=links,
        root=text(root),
        content=content,
    )
    policy = (
        "default-src 'none'",
        f"style-src 'sha256-{_digest(style)}'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        f"frame-ancestors {' '.join(framed_by) or chr(39) + 'none' + chr(39)}",
    )
    headers = {
        "Content-Security-Policy": "; ".join(policy),
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-cache",
        "Vary": "Accept",
    }
    return Response(written.encode(), media_type="text/html", headers=headers)


@cache
def _file(name: str) -> str:
    return (files("supportbench.server.pages") / name).read_text(encoding="utf-8")


@cache
def _digest(style: str) -> str:
    return base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
