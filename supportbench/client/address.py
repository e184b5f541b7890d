"""Where a server is, and what a request to it says of who sends it."""

from __future__ import annotations

import ipaddress
from typing import Final, Self
from urllib.parse import SplitResult, urlsplit

import attrs

from supportbench.errors import ServerConnectionError, SettingsError
from supportbench.wording import shown

_SECURE: Final = {"http": False, "ws": False, "https": True, "wss": True}


@attrs.frozen
class ServerAddress:
    """A server's base URL, without a slash at its end, for requests (`http`) and for WebSockets (`ws`)."""

    http: str
    ws: str
    is_loopback: bool

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Return the address that a person writes: http(s):// or ws(s)://, with a path prefix or without.

        Raises:
            ServerConnectionError: it is none.
        """
        parts = _parts(url)
        scheme = parts.scheme.lower()
        if scheme not in _SECURE or not parts.hostname:
            raise ServerConnectionError(
                f"{shown(url)} is no URL of a server. Write it like http://localhost:8000 or https://example.org/env"
            )
        if parts.query or parts.fragment:
            raise ServerConnectionError(f"{shown(url)} has more behind its path than a server's base URL may have.")
        path = parts.path.rstrip("/")
        if scheme.startswith("ws"):  # the address of the WebSocket itself
            path = path.removesuffix("/ws").rstrip("/")
        secure = "s" if _SECURE[scheme] else ""
        rest = f"{parts.netloc}{path}"
        return cls(http=f"http{secure}://{rest}", ws=f"ws{secure}://{rest}", is_loopback=_is_loopback(parts.hostname))

    def __str__(self) -> str:
        return self.http


def check_token(token: str | None) -> str | None:
    """Return the token, None for an empty one; raises `SettingsError` for one that no header can carry."""
    if not token:
        return None
    if not token.isascii() or not token.isprintable() or " " in token:
        raise SettingsError("A token is printable ASCII without blanks; this one is not (it is not shown here).")
    return token


def headers_of(token: str | None) -> dict[str, str]:
    """Return the headers that say who sends a request."""
    return {} if token is None else {"Authorization": f"Bearer {token}"}


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url.strip())
        _ = parts.port  # is read when it is asked for
    except ValueError as error:
        raise ServerConnectionError(f"That is no URL of a server: {error}.") from None
    if "@" in parts.netloc:
        raise ServerConnectionError(
            "A server's URL has no user and password in it (it is not shown here): use a token."
        )
    return parts


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() in ("localhost", "localhost.localdomain")
