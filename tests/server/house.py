"""The sessions of one worker without a server around them, and what tests of sessions do to both."""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
import threading
from base64 import b64encode
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import attrs
import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from supportbench import (
    ComponentScore,
    Episode,
    Registry,
    Rubric,
    RubricComponent,
    Submission,
    SupportQueueEnvironment,
    unstructure,
)
from supportbench.graders import Graders
from supportbench.protocol import ResetRequest
from supportbench.server.refusals import RefusedError
from supportbench.server.sessions import Sessions
from supportbench.settings import ServerSettings
from tests.offering import a_task, registry_of
from tests.server.serving import Served
from tests.shop import a_shop, provider, told

STEP = {"action": unstructure(told(0.5))}


class Clock:
    """Time that passes when the test says so."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@attrs.define
class House:
    """The sessions of one worker, without a server around them; `published` has the episodes that were finished."""

    registry: Registry
    settings: ServerSettings
    clock: Clock = attrs.field(factory=Clock)
    published: list[Episode] = attrs.field(factory=list)
    rubric: Rubric | None = None
    sessions: Sessions = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        graders = Graders(self.registry, self.rubric)
        self.sessions = Sessions(
            self.settings,
            new_environment=lambda: SupportQueueEnvironment(self.registry, graders=graders),
            publish=self.published.append,
            takes_notes=True,
            clock=self.clock,
        )

    async def begun(self, owner: str = "", **request: Any) -> str:
        """Return a session in which an episode has begun."""
        session_id = await self.sessions.create(owner)
        await self.sessions.reset(session_id, owner, ResetRequest(**request), by_id=True)
        return session_id

    async def step(self, session_id: str, owner: str = "", **changes: Any) -> Any:
        """Step, and return the turn."""
        return await self.sessions.step(session_id, owner, told(0.5, **changes), None, by_id=True)


def a_house(registry: Registry | None = None, **settings: Any) -> House:
    return House(registry or a_shop(), ServerSettings(**{"session_timeout_s": 10.0, **settings}))


async def refused(work: Awaitable[Any]) -> str:
    """Return why the request is refused: its code and status."""
    with pytest.raises(RefusedError) as error:
        await work
    return f"{error.value.refusal.code} {error.value.refusal.status}"


async def asked(websocket: ClientConnection, message: str = '{"type":"state"}') -> dict[str, Any]:
    """Return what the message is answered, or what was said before the server hung up."""
    with suppress(ConnectionClosed):
        await websocket.send(message)
    return await heard(websocket)


async def heard(websocket: ClientConnection) -> dict[str, Any]:
    frame: dict[str, Any] = json.loads(await websocket.recv())
    return frame


def active(served: Served) -> int:
    return served.app.service.sessions.active


class Gated:
    """A component that waits until the test opens the gate, in whatever thread the test lives."""

    name = "gated"

    def __init__(self) -> None:
        self.open = threading.Event()
        self.waiting = 0

    async def score(self, submission: Submission) -> ComponentScore:
        self.waiting += 1
        try:
            while not self.open.is_set():  # noqa: ASYNC110 - the event is another thread's
                await asyncio.sleep(0.005)
        finally:
            self.waiting -= 1
        return ComponentScore(score=0.5)


def gated_registry(gated: Gated, tickets: int = 2) -> Registry:
    rubric = Rubric(name="gated", components=[RubricComponent(use="gated", weight=1.0)])
    task = a_task("wait", tickets, rubric="gated")
    return registry_of(components=[gated], rubrics=[rubric], providers=[provider("triage", test=[task])])


async def eventually(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not reached():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)


def half_open(served: Served) -> socket.socket:
    """Return a connection that upgraded to a WebSocket and answers nothing from then on."""
    peer = socket.create_connection(("127.0.0.1", int(served.url.rpartition(":")[2])), timeout=30)
    key = b64encode(secrets.token_bytes(16)).decode()
    peer.sendall(
        f"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    assert peer.recv(1024).startswith(b"HTTP/1.1 101 ")
    return peer
