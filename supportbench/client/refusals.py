"""What a server means that answers an HTTP request, or the request for a WebSocket, with an unwelcome status."""

from __future__ import annotations

from supportbench import codec
from supportbench.client.answers import error_of, unexpected
from supportbench.errors import ClientError, DecodeError, ServerConnectionError

_UNAUTHORIZED = 401
_FORBIDDEN = 403
_CLIENT_FAULTS = range(400, 600)


def status_error(server: str, status: int, body: bytes | bytearray, *, has_token: bool, what: str) -> ClientError:
    """Return the error that the answer stands for: `ServerError` where it has one of OpenEnv's codes."""
    said = _read(body)
    if isinstance(said.get("code"), str):
        return error_of(said)
    detail = said.get("detail")
    told = f" It says: {detail[:500]}" if isinstance(detail, str) else ""
    if status in (_UNAUTHORIZED, _FORBIDDEN):
        token = "The token is not one of its own" if has_token else "It wants a token, and none was given"
        place = "" if status == _UNAUTHORIZED else ", or nothing is served at this path"
        return ServerConnectionError(f"{server} refuses with status {status}. {token}{place}.{told}")
    if status in _CLIENT_FAULTS:
        return ServerConnectionError(
            f"{server} answers the request for {what} with status {status}.{told} Is the URL right?"
        )
    return unexpected(server, f"status {status} where {what} was asked for")


def _read(body: bytes | bytearray) -> dict[str, object]:
    try:
        said = codec.parse_json(bytes(body))
    except DecodeError:
        return {}
    return said if isinstance(said, dict) else {}
