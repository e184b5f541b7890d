"""What the tests of session stores keep, and how they wait for it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeAlias

import attrs

from supportbench import codec
from supportbench.server.redis_store import RedisStore
from supportbench.server.store import SessionStore


@attrs.frozen(kw_only=True)
class Note:
    """What these tests keep."""

    text: str


A, B, C = Note(text="a"), Note(text="b"), Note(text="ç\0 \ud7ff")
SOON_S, LATE_S = 0.05, 600.0

Notes: TypeAlias = SessionStore[Note]
PREFIXES = map("test-{}:".format, itertools.count())


@asynccontextmanager
async def notes_in(url: str, prefix: str = "", *, timeout_s: float = 20.0) -> AsyncIterator[RedisStore[Note]]:
    store = RedisStore[Note](
        url, codec.encode, lambda data: codec.decode(data, Note), f"supportbench:{prefix}", timeout_s=timeout_s
    )
    try:
        yield store
    finally:
        await store.aclose()


async def gone(store: Notes, key: str) -> None:
    async with asyncio.timeout(30):
        while await store.load(key) is not None:  # noqa: ASYNC110 - Redis tells nobody when a key expires
            await asyncio.sleep(0.01)


async def created(store: Notes, key: str, value: Note = A, ttl_s: float = LATE_S) -> int:
    version = await store.replace(key, None, value, ttl_s=ttl_s)
    assert version is not None
    return version
