"""HEAD, wherever there is GET: the same status and headers without the body (RFC 9110, 9.3.2)."""

from __future__ import annotations

from typing import Final

from supportbench.server.channel import ASGIApp, Message, Receive, Scope, Send

_TELLING: Final = (204, 405)
"""The statuses of answers that tell which methods are allowed."""


class HeadAsGet:
    """An ASGI application that answers HEAD by asking another one to GET; where that is allowed, so is HEAD."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_head = scope["method"] == "HEAD"

        async def send_as_asked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [
                    (name, _with_head(value) if name == b"allow" else value) for name, value in message["headers"]
                ]
                message = {**message, "headers": headers}
            elif is_head and message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self._app({**scope, "method": "GET"} if is_head else scope, receive, send_as_asked)


def _with_head(allowed: bytes) -> bytes:
    methods = [method.strip() for method in allowed.split(b",")]
    return b", ".join(sorted({*methods, b"HEAD"} if b"GET" in methods else methods))
