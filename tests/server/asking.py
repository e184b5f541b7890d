"""The gate by itself, so that a caller can come from anywhere."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from supportbench.server.gate import Gate
from supportbench.settings import ServerSettings

STRANGER = "203.0.113.7"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@attrs.frozen(kw_only=True)
class Answer:
    """What the gate answered; `passed` if it let the request through."""

    status: int
    headers: Mapping[bytes, bytes]
    body: bytes
    passed: bool

    @property
    def detail(self) -> str:
        """What the caller is told."""
        told: str = json.loads(self.body)["detail"]
        return told


class Inside:
    """The application behind the gate: remembers who came, and answers 200 when it may."""

    def __init__(self) -> None:
        self.callers: list[Any] = []
        self.open = asyncio.Event()
        self.open.set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.callers.append(scope["state"]["caller"])
        await self.open.wait()
        kind = "http.response" if scope["type"] == "http" else "websocket.http.response"
        await send({"type": f"{kind}.start", "status": 200, "headers": []})
        await send({"type": f"{kind}.body", "body": b""})


async def ask(
    gate: Gate,
    *,
    kind: str = "http",
    path: str = "/state",
    method: str = "GET",
    client: str | None = "127.0.0.1",
    server: str | None = "127.0.0.1",
    headers: Sequence[tuple[str, str]] = (),
    extensions: Mapping[str, Any] = {"websocket.http.response": {}},
) -> Answer:
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "websocket.connect" if kind == "websocket" else "http.request"}

    scope = {
        "type": kind,
        "path": path,
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers],
        "client": client and (client, 50_000),
        "server": server and (server, 8000),
        "extensions": extensions,
        **({"method": method} if kind == "http" else {}),
    }
    await gate(scope, receive, send)
    if sent[0]["type"] == "websocket.close":
        return Answer(status=sent[0]["code"], headers={}, body=b"", passed=False)
    assert [message["type"].rpartition(".")[2] for message in sent] == ["start", "body"]
    found = dict(sent[0]["headers"])
    passed = sent[0]["status"] == 200
    if not passed:
        assert found[b"content-length"] == str(len(sent[1]["body"])).encode()
    return Answer(status=sent[0]["status"], headers=found, body=sent[1]["body"], passed=passed)


def a_gate(**settings: Any) -> tuple[Gate, Inside]:
    inside = Inside()
    return Gate(inside, ServerSettings(**settings)), inside
