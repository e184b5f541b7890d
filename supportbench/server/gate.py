"""The gate in front of every route: who is calling, from where, with which token, and how often.

Checks once a request or connection, never a message. Browsers are kept to pages of this server: the `Host` they call
must be one of ours, lest a page elsewhere reach a server on loopback by a name that it controls (DNS rebinding), and
the `Origin` they come from must be this host or an allowed one.

Where a request comes from is what the server below us says: its connection, or the word of a proxy that the server has
been told to trust. `X-Forwarded-For` and the like, which anybody can write, are not read here. Behind a proxy on the
same machine that says nothing, everybody seems to come from loopback: limits are then the proxy's business.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import math
import re
from collections import Counter
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

import attrs
import msgspec

from supportbench.errors import SettingsError
from supportbench.server.channel import ASGIApp, Receive, Scope, Send
from supportbench.server.limits import Allowances, is_loopback
from supportbench.settings import ServerSettings
from supportbench.wording import shown

_OPEN_PATHS: Final = frozenset(("/health",))
"""What tells nothing, and is asked for by probes that know neither a token nor our name."""

_LOOPBACK_NAMES: Final = frozenset(("localhost", "localhost.localdomain", "ip6-localhost"))

_PLACE: Final = r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(?P<port>:[0-9]{1,5})?"
_HOST: Final = re.compile(_PLACE)
_ORIGIN: Final = re.compile(rf"(?P<scheme>[a-z][a-z0-9+.-]*)://{_PLACE}")
_USUAL_PORTS: Final = {"http": ":80", "https": ":443"}
"""What browsers leave out of an origin."""

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
    """An ASGI application that lets through to another one what may pass, with its `Caller` in the scope's state.

    Raises:
        SettingsError: an allowed host or origin is none.
    """

    def __init__(self, app: ASGIApp, settings: ServerSettings) -> None:
        self._app = app
        self._settings = settings
        self._digests = tuple(hashlib.sha256(token.encode()).digest() for token in settings.tokens)
        self._hosts = frozenset(_checked_host(host) for host in settings.allowed_hosts)
        self._origins = frozenset(origins_of(settings))
        self._open: Counter[str] = Counter()
        self._allowances = Allowances(settings.message_limit)
        self.refused: Counter[int] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or connection."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        address = scope["client"][0] if scope.get("client") else ""
        loopback = not address or is_loopback(address)  # without an address it is a Unix socket
        turned = (None if loopback else self._turned_by_number(address)) or self._turned_by_place(scope, headers)
        owner = ""
        if turned is None and not self._may_pass_unasked(scope, headers):
            told = self._owner(headers.get(b"authorization", b""))
            turned, owner = (told, "") if isinstance(told, _Turned) else (None, told)
        if turned is not None:
            self.refused[turned.status] += 1
            logger.info("Turned away: %s", turned.message, extra={"status": turned.status, "path": scope["path"][:200]})
            await _turn_away(turned, self._cors(headers), scope, receive, send)
            return
        limit = 0.0 if loopback else self._settings.message_limit
        scope.setdefault("state", {})["caller"] = Caller(owner=owner, loopback=loopback, message_limit=limit)
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
        asks = b"origin" in headers and b"access-control-request-method" in headers
        return asks and scope.get("method") == "OPTIONS"

    def _owner(self, authorization: bytes) -> str | _Turned:
        """Return what identifies the token that was sent; it takes as long for each of ours as for any other."""
        scheme, _, token = authorization.strip().partition(b" ")
        digest = hashlib.sha256(token.strip()).digest()
        known = [hmac.compare_digest(digest, ours) for ours in self._digests]
        is_bearer = scheme.lower() == b"bearer"
        if any(known) and is_bearer:
            return digest.hex()[:16]
        sent = is_bearer and bool(token.strip())
        said = "The token is none of this server's" if sent else "This server wants a token"
        return _Turned(
            status=401,
            message=f"{said}: send the header 'Authorization: Bearer TOKEN'.",
            headers=((b"www-authenticate", b'Bearer error="invalid_token"' if sent else b"Bearer"),),
        )

    def _turned_by_place(self, scope: Scope, headers: Mapping[bytes, bytes]) -> _Turned | None:
        if scope["path"] in _OPEN_PATHS:
            return None
        host = headers.get(b"host", b"").decode("latin-1").lower()
        name = _host_name(host)
        own = scope["server"][0] if scope.get("server") else ""
        if self._hosts:
            if host not in self._hosts and name not in self._hosts:
                return _Turned(
                    status=421,
                    message=f"This server does not answer for the host {shown(name)}. If it is one of its names, start "
                    "it with this one too: --allowed-host NAME.",
                )
        elif is_loopback(own) and name and name not in _LOOPBACK_NAMES and not is_loopback(name):
            return _Turned(
                status=421,
                message=f"The host {shown(name)} is no name of loopback. If it is this server's, behind a proxy on the "
                "same machine for instance, start it with --allowed-host NAME.",
            )
        origin = headers.get(b"origin")
        if origin is None or _origin(origin) in self._origins or (host and _netloc(origin) == host):
            return None
        return _Turned(
            status=403,
            message="Pages of another origin may not call this server. If this one may, start the server with "
            "--allowed-origin ORIGIN; if it comes from here through a proxy, let the proxy hand on the Host header.",
        )

    def _turned_by_number(self, address: str) -> _Turned | None:
        most, per_s = self._settings.connection_limit, self._settings.message_limit
        if most and self._open[address] >= most:
            return _Turned(
                status=429,
                message=f"This address has {most} connections open, which is the most. Close one first.",
                headers=((b"retry-after", b"1"),),
            )
        wait_s = self._allowances.wait_s(address) if per_s else 0.0
        if wait_s:
            return _Turned(
                status=429,
                message=f"At most {per_s:g} requests a second of one address are answered. Wait a while.",
                headers=((b"retry-after", str(math.ceil(wait_s)).encode()),),
            )
        return None

    def _cors(self, headers: Mapping[bytes, bytes]) -> tuple[tuple[bytes, bytes], ...]:
        """Return what lets a page of an allowed origin read why it was turned away."""
        origin = headers.get(b"origin", b"")
        if _origin(origin) not in self._origins:
            return ()
        return ((b"access-control-allow-origin", origin), (b"vary", b"Origin"))


def origins_of(settings: ServerSettings) -> tuple[str, ...]:
    """Return the allowed origins as browsers write them; raises `SettingsError` for what is none."""
    return tuple(dict.fromkeys(_checked_origin(origin) for origin in settings.allowed_origins))


async def _turn_away(
    turned: _Turned, cors: tuple[tuple[bytes, bytes], ...], scope: Scope, receive: Receive, send: Send
) -> None:
    body = msgspec.json.encode({"detail": turned.message})
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        *turned.headers,
        *cors,
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
    """Return the name or address without port, brackets and the root's dot; what is no host comes back as it is."""
    match = _HOST.fullmatch(host)
    return match["name"].strip("[]").removesuffix(".") or "." if match else host


def _origin(header: bytes) -> str:
    return header.decode("latin-1").lower().rstrip("/")


def _netloc(origin: bytes) -> str | None:
    try:
        return urlsplit(_origin(origin)).netloc
    except ValueError:  # brackets that enclose no address
        return None


def _checked_host(text: str) -> str:
    host = text.strip().lower()
    match = _HOST.fullmatch(host if host.count(":") < 2 or host.startswith("[") else f"[{host}]")
    if match is None:
        raise SettingsError(
            f"{shown(text)} is no host to allow. --allowed-host takes a name or an address, with or without a port: "
            "example.org, example.org:8000, 192.0.2.1. There are no wildcards."
        )
    return match[0] if match["port"] else _host_name(match[0])


def _checked_origin(text: str) -> str:
    match = _ORIGIN.fullmatch(text.strip().lower().rstrip("/"))
    if match is None:
        raise SettingsError(
            f"{shown(text)} is no origin to allow. --allowed-origin takes what a browser shows before the path: "
            "https://example.org, http://localhost:3000. There are no wildcards."
        )
    return match[0].removesuffix(_USUAL_PORTS.get(match["scheme"], "/"))
