"""Clients of the Model Context Protocol that may say anything, over each of the three ways that the server has."""

from __future__ import annotations

import contextlib
import itertools
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, Final

import httpx
from websockets.sync.client import ClientConnection, connect

from tests.server.serving import Served

PATIENCE_S: Final = 30.0


class Caller(ABC):
    """A client by one way; subclasses say how a message goes out and its answer comes in."""

    def __init__(self) -> None:
        self._ids = itertools.count(1)

    @abstractmethod
    def ask(self, message: Any) -> Any:
        """Return the answer to a message."""

    @abstractmethod
    def tell(self, message: Any) -> None:
        """Send a message that nobody may answer, and see that nobody does."""

    def request(self, method: Any, params: Any = None) -> dict[str, Any]:
        """Return the answer to a request, whose id is as it was sent."""
        message = {"jsonrpc": "2.0", "id": next(self._ids), "method": method}
        reply: dict[str, Any] = self.ask(message if params is None else {**message, "params": params})
        assert (reply["jsonrpc"], reply["id"]) == ("2.0", message["id"])
        assert ("result" in reply) != ("error" in reply)
        return reply

    def result(self, method: str, params: Any = None) -> dict[str, Any]:
        """Return the result of a request that succeeds."""
        reply = self.request(method, params)
        assert "error" not in reply, reply
        result: dict[str, Any] = reply["result"]
        return result

    def error(self, method: Any, params: Any = None) -> dict[str, Any]:
        """Return the error of a request that is refused."""
        return error_in(self.request(method, params))

    def call(self, tool: str, arguments: Mapping[str, Any] | None = None, **params: Any) -> dict[str, Any]:
        """Return the result of a tool, whose two sets of names say the same."""
        result = self.result("tools/call", {"name": tool, "arguments": arguments or {}, **params})
        assert result["isError"] is result["is_error"]
        assert result.get("structuredContent") == result["structured_content"]
        (content,) = result["content"]
        assert content["type"] == "text"
        assert content["text"]
        return result

    def done(self, tool: str, arguments: Mapping[str, Any] | None = None, **params: Any) -> dict[str, Any]:
        """Return the structured content of a tool that does what it is asked."""
        result = self.call(tool, arguments, **params)
        assert result["isError"] is False, text_of(result)
        assert result["data"] == result["structuredContent"]
        structured: dict[str, Any] = result["structuredContent"]
        return structured

    def failed(self, tool: str, arguments: Mapping[str, Any] | None = None, **params: Any) -> str:
        """Return what a tool says that does not do what it is asked."""
        result = self.call(tool, arguments, **params)
        assert result["isError"] is True, text_of(result)
        assert "structuredContent" not in result
        assert result["data"]["error"]["message"] == text_of(result)
        return text_of(result)


class HttpCaller(Caller):
    """By `POST /mcp`."""

    def __init__(self, served: Served, **headers: str) -> None:
        super().__init__()
        self._url = f"{served.url}/mcp"
        self.client = httpx.Client(headers=headers, timeout=PATIENCE_S)

    def post(self, content: Any, **headers: str) -> httpx.Response:
        """Return the answer to these bytes, or to the JSON of anything else."""
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        return self.client.post(self._url, headers=headers, content=body)

    def ask(self, message: Any) -> Any:
        """Return the answer to a message."""
        answer = self.post(message)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/json"
        return answer.json()

    def tell(self, message: Any) -> None:
        """Send a message that nobody answers."""
        answer = self.post(message)
        assert (answer.status_code, answer.content) == (202, b"")


class SocketCaller(Caller):
    """By the WebSocket `/mcp`."""

    def __init__(self, connection: ClientConnection) -> None:
        super().__init__()
        self.connection = connection

    def send(self, message: Any) -> None:
        """Send a frame: bytes as they are, anything else as JSON."""
        self.connection.send(message if isinstance(message, bytes) else json.dumps(message))

    def hear(self) -> Any:
        """Return what the next frame says."""
        frame = self.connection.recv(timeout=PATIENCE_S)
        assert isinstance(frame, str)
        return json.loads(frame)

    def ask(self, message: Any) -> Any:
        """Return the answer to a message."""
        self.send(message)
        return self.hear()

    def tell(self, message: Any) -> None:
        """Send a message that nobody answers: the next answer is that to another message."""
        self.send(message)
        assert self.request("ping")["result"] == {}


class EnvelopeCaller(SocketCaller):
    """By `mcp` messages of `/ws`."""

    def send(self, message: Any) -> None:
        """Send a message in OpenEnv's envelope."""
        super().send({"type": "mcp", "data": message})

    def hear(self) -> Any:
        """Return what stands in the next envelope."""
        frame = super().hear()
        assert frame["type"] == "mcp", frame
        return frame["data"]


@contextlib.contextmanager
def by_http(served: Served, **headers: str) -> Iterator[HttpCaller]:
    """Within the block a client calls by HTTP, in a session of its own."""
    caller = HttpCaller(served, **headers)
    with caller.client:
        begun = caller.post({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": HELLO})
        caller.client.headers["Mcp-Session-Id"] = begun.headers["Mcp-Session-Id"]
        yield caller


@contextlib.contextmanager
def by_socket(served: Served, path: str = "/mcp", **options: Any) -> Iterator[SocketCaller]:
    """Within the block a client is connected to `/mcp`."""
    with connect(f"{served.ws}{path}", max_size=None, **options) as connection:
        yield SocketCaller(connection)


@contextlib.contextmanager
def by_envelope(served: Served, query: str = "", **options: Any) -> Iterator[EnvelopeCaller]:
    """Within the block a client is connected to `/ws`."""
    with connect(f"{served.ws}/ws{query}", max_size=None, **options) as connection:
        yield EnvelopeCaller(connection)


HELLO: Final = {
    "protocolVersion": "2025-06-18",
    "capabilities": {},
    "clientInfo": {"name": "a test", "version": "1"},
}
WAYS: Final[Mapping[str, Callable[[Served], AbstractContextManager[Caller]]]] = {
    "http": by_http,
    "socket": by_socket,
    "envelope": by_envelope,
}


def error_in(reply: dict[str, Any]) -> dict[str, Any]:
    """Return the error of an answer, which is a short one and has all that an error has."""
    error: dict[str, Any] = reply["error"]
    assert set(error) == {"code", "message", "data"}
    assert error["message"]
    assert len(json.dumps(error)) < 2000
    assert "Traceback" not in error["message"]
    return error


def text_of(result: Mapping[str, Any]) -> str:
    """Return what a tool says."""
    text: str = result["content"][0]["text"]
    return text
