"""An ASGI application that does what it is told, served as ours is: `python -m tests.server.apps`.

Settings come from `SUPPORTBENCH_*`. Over HTTP `POST /sleep/1` and over WebSocket `sleep 1` answer after a second;
`GET /facts` tells how many WebSockets are open and how the others ended.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

import anyio.to_thread

from supportbench.errors import SupportbenchError
from supportbench.server.listening import listen, url_of
from supportbench.server.logs import configure_logging
from supportbench.server.process import Receive, Scope, Send, Served, serve
from supportbench.server.workers import serve_with_workers
from supportbench.settings import ServerSettings

logger = logging.getLogger("tests.server.apps")
PIECE = "x" * 65_536


class Obedient:
    """The application."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._fails_at = environ.get("APP_FAILS_AT", "")
        self._idle: dict[asyncio.Task[Any], Send] = {}
        self._ends: list[int] = []
        self._open = 0
        self._at_work = 0
        self._draining = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)
        else:
            await self._converse(receive, send)

    async def drain(self, timeout_s: float) -> None:
        """Close idle sockets, let the others do so after their answer."""
        self._draining = True
        for send in self._idle.values():
            await send({"type": "websocket.close", "code": 1012})
        async with asyncio.timeout(timeout_s):
            while self._at_work:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        if self._fails_at == "start":
            raise SupportbenchError("The store is not there. Start it.")
        if self._fails_at == "start unforeseen":
            raise ZeroDivisionError("one by none")
        await send({"type": "lifespan.startup.complete"})
        await receive()
        if self._fails_at == "end":
            raise ZeroDivisionError("one by none")
        await send({"type": "lifespan.shutdown.complete"})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        size, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self._ends.append(0)
                return
            size, more = size + len(message["body"]), message["more_body"]
        path = scope["path"].strip("/")
        body = str(size)
        if path == "facts":
            body = json.dumps({"open": self._open, "ends": self._ends, "pid": os.getpid()})
        elif path == "large":
            body = PIECE * 1000
        elif path == "piece":
            body = PIECE[:20_000]
        elif path:
            body = await self._do(*path.split("/"))
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body.encode()})

    async def _converse(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        self._open += 1
        task = asyncio.current_task()
        assert task is not None
        try:
            while True:
                self._idle[task] = send
                message = await receive()
                del self._idle[task]
                if message["type"] == "websocket.disconnect":
                    self._ends.append(message["code"])
                    return
                self._at_work += 1
                try:
                    await self._work(message["text"].split(), send)
                finally:
                    self._at_work -= 1
                if self._draining:
                    await send({"type": "websocket.close", "code": 1012})
                    return
        except OSError:  # uvicorn's word for a client that is gone
            self._ends.append(0)
        finally:
            self._idle.pop(task, None)
            self._open -= 1

    async def _work(self, order: list[str], send: Send) -> None:
        if order[0] == "flood":
            while True:
                await send({"type": "websocket.send", "text": PIECE})
        await send({"type": "websocket.send", "text": await self._do(*order)})

    async def _do(self, verb: str, value: str = "") -> str:
        deeds: Mapping[str, Callable[[], Awaitable[object]]] = {
            "sleep": lambda: asyncio.sleep(float(value)),
            "block": lambda: _block(float(value)),
            "thread": lambda: anyio.to_thread.run_sync(time.sleep, float(value)),
            "stay": lambda: _stay(float(value)),
            "log": lambda: _log(value),
        }
        await deeds[verb]()
        return f"{verb} {value}"


async def _block(seconds: float) -> None:
    time.sleep(seconds)  # noqa: ASYNC251 - on purpose


async def _stay(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            await asyncio.sleep(0.1)
        except asyncio.CancelledError:
            logger.info("I stay")


async def _log(value: str) -> None:
    logger.info("%s", value, extra={"session_id": "s-1"})


def make(environ: Mapping[str, str]) -> Served:
    """Return the application as it is served."""
    app = Obedient(environ)
    return Served(app=app, drain=app.drain)


def main() -> None:
    """Serve until a signal comes."""
    settings = ServerSettings.from_environ(os.environ)
    configure_logging(settings.log_level, settings.log_format, secrets=settings.tokens)
    sockets = listen(settings.host, settings.port, shared=settings.workers > 1)
    run = serve if settings.workers == 1 else serve_with_workers
    made: Any = make(os.environ) if settings.workers == 1 else partial(make, dict(os.environ))
    try:
        code = run(made, settings, sockets, on_started=lambda: logger.info("%s", url_of(sockets, settings.host)))
    except SupportbenchError as error:
        print(f"Error: {error}", file=sys.stderr)  # noqa: T201
        code = 2
    finally:
        for listener in sockets:
            listener.close()
    sys.exit(code)


if __name__ == "__main__":
    main()
