"""One WebSocket to a server: a question, its answer, one at a time."""

from __future__ import annotations

import asyncio
import logging
from typing import Final, Self
from urllib.parse import quote

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from supportbench.client.address import ServerAddress, headers_of
from supportbench.client.answers import last_error
from supportbench.client.refusals import status_error
from supportbench.errors import ServerConnectionError, ServerError, ServerTimeoutError

LARGEST_ANSWER: Final = 100 * 1024 * 1024
"""In bytes, as for OpenEnv's own client."""

_CLOSE_TIMEOUT_S: Final = 5.0
_TOO_BIG: Final = 1009


class _WithoutHeaders(logging.LoggerAdapter[logging.Logger]):
    """A logger without the debug level, at which websockets tells every header that it sends: the token is one."""

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - logging's own name
        return level > logging.DEBUG and super().isEnabledFor(level)


logger: Final = _WithoutHeaders(logging.getLogger("supportbench.client.connection"), {})


class Connection:
    """A connection that is open.

    A call that is cancelled, or for which the answer comes too late, leaves that answer to be dropped: the next call
    waits for it first, so that it never takes the answer to another question for its own.
    """

    def __init__(self, socket: ClientConnection, address: ServerAddress, session_id: str | None) -> None:
        self._socket = socket
        self._address = address
        self._session_id = session_id
        self._turn = asyncio.Lock()
        self._unanswered = 0
        self._farewell: ServerError | None = None
        self._closed = False

    @classmethod
    async def open(cls, address: ServerAddress, *, token: str | None, session_id: str | None, timeout_s: float) -> Self:
        """Return a new connection, to the live session of that id if there is one.

        Raises:
            ServerConnectionError: there is nobody, or nobody who speaks WebSocket, or the token is wrong.
        """
        query = "" if session_id is None else f"?session_id={quote(session_id, safe='')}"
        try:
            socket = await connect(
                f"{address.ws}/ws{query}",
                additional_headers=headers_of(token),
                compression=None,
                max_size=LARGEST_ANSWER,
                open_timeout=timeout_s,
                close_timeout=_CLOSE_TIMEOUT_S,
                proxy=None if address.is_loopback else True,
                logger=logger,
            )
        except InvalidStatus as error:
            response = error.response
            raise status_error(
                str(address), response.status_code, response.body, has_token=token is not None, what="a WebSocket"
            ) from error
        except TimeoutError as error:
            raise ServerConnectionError(f"{address} does not answer: tried for {timeout_s:g} s.") from error
        except (OSError, WebSocketException, UnicodeError) as error:
            raise ServerConnectionError(
                f"Cannot connect to {address}: {error}. Is a server running there? Start one: supportbench serve"
            ) from error
        return cls(socket, address, session_id)

    async def ask(self, question: bytes, timeout_s: float) -> str | bytes:
        """Return the answer to the question; calls take turns.

        Raises:
            ServerTimeoutError: there is no answer yet.
            ServerConnectionError: the connection is lost.
            ServerError: the server had closed it, and said why before it did.
        """
        async with self._turn:
            try:
                async with asyncio.timeout(timeout_s):
                    while self._unanswered:
                        self._farewell = last_error(await self._answer())
                    self._unanswered += 1  # before it is sent: who is cancelled while sending has sent it
                    await self._socket.send(question.decode())
                    return await self._answer()
            except TimeoutError:
                raise ServerTimeoutError(
                    f"{self._address} gave no answer within {timeout_s:g} s. It may still come, and what was asked may "
                    "be done by then: look at the state before you ask again."
                ) from None
            except ConnectionClosed as error:
                raise await self._read_farewell() or self._lost(error) from error

    async def close(self) -> None:
        """Close the connection; closing twice does no harm."""
        self._closed = True
        await self._socket.close()

    async def _answer(self) -> str | bytes:
        answer = await self._socket.recv()
        self._unanswered -= 1
        return answer

    async def _read_farewell(self) -> ServerError | None:
        """Return why the server closed the connection, where it said so: at capacity, say, before it was asked."""
        try:
            while True:
                self._farewell = last_error(await self._socket.recv()) or self._farewell
        except ConnectionClosed:
            return self._farewell

    def _lost(self, error: ConnectionClosed) -> ServerConnectionError:
        if self._closed:
            return ServerConnectionError("The client was closed before the answer came.")
        codes = [frame.code for frame in (error.rcvd, error.sent) if frame is not None]
        if _TOO_BIG in codes:
            who = "the server takes" if error.rcvd is not None and error.rcvd.code == _TOO_BIG else "this client takes"
            return ServerConnectionError(
                f"The connection to {self._address} was closed: a message was larger than {who}. The episode is lost."
            )
        again = "Connect again: a new connection begins a new episode."
        if self._session_id is not None:
            again = "Connect again with the same session_id: its session may still be there."
        return ServerConnectionError(f"The connection to {self._address} was lost: {error}. {again}")
