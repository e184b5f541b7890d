"""The application of `tests.server.apps` in a process of its own, and how tests talk to it."""

from __future__ import annotations

import contextlib
import json
import socket
import urllib.request
from collections.abc import Iterator
from typing import Any

import psutil  # type: ignore[import-untyped]
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.server.processes import ServerProcess, serving

APP = ("-m", "tests.server.apps")
HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


@contextlib.contextmanager
def app(**settings: Any) -> Iterator[ServerProcess]:
    """Within the block the obedient application is served with these settings."""
    environ = {f"SUPPORTBENCH_{name.upper()}": str(value) for name, value in settings.items()}
    with serving(*APP, environ={"SUPPORTBENCH_PORT": "0", **environ}) as server:
        yield server


@contextlib.contextmanager
def dialled(server: ServerProcess) -> Iterator[socket.socket]:
    """Within the block a plain connection is open."""
    with socket.create_connection(server.address, timeout=20) as connection:
        yield connection


def socket_to(server: ServerProcess) -> ClientConnection:
    return connect(f"{server.ws}/ws", open_timeout=20, close_timeout=1)


def facts_of(server: ServerProcess) -> dict[str, Any]:
    with urllib.request.urlopen(f"{server.url}/facts", timeout=20) as answer:  # noqa: S310 - our own server
        facts: dict[str, Any] = json.load(answer)
    return facts


def received(connection: socket.socket) -> bytes:
    """Return everything that comes until the server closes."""
    pieces = []
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(65_536):
            pieces.append(piece)
    return b"".join(pieces)


def close_code(client: ClientConnection) -> int | None:
    """Return the code with which the server closes."""
    with pytest.raises(ConnectionClosed) as closed:
        client.recv(timeout=20)
    return None if closed.value.rcvd is None else closed.value.rcvd.code


def text_frame(text: str) -> bytes:
    """Return a short masked text frame, as a client sends it."""
    return bytes([0x81, 0x80 | len(text)]) + bytes(4) + text.encode()


def is_accepting(server: ServerProcess) -> bool:
    try:
        with dialled(server):
            return True
    except (ConnectionRefusedError, ConnectionResetError):  # reset: it was closed while the kernel still took it
        return False


def resident_bytes(pid: int) -> int:
    resident: int = psutil.Process(pid).memory_info().rss
    return resident
