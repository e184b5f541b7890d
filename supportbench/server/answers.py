"""HTTP answers and bodies: JSON in, JSON out, through the one codec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeVar

import msgspec
from litestar import Request, Response
from litestar.exceptions import ClientException
from litestar.exceptions.http_exceptions import RequestEntityTooLarge

from supportbench import codec
from supportbench.errors import DecodeError
from supportbench.server.refusals import Refusal, RefusedError, invalid_json, refusal_of

T = TypeVar("T")

_encoder: Final = msgspec.json.Encoder(enc_hook=codec.plain)


def json_answer(content: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response[bytes]:
    """Return the answer with these bytes, or with the JSON of any other value."""
    body = content if isinstance(content, bytes) else _encoder.encode(codec.unstructure(content))
    return Response(body, status_code=status, media_type="application/json", headers=dict(headers or {}))


def refused_answer(refusal: Refusal) -> Response[bytes]:
    """Return the answer to a request that was refused."""
    headers = {"Retry-After": "5"} if refusal.status == 503 else {}
    return json_answer(refusal.body(), status=refusal.status, headers=headers)


async def read_body(request: Request[Any, Any, Any], kind: type[T], *, empty: T | None = None) -> T:
    """Return the body as a value of that type, `empty` where there is none.

    Whatever the content type says, a body is read as JSON.

    Raises:
        RefusedError: with the path of every fault.
        ClientException: with status 413, it has more bytes than a body may have.
    """
    try:
        data = await request.body()
    except RequestEntityTooLarge as error:
        most = request.route_handler.resolve_request_max_body_size()
        told = f"The body has more than {most} bytes, which is the most."
        raise ClientException(told, status_code=error.status_code) from error
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
