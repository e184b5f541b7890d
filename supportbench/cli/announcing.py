"""What `supportbench serve` says when it has started, and what it warns of."""

from __future__ import annotations

import logging
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.metadata import version
from typing import Any, Final
from urllib.parse import urlsplit

import click

from supportbench.choosing import TaskChooser
from supportbench.cli.printing import printable
from supportbench.errors import ProviderError, boundary
from supportbench.registry import Registry
from supportbench.server.listening import is_loopback, url_of
from supportbench.server.logs import ANNOUNCEMENTS, is_json
from supportbench.settings import ServerSettings

logger: Final = logging.getLogger(ANNOUNCEMENTS)


def warn(settings: ServerSettings, sockets: Sequence[socket.socket], room: int) -> None:
    """Warn of settings that are allowed and seldom meant; `room` is how many connections the system allows for."""
    if not settings.tokens and not is_loopback(sockets):
        logger.warning(
            "Everybody who reaches %s may use this server: set SUPPORTBENCH_TOKEN to a secret, or --host 127.0.0.1.",
            settings.host,
        )
    if room < settings.max_sessions:
        logger.warning(
            "The system lets a process have some %d connections, fewer than the %d of --max-sessions: raise its limit "
            "of open files (ulimit -n, LimitNOFILE in systemd), or lower --max-sessions.",
            room,
            settings.max_sessions,
        )
    if settings.workers > 1 and settings.store == "memory":
        logger.warning(
            "Each of the %d workers keeps HTTP sessions of its own, and the next request may reach another worker: "
            "--store redis://… shares them. WebSocket sessions are not concerned.",
            settings.workers,
        )


def announce(settings: ServerSettings, registry: Registry, sockets: Sequence[socket.socket]) -> None:
    """Tell on stderr where the server is and what it serves; in JSON, as one line of it."""
    facts = facts_of(settings, registry, sockets)
    if is_json(settings.log_format):
        logger.info("Serving on %s", facts["url"], extra=facts)
        return
    with suppress(OSError):  # nobody may be reading, which is no reason not to serve
        click.echo("\n".join(_told(facts)), err=True)


def facts_of(settings: ServerSettings, registry: Registry, sockets: Sequence[socket.socket]) -> dict[str, Any]:
    """Return what is told at start-up: by name, as JSON."""
    return {
        "version": version("supportbench"),
        "url": url_of(sockets, settings.host),
        "addresses": [f"{address[0]} port {address[1]}" for address in (bound.getsockname() for bound in sockets)],
        "provider": settings.provider,
        "tasks": _tasks(settings, registry),
        "rubric": settings.rubric or "the tasks' own",
        "feedback": settings.feedback,
        "max_sessions": settings.max_sessions,
        "session_timeout_s": settings.session_timeout_s,
        "store": _without_credentials(settings.store),
        "record": settings.record or "off",
        "token_count": len(settings.tokens),
        "mode": settings.mode,
        "workers": settings.workers,
    }


def _tasks(settings: ServerSettings, registry: Registry) -> dict[str, dict[str, int]]:
    """Return how many tasks each split of each provider has, the one that is meant by default first."""
    chooser = TaskChooser(registry, settings.provider)
    names = sorted(registry.providers, key=lambda name: name != settings.provider)
    counts: dict[str, dict[str, int]] = {}
    for name in names:
        with boundary(ProviderError, f"task provider {name!r}"):
            splits = list(registry.providers[name].splits())
        counts[name] = {split: chooser.num_tasks(name, split) for split in splits}
    return counts


def _told(facts: Mapping[str, Any]) -> list[str]:
    tasks = " · ".join(
        f"{provider}: {', '.join(f'{split} {count}' for split, count in splits.items())}"
        for provider, splits in facts["tasks"].items()
    )
    each = " in each worker" if facts["workers"] > 1 else ""
    rows = {
        "addresses": ", ".join(facts["addresses"]),
        "tasks": tasks,
        "rubric": facts["rubric"],
        "feedback": facts["feedback"],
        "sessions": f"{facts['max_sessions']} at most{each}; idle ones end after {facts['session_timeout_s']:g} s",
        "store": facts["store"],
        "record": facts["record"],
        "tokens": str(facts["token_count"] or "none: whoever reaches the server may use it"),
        "mode": facts["mode"],
        "workers": str(facts["workers"]),
    }
    return [
        f"supportbench {facts['version']} serves on {facts['url']} (Ctrl-C ends it)",
        *(printable(f"  {name:<10}{told}") for name, told in rows.items()),
    ]


def _without_credentials(store: str) -> str:
    parts = urlsplit(store)
    return store if "@" not in parts.netloc else store.replace(parts.netloc, f"…@{parts.netloc.rpartition('@')[2]}")
