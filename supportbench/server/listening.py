"""Sockets that listen before anything else is made: what cannot be had is known at once, and who comes early waits."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import socket
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Final

from supportbench.errors import SettingsError

try:
    import resource
except ImportError:  # Windows has no such limit
    resource = None  # type: ignore[assignment]

BACKLOG: Final = 4096
"""Connections that wait to be accepted; the system's own limit (`net.core.somaxconn`) may be lower."""

_BALANCES: Final = sys.platform == "linux"
"""Whether the system deals connections out evenly among sockets that listen at the same port (SO_REUSEPORT)."""

_OTHER_FILES: Final = 256
"""Files that a process has open beside its connections: libraries, logs, recordings, a store's connections."""

_EVERY_IPV4: Final = "0.0.0.0"  # noqa: S104 - compared with, not bound
_EVERY_IPV6: Final = "::"


def listen(host: str, port: int, *, shared: bool = False) -> list[socket.socket]:
    """Return sockets that listen at every address of `host`, all at the same port; a port of 0 takes a free one.

    `::` stands for IPv4's addresses too, where the system has both. `shared` ones allow for `listen_beside`.

    Raises:
        SettingsError: the host is none of this machine's, or the port cannot be had.
    """
    sockets: list[socket.socket] = []
    try:
        for family, address in _addresses(host, port):
            place = (address[0], port, *address[2:])
            bound = _listening(family, place, dual=host == _EVERY_IPV6)
            if bound is None:
                continue
            port = bound.getsockname()[1]
            if shared and _BALANCES:  # nobody else listens here, as the first one found out; it would not let others in
                place = bound.getsockname()
                bound.close()
                bound = _listening(family, place, dual=host == _EVERY_IPV6, shared=True)
            if bound is not None:
                sockets.append(bound)
    except OSError as error:
        for bound in sockets:
            bound.close()
        raise SettingsError(_told(error.errno or 0, host, port)) from error
    if not sockets:
        raise SettingsError(_told(errno.EADDRNOTAVAIL, host, port))
    return sockets


def listen_beside(sockets: Iterable[socket.socket]) -> list[socket.socket]:
    """Return further sockets for the places of these shared ones, among which the system deals connections out.

    Where it does not do so they are copies: whoever is quicker gets the connection.
    """
    return [_beside(bound) if _BALANCES else bound.dup() for bound in sockets]


def make_room(connections: int) -> int:
    """Let this process and its children have so many connections open, as far as it may; return how many those are."""
    if resource is None:
        return connections
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(OSError, ValueError):  # some systems have a lower limit that they do not tell
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return connections if soft == resource.RLIM_INFINITY else max(0, min(connections, soft - _OTHER_FILES))


def url_of(sockets: Sequence[socket.socket], host: str) -> str:
    """Return the URL at which a program on this machine reaches the server."""
    name = {_EVERY_IPV4: "127.0.0.1", _EVERY_IPV6: "::1"}.get(host, host)
    return f"http://{f'[{name}]' if ':' in name else name}:{sockets[0].getsockname()[1]}"


def is_loopback(sockets: Iterable[socket.socket]) -> bool:
    """Return whether this machine alone can reach all of the sockets."""
    return all(ipaddress.ip_address(bound.getsockname()[0].partition("%")[0]).is_loopback for bound in sockets)


def _addresses(host: str, port: int) -> list[tuple[socket.AddressFamily, tuple[Any, ...]]]:
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError) as error:
        raise SettingsError(
            f"There is no host {host[:80]!r} ({error}). --host takes a name or an address of this machine: "
            "127.0.0.1, the default, for this machine alone; 0.0.0.0 for everybody."
        ) from error
    addresses = dict.fromkeys((family, address) for family, _, _, _, address in found)
    # IPv4 first: where a free port is asked for, it is the family that is always there.
    return sorted(addresses, key=lambda place: place[0] != socket.AF_INET)


def _listening(
    family: socket.AddressFamily, place: tuple[Any, ...], *, dual: bool, shared: bool = False
) -> socket.socket | None:
    """Return a socket that listens, None where the system does not have that family (an IPv6 switched off, say)."""
    try:
        bound = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        if error.errno == errno.EAFNOSUPPORT:
            return None
        raise
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if dual else 1)
        bound.bind(place)
        bound.listen(BACKLOG)
    except OSError as error:
        bound.close()
        if error.errno == errno.EADDRNOTAVAIL and family == socket.AF_INET6:
            return None
        raise
    return bound


def _beside(bound: socket.socket) -> socket.socket:
    dual = bound.family == socket.AF_INET6 and not bound.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
    another = _listening(bound.family, bound.getsockname(), dual=dual, shared=True)
    assert another is not None  # noqa: S101 - it is a place that was had already
    return another


def _told(code: int, host: str, port: int) -> str:
    if code == errno.EADDRINUSE:
        return f"Port {port} of {host} is in use. Stop what uses it, or take another: --port 0 finds a free one."
    if code == errno.EACCES:
        return f"Port {port} may not be used without privileges. Take another, such as --port 8000."
    if code == errno.EADDRNOTAVAIL:
        return f"{host} is no address of this machine. --host 127.0.0.1 serves it alone, --host 0.0.0.0 everybody."
    return f"Cannot listen on port {port} of {host}: {os.strerror(code)}. See --host and --port."
