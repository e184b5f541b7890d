"""An OpenAI-compatible endpoint with bad manners: it is slow, throttles, hangs, resets connections, tells half.

    with RoughEndpoint(by_turns(answering(0.05), throttled(), reset(), truncated())) as endpoint:
        …  # talk to endpoint.url; endpoint.requests counts them

A `Manner` decides about each request what becomes of it; `endpoint.manner` may change meanwhile. In a process of its
own, always polite (`polite_endpoint`):

    python -m tests.stubs.rough_endpoint --delay 0.05
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Final, TypeAlias

import attrs

GOOD: Final[Mapping[str, Any]] = {
    "priority": "P2",
    "queue": "billing",
    "disposition": "respond",
    "summary": "The customer was charged twice.",
    "response": "Thank you for telling us. We are looking into it.",
    "confidence": 0.7,
}


@attrs.frozen(kw_only=True)
class Asked:
    """A request: the how-manieth it is, from 0, how many are under way with it, and the bytes of its body."""

    number: int
    under_way: int
    data: bytes

    @property
    def body(self) -> Mapping[str, Any]:
        """Its body, read when somebody looks at it: this process is to take no part in what is measured."""
        body: Mapping[str, Any] = json.loads(self.data)
        return body


@attrs.frozen(kw_only=True)
class Answer:
    """What becomes of a request: these bytes after a delay, and then perhaps the end of the connection.

    `data` None is no answer at all; `then` says whether the connection stays, is closed in order, or is reset.
    """

    data: bytes | None
    delay_s: float = 0.0
    then: str = "stay"


Manner: TypeAlias = Callable[[Asked], Answer]


def answering(delay_s: float = 0.0, action: Mapping[str, Any] = GOOD) -> Manner:
    """Answer as a model does that takes so long."""
    message = {"role": "assistant", "content": json.dumps(action), "refusal": None}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
    body = {"id": "x", "object": "chat.completion", "created": 0, "model": "stub", "choices": [choice], "usage": usage}
    answer = Answer(data=_response("200 OK", json.dumps(body).encode()), delay_s=delay_s)
    return lambda asked: answer


def throttled(retry_after: str | None = "0") -> Manner:
    """Say that it is too much."""
    return _failing("429 Too Many Requests", "slow down", retry_after)


def overloaded() -> Manner:
    """Be a gateway whose model is gone, with a page of HTML."""
    return lambda asked: Answer(data=_response("502 Bad Gateway", b"<html>Bad Gateway</html>", "text/html"))


def hanging() -> Manner:
    """Never answer, and keep the connection."""
    return lambda asked: Answer(data=None)


def reset() -> Manner:
    """Reset the connection."""
    return lambda asked: Answer(data=None, then="reset")


def truncated(manner: Manner | None = None) -> Manner:
    """Break off in the middle of the answer's body."""
    whole = manner or answering()

    def half(asked: Asked) -> Answer:
        data = whole(asked).data or b""
        return Answer(data=data[: len(data) - 60], then="close")

    return half


def garbled() -> Manner:
    """Answer with a body that is said to be JSON and breaks off as such."""
    return lambda asked: Answer(data=_response("200 OK", b'{"choices": [{"index": 0, "mess'))


def endless(megabytes: int = 40) -> Manner:
    """Answer with blanks, of which there is no end in sight."""
    size = megabytes << 20
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {size}\r\n\r\n"
    return lambda asked: Answer(data=head.encode() + b" " * size, then="close")


def at_most(places: int, manner: Manner) -> Manner:
    """Throttle whatever comes while so many requests are under way."""
    refuse = throttled()
    return lambda asked: refuse(asked) if asked.under_way > places else manner(asked)


def by_turns(*manners: Manner) -> Manner:
    """Treat each request by the next one of the manners, and begin again."""
    return lambda asked: manners[asked.number % len(manners)](asked)


def stormy(calm: Manner, storm: Manner, *, begins: int, ends: int) -> Manner:
    """Be calm, but for the requests from that number to that other one."""
    return lambda asked: (storm if begins <= asked.number < ends else calm)(asked)


class RoughEndpoint:
    """The server; it listens within the `with` block, in a thread, on a port that the system chooses."""

    def __init__(self, manner: Manner) -> None:
        self.manner = manner
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="rough-endpoint")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over = asyncio.Event()
        self.connections: dict[asyncio.Transport, asyncio.Future[None]] = {}
        self.port = 0
        self.requests = 0
        self.under_way = 0
        self.most_under_way = 0

    @property
    def url(self) -> str:
        """The base URL for clients."""
        return f"http://127.0.0.1:{self.port}/v1"

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        server = await listen(self)
        self._ready.set()
        await self._over.wait()
        server.close()
        for connection in self.connections:
            connection.abort()
        await asyncio.gather(*self.connections.values())

    def __enter__(self) -> RoughEndpoint:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()


@contextmanager
def polite_endpoint(delay_s: float) -> Iterator[str]:
    """Yield the URL of an endpoint in a process of its own, which answers after so long and takes no part otherwise."""
    with subprocess.Popen(
        [sys.executable, "-m", __name__, "--delay", str(delay_s)], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


async def listen(endpoint: RoughEndpoint) -> asyncio.Server:
    """Begin to serve; the endpoint's port and counts tell where, and what came."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(endpoint), "127.0.0.1", 0, backlog=512)
    endpoint.port = server.sockets[0].getsockname()[1]
    return server


class _Connection(asyncio.Protocol):
    """Just as much HTTP as the client speaks: a head, a body of a stated length, one request at a time."""

    def __init__(self, endpoint: RoughEndpoint) -> None:
        self._endpoint = endpoint
        self._data = b""
        self._pending: asyncio.TimerHandle | None = None
        self._open = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._endpoint.connections[transport] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, found, rest = self._data.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(rest) < length:
            return
        self._data = rest[length:]
        endpoint = self._endpoint
        self._open += 1
        endpoint.under_way += 1
        endpoint.most_under_way = max(endpoint.most_under_way, endpoint.under_way)
        asked = Asked(number=endpoint.requests, under_way=endpoint.under_way, data=rest[:length])
        endpoint.requests += 1
        answer = endpoint.manner(asked)
        loop = asyncio.get_running_loop()
        if answer.data is not None or answer.then != "stay":
            self._pending = loop.call_later(answer.delay_s, self._answer, answer)

    def _answer(self, answer: Answer) -> None:
        self._end_one()
        if answer.data is not None:
            self._transport.write(answer.data)
        if answer.then == "reset":
            self._transport.abort()
        elif answer.then == "close":
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._endpoint.connections[self._transport].set_result(None)
        if self._pending is not None:
            self._pending.cancel()
        while self._open:
            self._end_one()

    def _end_one(self) -> None:
        if self._open:
            self._open -= 1
            self._endpoint.under_way -= 1


def _failing(status: str, message: str, retry_after: str | None) -> Manner:
    body = json.dumps({"error": {"message": message, "type": "t", "param": None, "code": None}}).encode()
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    answer = Answer(data=_response(status, body, headers=headers))
    return lambda asked: answer


def _response(
    status: str, body: bytes, kind: str = "application/json", headers: Mapping[str, str] | None = None
) -> bytes:
    told = {"Content-Type": kind, "Content-Length": str(len(body)), **(headers or {})}
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in told.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def _main(delay_s: float) -> None:
    endpoint = RoughEndpoint(answering(delay_s))
    server = await listen(endpoint)
    sys.stdout.write(f"{endpoint.url}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--delay", type=float, default=0.05, help="seconds until the answer (default %(default)s)")
    asyncio.run(_main(parser.parse_args().delay))
