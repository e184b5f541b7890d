"""What `/` says: a JSON object to programs, a small page to people."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, urlencode

import attrs

from supportbench.errors import ProviderError
from supportbench.models import TaskCard
from supportbench.server.pages.rendering import code, code_block, foreign, table, text
from supportbench.server.service import Service
from supportbench.server.task_list import Split, TaskList
from supportbench.settings import Feedback, Mode

_MOST_SHOWN: Final = 25


@attrs.frozen(kw_only=True)
class ServedSplit:
    """A split and its size."""

    name: str
    num_tasks: int


@attrs.frozen(kw_only=True)
class ServedProvider:
    """A provider's splits; where it fails, `problem` says so."""

    name: str
    default: bool
    splits: tuple[ServedSplit, ...]
    problem: str | None


@attrs.frozen(kw_only=True)
class SessionCount:
    """How many sessions are open, and how many may be."""

    active: int
    max: int


@attrs.frozen(kw_only=True)
class Overview:
    """What this server is and serves."""

    name: str
    version: str
    description: str
    mode: Mode
    providers: tuple[ServedProvider, ...]
    rubric: str | None
    feedback: Feedback
    sessions: SessionCount
    links: Mapping[str, str]


@attrs.frozen(kw_only=True)
class Shown:
    """The first tasks, and how many there are."""

    tasks: tuple[TaskCard, ...]
    total: int


def overview(
    service: Service, task_list: TaskList, *, name: str, version: str, description: str, root: str
) -> Overview:
    """Return what the server is and serves now."""
    settings = service.settings
    links = _LINKS if settings.mode == "production" else {**_LINKS, **_PLAYED}
    return Overview(
        name=name,
        version=version,
        description=description,
        mode=settings.mode,
        providers=tuple(_served(task_list, provider, settings.provider) for provider in task_list.providers()),
        rubric=settings.rubric,
        feedback=settings.feedback,
        sessions=SessionCount(active=service.sessions.active, max=settings.max_sessions),
        links={link: f"{root}{path}" for link, path in links.items()},
    )


async def shown_tasks(task_list: TaskList, seen: Overview) -> Shown:
    """Return the first tasks of the providers that do not fail, the default one's first."""
    sources = sorted((source for source in seen.providers if not source.problem), key=lambda source: not source.default)
    parts = [
        Split(provider=source.name, name=split.name, num_tasks=split.num_tasks)
        for source in sources
        for split in source.splits
    ]
    try:
        page = await task_list.page(parts, start=0, limit=_MOST_SHOWN)
    except ProviderError:  # /tasks says it
        return Shown(tasks=(), total=sum(part.num_tasks for part in parts))
    return Shown(tasks=page.tasks, total=page.total)


def front_page(seen: Overview, shown: Shown, *, base_url: str, root: str, asks_token: bool) -> str:
    """Return the content of the page, as HTML; `base_url` is where the reader has found it."""
    return "\n".join(
        (
            "<h1>How well does an agent triage support tickets?</h1>",
            f'<p class="lead">{text(seen.description)}</p>',
            _facts(seen, shown),
            "<h2>Connect</h2>",
            *_connecting(seen, shown, base_url, asks_token=asks_token),
            "<h2>Tasks</h2>",
            *_problems(seen),
            _tasks(shown, root),
            '<h2>More</h2><ul class="more">',
            *(f'<li><a href="{text(root + path)}">{text(path)}</a> {told}</li>' for path, told in _MORE.items()),
            "</ul>",
        )
    )


def connecting_in_python(base_url: str, *, asks_token: bool) -> tuple[str, ...]:
    """Return the lines of Python that begin an episode here."""
    token = ', token="…"' if asks_token else ""
    return (
        "from supportbench.client import SupportQueueClient",
        f"with SupportQueueClient({json.dumps(base_url)}{token}).sync() as env:",
        "    print(env.reset().observation.ticket)",
    )


