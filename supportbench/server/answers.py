"""HTTP answers and bodies: JSON in, JSON out, through the one codec."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine, Mapping
from typing import Any, Final, TypeVar, cast

import msgspec
from litestar import Request, Response
from litestar.exceptions import ClientException

from supportbench import codec
from supportbench.errors import DecodeError
from supportbench.server.channel import GoneError, Message, Receive, Scope, Send
from supportbench.server.refusals import Refusal, RefusedError, invalid_json, refusal_of

T = TypeVar("T")

_encoder: Final = msgspec.json.Encoder(enc_hook=codec.plain)


class JsonAnswer(Response[bytes]):
    """An answer that is sent as it is, with nothing that a layer above the handler would add.

    Litestar's way from a response to what is sent copies its headers four times, for a tenth of a step's time.
    """

    def to_asgi_response(self, *_: Any, **__: Any) -> Any:
        """Return what sends the answer."""
        head = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in self.headers.items()]
        head += (b"content-type", b"application/json"), (b"content-length", str(len(self.content)).encode())
        start: Message = {"type": "http.response.start", "status": self.status_code, "headers": head}
        body: Message = {"type": "http.response.body", "body": self.content}

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            await send(start)
            await send(body)

        return answer


def json_answer(content: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> JsonAnswer:
    """Return the answer with these bytes, or with the JSON of any other value."""
    body = content if isinstance(content, bytes) else _encoder.encode(codec.unstructure(content))
    return JsonAnswer(body, status_code=status, headers=headers)


def refused_answer(refusal: Refusal) -> Response[bytes]:
    """Return the answer to a request that was refused."""
    headers = {"Retry-After": "5"} if refusal.status == 503 else {}
    return json_answer(refusal.body(), status=refusal.status, headers=headers)


async def body_of(request: Request[Any, Any, Any]) -> bytes:
    """Return the body.

    Raises:
        ClientException: with status 413, it has more bytes than a body may have.
        GoneError: the client went away while it was sending.
    """
    # Not `request.body`, which makes all headers into an object first, and an iterator of the one piece that there is.
    limit = request.app.request_max_body_size
    most = limit if isinstance(limit, int) else sys.maxsize
    announced = next((value for name, value in request.scope["headers"] if name == b"content-length"), b"0")
    if announced.isdigit() and int(announced) > most:
        raise _too_large(most)
    body = bytearray()
    while True:
        message = cast(Message, await request.receive())
        if message["type"] == "http.disconnect":
            raise GoneError
        body += message.get("body", b"")
        if len(body) > most:
            raise _too_large(most)
        if not message.get("more_body", False):
            return bytes(body)


async def while_connected(request: Request[Any, Any, Any], work: Coroutine[Any, Any, T]) -> T:
    """Return what the work returns; raises `GoneError`, and cancels the work, when the client goes away meanwhile.

    The body has been read by now, so that all there is to come is the client's end.
    """
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise GoneError
        return working.result()
    finally:
        leaving.cancel()
        working.cancel()
        # Not waited for: whatever the work still does about its end, the session is free at once.
        working.add_done_callback(lambda done: None if done.cancelled() else done.exception())


async def _gone(request: Request[Any, Any, Any]) -> None:
    """Wait until the client has gone away."""
    while (await request.receive())["type"] != "http.disconnect":
        pass  # uvicorn may tell the end of the body twice


async def read_body(request: Request[Any, Any, Any], kind: type[T], *, empty: T | None = None) -> T:
    """Return the body as a value of that type, `empty` where there is none.

    Whatever the content type says, a body is read as JSON.

    Raises:
        RefusedError: with the path of every fault.
        ClientException, GoneError: like `body_of`.
    """
    data = await body_of(request)
    if not data and empty is not None:
        return empty
    try:
        parsed = codec.parse_json(data)
    except DecodeError as error:
        raise RefusedError(invalid_json(error, data, where="body")) from None
    try:
        return codec.structure(parsed, kind)
    except DecodeError as error:
        raise RefusedError(refusal_of(error, where="body")) from None


def _too_large(most: int) -> ClientException:
    return ClientException(f"The body has more than {most} bytes, which is the most.", status_code=413)
