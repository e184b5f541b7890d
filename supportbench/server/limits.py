"""How much one caller may ask for: a bucket of tokens that refills with time, and one such bucket an address."""

from __future__ import annotations

import ipaddress
import time
from collections import Counter, OrderedDict
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from uvicorn.config import Config
from uvicorn.server import ServerState

_MOST_KEPT: Final = 10_000


@lru_cache(maxsize=1024)
def is_loopback(address: str) -> bool:
    """Return whether that is an address of this machine alone."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    # On a socket of both families, IPv4's addresses are written in IPv6's way.
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return (mapped or ip).is_loopback


class OpenConnections:
    """How many connections each address has open at one server, loopback's and trusted proxies' apart."""

    def __init__(self, trusted: Iterable[str]) -> None:
        self._trusted = frozenset(trusted)
        self._open: Counter[str] = Counter()

    @classmethod
    def of(cls, state: ServerState, config: Config) -> OpenConnections:
        """Return those of a server; proxies that it trusts speak for many (`FORWARDED_ALLOW_IPS`)."""
        told = config.forwarded_allow_ips or ()
        trusted = told.split(",") if isinstance(told, str) else told
        found: OpenConnections = vars(state).setdefault("open_connections", cls(place.strip() for place in trusted))
        return found

    def opened(self, address: str) -> int:
        """Count one more and return how many there are now; 0 where they do not count."""
        if is_loopback(address) or not {address, "*"}.isdisjoint(self._trusted):
            return 0
        self._open[address] += 1
        return self._open[address]

    def closed(self, address: str) -> None:
        """Count one less."""
        if self._open[address] > 1:
            self._open[address] -= 1
        else:
            self._open.pop(address, None)


class Allowance:
    """So many requests a second: a second's worth at once, then one after another."""

    __slots__ = ("_allowed", "_per_s", "_refilled")

    def __init__(self, per_s: float) -> None:
        self._per_s = per_s
        self._allowed = max(1.0, per_s)
        self._refilled = time.monotonic()

    def take(self) -> float:
        """Take one and return how many seconds too early that was, 0.0 for in time."""
        now = time.monotonic()
        most = max(1.0, self._per_s)
        self._allowed = min(most, self._allowed + (now - self._refilled) * self._per_s) - 1.0
        self._refilled = now
        return 0.0 if self._allowed >= 0.0 else -self._allowed / self._per_s

    def put_back(self) -> None:
        """Give back what was taken for a request that was refused."""
        self._allowed += 1.0


class Allowances:
    """An allowance for each address; the 10,000 addresses heard of last are kept, so that memory is bounded."""

    def __init__(self, per_s: float) -> None:
        self._per_s = per_s
        self._of: OrderedDict[str, Allowance] = OrderedDict()

    def wait_s(self, address: str) -> float:
        """Take one request of that address; return 0.0, or in how many seconds it may come again."""
        allowance = self._of.pop(address, None) or Allowance(self._per_s)
        self._of[address] = allowance
        if len(self._of) > _MOST_KEPT:
            self._of.popitem(last=False)
        early_s = allowance.take()
        if early_s:
            allowance.put_back()
        return early_s