def _served(task_list: TaskList, provider: str, default: str) -> ServedProvider:
    try:
        parts = task_list.parts(provider)
    except ProviderError as error:
        return ServedProvider(name=provider, default=provider == default, splits=(), problem=str(error))
    splits = tuple(ServedSplit(name=part.name, num_tasks=part.num_tasks) for part in parts)
    return ServedProvider(name=provider, default=provider == default, splits=splits, problem=None)


def _facts(seen: Overview, shown: Shown) -> str:
    facts = {
        "Tasks": f"{shown.total:,}",
        "Providers": ", ".join(map(foreign, (source.name for source in seen.providers))) or "none",
        "Graded by": foreign(seen.rubric) if seen.rubric else "each task’s own rubric",
        "Sessions": f"{seen.sessions.active:,} of {seen.sessions.max:,}",
        "Mode": text(seen.mode),
    }
    told = "".join(f"<div><dt>{name}</dt><dd>{fact}</dd></div>" for name, fact in facts.items())
    return f'<dl class="facts">{told}</dl>'


def _connecting(seen: Overview, shown: Shown, base_url: str, *, asks_token: bool) -> list[str]:
    header = ['-H "Authorization: Bearer $TOKEN"'] if asks_token else []
    said = [
        "<h3>From Python</h3>",
        code_block("Python", connecting_in_python(base_url, asks_token=asks_token)),
        f"<p>OpenEnv’s own clients connect to the same address, {code(base_url)}.</p>",
    ]
    if seen.mode == "simulation":
        body = json.dumps({"task_id": shown.tasks[0].task_id} if shown.tasks else {}, ensure_ascii=False)
        said += [
            "<h3>From a shell</h3>",
            code_block(
                "Shell",
                [
                    " ".join(["curl", *header, shlex.quote(f"{base_url}/reset"), "-d", shlex.quote(body)]),
                    " ".join(["curl", *header, shlex.quote(f"{base_url}/state")]),
                ],
            ),
            "<p>The answer’s <code>X-Session-ID</code> header names the session; each request may send it.</p>",
        ]
    return said


def _problems(seen: Overview) -> list[str]:
    return [f'<p class="problem">{text(source.problem)}</p>' for source in seen.providers if source.problem]


def _tasks(shown: Shown, root: str) -> str:
    rows = [
        (
            f'<a href="{text(root + _path_of(card))}">{foreign(card.title)}</a><small>{foreign(card.task_id)}</small>',
            foreign(card.provider),
            foreign(card.split),
            foreign(card.difficulty),
            str(card.total_tickets),
        )
        for card in shown.tasks
    ]
    if not rows:
        return "<p>There are none.</p>" if not shown.total else "<p>They cannot be shown.</p>"
    more = shown.total - len(rows)
    rest = f'<p>And {more:,} more: <a href="{text(root)}/tasks">/tasks</a> lists them.</p>' if more else ""
    header = ("task", "provider", "split", "difficulty", "tickets")
    return table("What can be played", header, rows, numbers=("tickets",)) + rest


def _path_of(card: TaskCard) -> str:
    return f"/tasks/{quote(card.task_id, safe='')}?{urlencode({'provider': card.provider})}"


_LINKS: Final = {
    "documentation": "/docs",
    "openapi": "/openapi.json",
    "health": "/health",
    "metadata": "/metadata",
    "schema": "/schema",
    "tasks": "/tasks",
    "environments": "/list_environments",
    "plugins": "/plugins",
    "rubrics": "/rubrics",
    "metrics": "/metrics",
    "mcp": "/mcp",
    "websocket": "/ws",
}
_PLAYED: Final = {"reset": "/reset", "step": "/step", "state": "/state"}
_MORE: Final = {
    "/docs": "describes every route",
    "/openapi.json": "is the same for programs",
    "/schema": "has the shapes of actions, observations and states",
    "/rubrics": "says what counts how much",
    "/metrics": "has figures for Prometheus",
}
