"""The gate in front of every route: who is calling, from where, with which token, and how often.

Checks once a request or connection, never a message. Browsers are kept to pages of this server: the `Host` they call
must be one of ours, lest a page elsewhere reach a server on loopback by a name that it controls (DNS rebinding), and
the `Origin` they come from must be this host or an allowed one.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import logging
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

import attrs
import msgspec

from supportbench.server.channel import ASGIApp, Receive, Scope, Send
from supportbench.server.limits import Allowances
from supportbench.settings import ServerSettings

_OPEN_PATHS: Final = frozenset(("/health",))
_LOOPBACK_NAMES: Final = frozenset(("localhost", "localhost.localdomain", "ip6-localhost"))

logger: Final = logging.getLogger("supportbench.server.gate")


@attrs.frozen(kw_only=True)
class Caller:
    """Who sends a request: `owner` identifies its token, and is empty where the server asks for none."""

    owner: str = ""
    loopback: bool = False
    message_limit: float = 0.0


@attrs.frozen(kw_only=True)
class _Turned:
    status: int
    message: str
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Gate:
    """An ASGI application that lets through to another one what may pass, with its `Caller` in the scope's state."""

    def __init__(self, app: ASGIApp, settings: ServerSettings) -> None:
        self._app = app
        self._settings = settings
        self._digests = tuple(hashlib.sha256(token.encode()).digest() for token in settings.tokens)
        self._hosts = frozenset(host.lower() for host in settings.allowed_hosts)
        self._origins = frozenset(origin.lower().rstrip("/") for origin in settings.allowed_origins)
        self._open: Counter[str] = Counter()
        self._allowances = Allowances(settings.message_limit)
        self.refused: Counter[int] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or connection."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        address = scope["client"][0] if scope.get("client") else ""
        caller = Caller(loopback=_is_loopback(address))
        turned = self._turned_by_place(scope, headers)
        if turned is None and not self._may_pass_unasked(scope, headers):
            owner = self._owner(headers.get(b"authorization", b""))
            if owner is None:
                turned = _Turned(
                    status=401,
                    message="This server wants a token: send the header 'Authorization: Bearer TOKEN'.",
                    headers=((b"www-authenticate", b"Bearer"),),
                )
            else:
                caller = attrs.evolve(caller, owner=owner)
        if turned is None and not caller.loopback:
            caller = attrs.evolve(caller, message_limit=self._settings.message_limit)
            turned = self._turned_by_number(scope, address)
        if turned is not None:
            self.refused[turned.status] += 1
            await _turn_away(turned, scope, receive, send)
            return
        scope.setdefault("state", {})["caller"] = caller
        self._open[address] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._open[address] -= 1
            if not self._open[address]:
                del self._open[address]

    def _may_pass_unasked(self, scope: Scope, headers: Mapping[bytes, bytes]) -> bool:
        """Whether no token is needed: for a look at the health, and for a browser's question before a request."""
        if not self._digests or scope["path"] in _OPEN_PATHS:
            return True
        return scope.get("method") == "OPTIONS" and b"access-control-request-method" in headers

    def _owner(self, authorization: bytes) -> str | None:
        """Return what identifies the token that was sent, None if it is none of ours; takes as long for each."""
        scheme, _, token = authorization.partition(b" ")
        digest = hashlib.sha256(token.strip()).digest()
        known = [hmac.compare_digest(digest, ours) for ours in self._digests]
        return digest.hex()[:16] if any(known) and scheme.lower() == b"bearer" else None

    def _turned_by_place(self, scope: Scope, headers: Mapping[bytes, bytes]) -> _Turned | None:
        host = headers.get(b"host", b"").decode("latin-1").lower()
        name = _host_name(host)
        own = scope["server"][0] if scope.get("server") else ""
        if self._hosts:
            if host not in self._hosts and name not in self._hosts:
                return _Turned(status=421, message=f"This server does not answer for the host {name[:80]!r}.")
        elif _is_loopback(own) and name and name not in _LOOPBACK_NAMES and not _is_loopback(name):
            return _Turned(
                status=421,
                message=f"The host {name[:80]!r} is no name of loopback. If it is this server's: --allowed-host NAME.",
            )
        origin = headers.get(b"origin", b"").decode("latin-1").lower().rstrip("/")
        if origin and origin not in self._origins and urlsplit(origin).netloc != host:
            return _Turned(
                status=403,
                message="Pages of another origin may not call this server. To allow one: --allowed-origin ORIGIN.",
            )
        return None

    def _turned_by_number(self, scope: Scope, address: str) -> _Turned | None:
        most = self._settings.connection_limit
        if most and self._open[address] >= most:
            return _Turned(status=429, message=f"This address has {most} connections open, which is the most.")
        if scope["type"] == "http" and self._settings.message_limit:
            wait_s = self._allowances.wait_s(address)
            if wait_s:
                after = str(max(1, round(wait_s))).encode()
                return _Turned(
                    status=429,
                    message=f"At most {self._settings.message_limit:g} requests a second are answered.",
                    headers=((b"retry-after", after),),
                )
        return None


async def _turn_away(turned: _Turned, scope: Scope, receive: Receive, send: Send) -> None:
    logger.info("Turned away: %s", turned.message, extra={"status": turned.status, "path": scope["path"][:200]})
    body = msgspec.json.encode({"detail": turned.message})
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        *turned.headers,
    ]
    kind = "http.response"
    if scope["type"] == "websocket":
        await receive()
        if "websocket.http.response" not in scope.get("extensions", {}):
            await send({"type": "websocket.close", "code": 1008})
            return
        kind = "websocket.http.response"
    await send({"type": f"{kind}.start", "status": turned.status, "headers": headers})
    await send({"type": f"{kind}.body", "body": body})


def _host_name(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


@lru_cache(maxsize=1024)
def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False
