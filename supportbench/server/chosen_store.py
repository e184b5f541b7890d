"""The session store that a URL chooses."""

from __future__ import annotations

import re
from typing import Final, TypeVar

from supportbench import codec
from supportbench.errors import SettingsError
from supportbench.server.store import MEMORY, MemoryStore, SessionStore

T = TypeVar("T")

_REDIS_SCHEMES: Final = ("redis", "rediss", "valkey", "valkeys", "unix")
_KEY_PREFIX: Final = "supportbench:"


def open_store(url: str, kind: type[T], prefix: str = "") -> SessionStore[T]:
    """Return the store for values of that kind: `memory`, or the Redis or Valkey behind the URL.

    In Redis the values are JSON under `supportbench:` and the prefix, so that several kinds can share one.

    Raises:
        SettingsError: there is no such kind of store, or its library is not installed, or the URL is no good; it is not
            repeated, since it may hold a password.
    """
    scheme = url.partition(":")[0].lower()
    if url == MEMORY:
        return MemoryStore()
    if scheme not in _REDIS_SCHEMES:
        named = f" {scheme!r}" if re.fullmatch(r"[a-z][a-z0-9+.-]{0,30}", scheme) else ""
        allowed = ", ".join(f"{known}://…" for known in _REDIS_SCHEMES)
        raise SettingsError(f"There is no session store{named}. Allowed: {MEMORY}, {allowed}")
    try:
        from supportbench.server.redis_store import RedisStore  # noqa: PLC0415 - takes 0.1 s, and is in an extra
    except ImportError as error:
        raise SettingsError(
            f"A store in Redis needs supportbench[redis]: pip install 'supportbench[redis]' ({error})"
        ) from error
    return RedisStore(url, codec.encode, lambda data: codec.decode(data, kind), prefix=f"{_KEY_PREFIX}{prefix}")
