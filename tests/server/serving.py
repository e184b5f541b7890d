"""A real server for a test: uvicorn in a thread of this process, on a free port of loopback."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import attrs
import httpx
import uvicorn
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from supportbench import Registry, load_registry
from supportbench.server.app import ServerApp, create_app
from supportbench.settings import ServerSettings


@attrs.frozen(kw_only=True)
class Served:
    """A running server: where it is, and the application inside."""

    url: str
    app: ServerApp

    @property
    def ws(self) -> str:
        """The base URL for WebSockets."""
        return self.url.replace("http", "ws", 1)


@contextlib.contextmanager
def serving(registry: Registry | None = None, **settings: Any) -> Iterator[Served]:
    """Within the block a server with these settings is up."""
    wanted = ServerSettings(**{"port": 0, **settings})
    app = create_app(wanted, registry or load_registry({}).check())
    listener = socket.create_server(("127.0.0.1", wanted.port), backlog=2048)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        ws_max_size=wanted.max_frame,
        ws_ping_interval=wanted.ping_interval_s,
        ws_ping_timeout=wanted.ping_interval_s,
        timeout_graceful_shutdown=5,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        until = time.monotonic() + 20
        while not server.started:
            if not thread.is_alive() or time.monotonic() > until:
                raise RuntimeError("the server did not start")
            time.sleep(0.005)
        yield Served(url=f"http://127.0.0.1:{listener.getsockname()[1]}", app=app)
    finally:
        server.should_exit = True
        thread.join(20)
        listener.close()
        assert not thread.is_alive(), "the server did not end"


def got(served: Served, path: str, status: int = 200, **options: Any) -> Any:
    """Return the JSON that the path answers with this status."""
    answer = httpx.get(f"{served.url}{path}", **options)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    return answer.json()


async def first_frame(served: Served, path: str = "/ws", **options: Any) -> dict[str, Any]:
    """Return what a WebSocket is answered to a look at the state, or at once."""
    async with connect(f"{served.ws}{path}", **options) as opened:
        with contextlib.suppress(ConnectionClosed):  # what was said before is still to be read
            await opened.send('{"type":"state"}')
        frame: dict[str, Any] = json.loads(await opened.recv())
        return frame
