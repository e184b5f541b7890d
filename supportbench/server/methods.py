"""HEAD and OPTIONS, which every route has without saying so (RFC 9110, 9.3.2 and 9.3.7)."""

from __future__ import annotations

from typing import Final

from supportbench.server.channel import ASGIApp, Message, Receive, Scope, Send

_NOT_ALLOWED: Final = 405
_PREFLIGHT: Final = b"access-control-request-method"
_NOBODYS: Final = "TRACE"
"""A method that no route has, so that it is refused with those that the route has."""


class UsualMethods:
    """An ASGI application in front of another one: HEAD is GET without the body, OPTIONS tells which methods there are.

    A browser's preflight, which is an OPTIONS too, is passed on. Litestar's own answers to OPTIONS are not used: where
    a path has several handlers, they know of the first alone.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method = scope["method"]
        asks = method == "OPTIONS" and all(name != _PREFLIGHT for name, _ in scope["headers"])
        told = False

        async def send_as_asked(message: Message) -> None:
            nonlocal told
            if message["type"] == "http.response.start" and message["status"] == _NOT_ALLOWED:
                told = asks
                message = _telling(message, asked=asks)
            elif message["type"] == "http.response.body" and (told or method == "HEAD"):
                message = {**message, "body": b""}
            await send(message)

        asked = "GET" if method == "HEAD" else _NOBODYS if asks else method
        await self._app(scope if asked == method else {**scope, "method": asked}, receive, send_as_asked)


def _telling(message: Message, *, asked: bool) -> Message:
    """Return the refusal with HEAD among the methods that there are; as the answer to OPTIONS, if that was asked."""
    allowed = next((value for name, value in message["headers"] if name.lower() == b"allow"), b"")
    methods = {method.strip() for method in allowed.split(b",")}
    allow = (b"allow", b", ".join(sorted(methods | ({b"HEAD"} if b"GET" in methods else set()))))
    if asked:
        return {**message, "status": 204, "headers": [allow]}
    return {**message, "headers": [allow, *(pair for pair in message["headers"] if pair[0].lower() != b"allow")]}
