"""Sessions of a load generator: each has one request under way, counts what it is answered and stops at an error."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Final, cast
from urllib.parse import urlsplit

import msgspec
from websockets.asyncio.client import connect as connect_officially
from websockets.exceptions import WebSocketException

from tests.benchmarks.framing import CLOSE, RawConnection, connect
from tests.benchmarks.tally import Tally

_LARGEST_MESSAGE: Final = 100 * 1024 * 1024  # as OpenEnv's client has it


class RawSession(RawConnection):
    """Plays episode after episode over a raw WebSocket; `resets` and `steps` yield ready-made frames."""

    def __init__(self, url: str, tally: Tally, resets: Iterator[bytes], steps: Iterator[bytes]) -> None:
        super().__init__(url)
        self._tally = tally
        self._resets = resets
        self._steps = steps
        self._is_step = False
        self._asked_at = 0.0
        self._failed = False

    def begin(self) -> None:
        """Send the first reset."""
        self._ask(is_step=False)

    def received(self, payload: bytes) -> None:
        """Count the answer and send the next request."""
        done = self._tally.frame(payload, is_step=self._is_step, asked_at=self._asked_at)
        if done is None:
            self._failed = True
            self.transport.close()
        elif self._tally.stopped:
            self.transport.write(CLOSE)
        else:
            self._ask(is_step=not done)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end, which is an error unless it was time."""
        if self.opened.done() and not (self._failed or self._tally.stopped):
            self._tally.failed(f"the server hung up: {exc}")
        super().connection_lost(exc)

    def _ask(self, *, is_step: bool) -> None:
        message = next(self._steps if is_step else self._resets)
        self._is_step = is_step
        self._asked_at = time.perf_counter()
        self.transport.write(message)


class RawHolder(RawConnection):
    """Asks for one thing and stays."""

    def __init__(self, url: str, tally: Tally) -> None:
        super().__init__(url)
        self._tally = tally
        self._answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def reset(self, message: bytes) -> None:
        """Send the reset and count its answer; raises OSError when there is none."""
        self.transport.write(message)
        self._tally.frame(await self._answered, is_step=False, asked_at=0.0)

    def received(self, payload: bytes) -> None:
        """Keep the answer."""
        self._answered.set_result(payload)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for no answer any more."""
        if not self._answered.done():
            self._answered.set_exception(exc or ConnectionError("the server hung up"))
            self._answered.exception()  # somebody may be waiting, or nobody yet
        super().connection_lost(exc)


async def play_officially(url: str, tally: Tally, resets: Iterator[str], steps: Iterator[str]) -> None:
    """Play with the WebSocket library of OpenEnv's client and what it negotiates, compression included."""
    is_step = False
    try:
        async with connect_officially(url, max_size=_LARGEST_MESSAGE, proxy=None) as connection:
            while not tally.stopped:
                message = next(steps if is_step else resets)
                asked_at = time.perf_counter()
                await connection.send(message)
                payload = await connection.recv(decode=False)
                done = tally.frame(payload, is_step=is_step, asked_at=asked_at)
                if done is None:
                    return
                is_step = not done
    except (OSError, WebSocketException, msgspec.MsgspecError) as error:
        tally.failed(f"{type(error).__name__}: {error}")


class HttpSession(asyncio.Protocol):
    """Plays over one HTTP connection that is kept alive.

    It resets the session that it was given first, as often as an episode ends; where the server knows no sessions
    (`stateless`) it only steps.
    """

    transport: asyncio.Transport

    def __init__(
        self, url: str, tally: Tally, resets: Iterator[bytes], steps: Iterator[bytes], *, stateless: bool
    ) -> None:
        self._url = urlsplit(url)
        self._tally = tally
        self._resets = resets
        self._steps = steps
        self._stateless = stateless
        self._session_header = b""
        self._rest = b""
        self._is_step = False
        self._asked_at = 0.0
        self._failed = False
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def open(self) -> None:
        """Connect and begin; raises OSError if that fails."""
        await connect(self, self._url)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass
        self._ask(is_step=self._stateless)

    def data_received(self, data: bytes) -> None:
        """Count the answer, once it is here whole, and send the next request."""
        self._rest += data
        head, end, body = self._rest.partition(b"\r\n\r\n")
        if not end:
            return
        status, *lines = head.split(b"\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
        if len(body) < int(headers[b"content-length"]):
            return
        self._rest = b""
        if b" 200 " not in status:
            self._failed = True
            self._tally.failed(f"{status.decode()}: {body.decode()}")
            self.transport.close()
            return
        if not self._session_header and not self._stateless:
            self._session_header = b"X-Session-ID: " + headers[b"x-session-id"] + b"\r\n"
        done = self._tally.body(body, is_step=self._is_step, asked_at=self._asked_at)
        self._failed = done is None
        if done is None or self._tally.stopped:
            self.transport.close()
        else:
            self._ask(is_step=self._stateless or not done)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end, which is an error unless it was time."""
        if not (self._failed or self._tally.stopped):
            self._tally.failed(f"the server hung up: {exc}")
        if not self.closed.done():
            self.closed.set_result(None)

    def _ask(self, *, is_step: bool) -> None:
        body = next(self._steps if is_step else self._resets)
        head = (
            f"POST /{'step' if is_step else 'reset'} HTTP/1.1\r\nHost: {self._url.netloc}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        )
        self._is_step = is_step
        self._asked_at = time.perf_counter()
        self.transport.write(head.encode() + self._session_header + b"\r\n" + body)
