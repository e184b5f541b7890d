"""The real application in a process of its own, which tells what it holds: `python -m tests.server.observed`.

Settings come from `SUPPORTBENCH_*`. `GET /facts` and `/blocks` are answered beside the application. Task `quick` is
graded at once, `doze` when the action's `metadata.wait_s` has passed, `hold` likewise by a grader that holds its thread
meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import psutil  # type: ignore[import-untyped]

from supportbench import ComponentScore, Registry, Rubric, RubricComponent, Submission
from supportbench.server.app import ServerApp, create_app
from supportbench.server.listening import listen, url_of
from supportbench.server.logs import configure_logging
from supportbench.server.process import Receive, Scope, Send, Served, serve
from supportbench.settings import ServerSettings
from tests.offering import a_task, registry_of
from tests.server.processes import ServerProcess, serving
from tests.shop import TOLD, provider, told_task

TICKETS = 20


class Dozes:
    """A component that takes its time and leaves it to others."""

    name = "dozes"

    async def score(self, submission: Submission) -> ComponentScore:
        await asyncio.sleep(submission.action.metadata["wait_s"])
        return ComponentScore(score=1.0)


class Holds:
    """A component that holds its thread."""

    name = "holds"
    blocking = True

    async def score(self, submission: Submission) -> ComponentScore:
        time.sleep(submission.action.metadata["wait_s"])  # noqa: ASYNC251 - on purpose
        return ComponentScore(score=1.0)


class Scores:
    """A component that answers at once."""

    name = "told"

    async def score(self, submission: Submission) -> ComponentScore:
        return ComponentScore(score=1.0)


def a_registry() -> Registry:
    """Return the three tasks and what grades them."""
    rubrics = [Rubric(name=name, components=[RubricComponent(use=name, weight=1.0)]) for name in ("dozes", "holds")]
    tasks = [
        told_task("quick", TICKETS),
        a_task("doze", TICKETS, rubric="dozes"),
        a_task("hold", TICKETS, rubric="holds"),
    ]
    return registry_of(
        components=[Scores(), Dozes(), Holds()], rubrics=[TOLD, *rubrics], providers=[provider("triage", test=tasks)]
    )


class Observed:
    """The application, and what it holds."""

    def __init__(self, app: ServerApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        tell = {"/facts": self._facts, "/blocks": _blocks}.get(scope.get("path", ""))
        if scope["type"] != "http" or tell is None:
            await self._app(scope, receive, send)
            return
        body = json.dumps(tell()).encode()
        headers = [(b"content-length", str(len(body)).encode()), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _facts(self) -> dict[str, int]:
        gc.collect()
        return {
            "sessions": self._app.service.sessions.active,
            "sockets": len(self._app.service.sockets),
            "tasks": len(asyncio.all_tasks()),
            "files": psutil.Process().num_fds(),
            "threads": threading.active_count(),
        }


def _blocks() -> int:
    gc.collect()
    return sys.getallocatedblocks()


def facts_of(server: ServerProcess) -> dict[str, int]:
    """Return what the server holds."""
    facts: dict[str, int] = _told(server, "/facts")
    return facts


def blocks_of(server: ServerProcess) -> int:
    """Return how many pieces of memory Python has handed out to the server: each small object is one."""
    blocks: int = _told(server, "/blocks")
    return blocks


def _told(server: ServerProcess, path: str) -> Any:
    with urllib.request.urlopen(f"{server.url}{path}", timeout=30) as answer:  # noqa: S310 - our own server
        return json.load(answer)


@contextlib.contextmanager
def observed(**settings: Any) -> Iterator[ServerProcess]:
    """Within the block the application is served with these settings."""
    environ = {f"SUPPORTBENCH_{name.upper()}": str(value) for name, value in settings.items()}
    with serving("-m", "tests.server.observed", environ={"SUPPORTBENCH_PORT": "0", **environ}) as server:
        yield server


def main() -> None:
    """Serve until a signal comes."""
    settings = ServerSettings.from_environ(os.environ)
    configure_logging(settings.log_level, settings.log_format)
    sockets = listen(settings.host, settings.port)
    app = create_app(settings, a_registry())
    served = Served(app=Observed(app), drain=app.service.drain)
    serve(served, settings, sockets, on_started=lambda: print(url_of(sockets, settings.host), flush=True))  # noqa: T201


if __name__ == "__main__":
    main()
