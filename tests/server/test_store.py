"""The session store: one promise, kept in memory and in a real Redis alike."""

from __future__ import annotations

import asyncio
import math
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from supportbench.server.chosen_store import open_store
from supportbench.server.store import MemoryStore, Stored
from tests.server.notes import LATE_S, PREFIXES, SOON_S, A, B, C, Note, Notes, created, gone
from tests.stubs.redis_server import RedisServer


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture(params=["memory", "redis"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Notes]:
    url = "memory" if request.param == "memory" else request.getfixturevalue("redis").url
    opened = open_store(url, Note, next(PREFIXES))
    yield opened
    await opened.aclose()
    await opened.aclose()


class TestAStore:
    async def test_knows_nothing_of_an_unknown_key(self, store: Notes) -> None:
        assert await store.load("k") is None
        assert await store.replace("k", 1, A, ttl_s=LATE_S) is None
        assert await store.touch("k", LATE_S) is False
        assert await store.expires_in("k") is None
        assert await store.delete("k") is False
        assert await store.load("k") is None

    async def test_keeps_a_value_with_its_version(self, store: Notes) -> None:
        version = await created(store, "k", C)
        assert version > 0
        assert await store.load("k") == Stored(version, C)
        assert await store.load("another") is None

    async def test_creates_only_what_does_not_exist(self, store: Notes) -> None:
        version = await created(store, "k", A)
        assert await store.replace("k", None, B, ttl_s=LATE_S) is None
        assert await store.load("k") == Stored(version, A)

    async def test_replaces_only_the_version_that_is_expected(self, store: Notes) -> None:
        first = await created(store, "k", A)
        second = await store.replace("k", first, B, ttl_s=LATE_S)
        assert second not in (None, first)
        assert await store.replace("k", first, C, ttl_s=LATE_S) is None
        assert await store.load("k") == Stored(second, B)

    async def test_the_same_value_again_is_another_version(self, store: Notes) -> None:
        first = await created(store, "k", A)
        assert await store.replace("k", first, A, ttl_s=LATE_S) not in (None, first)

    async def test_forgets_what_is_deleted_and_its_version_for_good(self, store: Notes) -> None:
        first = await created(store, "k")
        assert await store.delete("k") is True
        assert await store.delete("k") is False
        assert await store.load("k") is None
        assert await store.replace("k", first, B, ttl_s=LATE_S) is None
        second = await created(store, "k")
        assert second != first
        assert await store.replace("k", first, B, ttl_s=LATE_S) is None

    async def test_forgets_what_nobody_touches(self, store: Notes) -> None:
        version = await created(store, "k", ttl_s=SOON_S)
        await gone(store, "k")  # and to look does not keep it
        assert await store.expires_in("k") is None
        assert await store.touch("k", LATE_S) is False
        assert await store.delete("k") is False
        assert await store.replace("k", version, B, ttl_s=LATE_S) is None
        assert await store.replace("k", None, B, ttl_s=LATE_S) is not None

    async def test_a_touch_sets_the_life_that_is_left(self, store: Notes) -> None:
        version = await created(store, "k", ttl_s=LATE_S / 2)
        assert await store.touch("k", LATE_S) is True
        left_s = await store.expires_in("k")
        assert left_s is not None
        assert LATE_S / 2 < left_s <= LATE_S
        assert await store.load("k") == Stored(version, A)
        assert await store.touch("k", SOON_S) is True
        await gone(store, "k")

    async def test_a_replacement_begins_a_new_life(self, store: Notes) -> None:
        version = await created(store, "k", ttl_s=LATE_S)
        assert await store.replace("k", version, B, ttl_s=SOON_S) is not None
        await gone(store, "k")

    async def test_a_refused_replacement_leaves_the_life_alone(self, store: Notes) -> None:
        version = await created(store, "k", ttl_s=LATE_S)
        assert await store.replace("k", version + 1, B, ttl_s=SOON_S) is None
        assert await store.replace("k", None, B, ttl_s=SOON_S) is None
        left_s = await store.expires_in("k")
        assert left_s is not None
        assert left_s > SOON_S

    async def test_of_fifty_that_replace_one_version_one_wins(self, store: Notes) -> None:
        version = await created(store, "k")
        notes = [Note(text=str(number)) for number in range(50)]
        told = await asyncio.gather(*(store.replace("k", version, note, ttl_s=LATE_S) for note in notes))
        ((winner, new_version),) = [(note, new) for note, new in zip(notes, told, strict=True) if new is not None]
        assert await store.load("k") == Stored(new_version, winner)

    async def test_of_fifty_that_create_one_key_one_wins(self, store: Notes) -> None:
        told = await asyncio.gather(*(store.replace("k", None, A, ttl_s=LATE_S) for _ in range(50)))
        assert len([version for version in told if version is not None]) == 1

    @pytest.mark.parametrize("key", ["", " ", "a:b*?", "line\nbreak\0", "ключ", "\ud800", "k" * 100_000])
    async def test_any_text_is_a_key(self, store: Notes, key: str) -> None:
        version = await created(store, key)
        assert await store.load(key) == Stored(version, A)
        assert await store.load(f"{key}.") is None
        assert await store.delete(key) is True

    @pytest.mark.parametrize("ttl_s", [math.inf, 1e300])
    async def test_a_life_may_be_without_end(self, store: Notes, ttl_s: float) -> None:
        await created(store, "k", ttl_s=ttl_s)
        left_s = await store.expires_in("k")
        assert left_s is not None
        assert left_s > 10 * 365 * 86_400
        assert await store.touch("k", ttl_s) is True

    async def test_can_be_checked_and_keeps_nothing_of_it(self, store: Notes, redis: RedisServer) -> None:
        await store.check()
        assert redis.command("KEYS", "*check*") == b"*0\r\n"


# -- in memory ----------------------------------------------------------------------------------------------------


class Clock:
    """Time that passes when the test says so."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class TheStoreBesideAModel(RuleBasedStateMachine):
    """Whatever is asked in whatever order, the answers are those of a dict of (version, value, end)."""

    keys = st.sampled_from("abcde")
    times = st.sampled_from([1.0, 2.0, 5.0])
    notes = st.sampled_from([A, B, C])
    versions: Bundle[int | None] = Bundle("versions")

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.store: MemoryStore[Note] = MemoryStore(self.clock)
        self.model: dict[str, tuple[int, Note, float]] = {}
        self.seen: set[int] = set()
        self.runner = asyncio.Runner()

    def teardown(self) -> None:
        self.runner.close()

    @rule(target=versions, key=keys, version=st.none() | versions, note=notes, ttl_s=times)
    def replace(self, key: str, version: int | None, note: Note, ttl_s: float) -> int | None:
        new = self.runner.run(self.store.replace(key, version, note, ttl_s=ttl_s))
        held = self.model.get(key, (None,))[0]
        assert (new is not None) == (held == version)
        if new is not None:
            assert new not in self.seen
            self.seen.add(new)
            self.model[key] = (new, note, self.clock.now_s + ttl_s)
        return new

    @rule(key=keys, ttl_s=times)
    def touch(self, key: str, ttl_s: float) -> None:
        assert self.runner.run(self.store.touch(key, ttl_s)) == (key in self.model)
        if key in self.model:
            self.model[key] = (*self.model[key][:2], self.clock.now_s + ttl_s)

    @rule(key=keys)
    def delete(self, key: str) -> None:
        assert self.runner.run(self.store.delete(key)) == (self.model.pop(key, None) is not None)

    @rule(seconds=st.sampled_from([0.5, 1.0, 3.0]))
    def wait(self, seconds: float) -> None:
        self.clock.now_s += seconds
        self.model = {key: held for key, held in self.model.items() if held[2] > self.clock.now_s}

    @rule(version=consumes(versions))
    def forget(self, version: int | None) -> None:
        """Let old versions fall out of the bundle, so that new ones are tried."""

    @rule(key=keys)
    def look(self, key: str) -> None:
        held = self.model.get(key)
        assert self.runner.run(self.store.load(key)) == (None if held is None else Stored(*held[:2]))
        left_s = None if held is None else held[2] - self.clock.now_s
        assert self.runner.run(self.store.expires_in(key)) == left_s

    @invariant()
    def nothing_living_is_lost(self) -> None:
        assert len(self.store) >= len(self.model)


TestTheStoreBesideAModel = TheStoreBesideAModel.TestCase


class TestMemory:
    async def test_a_value_is_kept_as_it_is(self) -> None:
        store: MemoryStore[Note] = MemoryStore()
        await store.replace("k", None, A, ttl_s=LATE_S)
        loaded = await store.load("k")
        assert loaded is not None
        assert loaded.value is A

    async def test_what_expired_makes_room_as_others_come(self) -> None:
        clock = Clock()
        store: MemoryStore[Note] = MemoryStore(clock)
        for number in range(1000):
            await store.replace(f"old-{number}", None, A, ttl_s=10.0)
        clock.now_s = 10.0
        for number in range(1000):
            await store.replace(f"new-{number}", None, A, ttl_s=10.0)
        assert len(store) == 1000

    async def test_a_steady_flow_holds_at_most_twice_what_is_alive(self) -> None:
        clock = Clock()
        store: MemoryStore[Note] = MemoryStore(clock)
        most = 0
        for number in range(20_000):
            clock.now_s = float(number)
            await store.replace(f"{number}", None, A, ttl_s=1000.0 if number % 2 else 100.0)
            most = max(most, len(store))
        assert most <= 2 * 1000

    async def test_a_long_life_does_not_hide_the_short_ones_behind_it(self) -> None:
        clock = Clock()
        store: MemoryStore[Note] = MemoryStore(clock)
        version = await store.replace("long", None, A, ttl_s=1e9)
        for number in range(100):
            await store.replace(f"{number}", None, A, ttl_s=1.0)
        clock.now_s = 2.0
        for _ in range(100):
            version = await store.replace("long", version, A, ttl_s=1e9)
        assert len(store) == 1

    def test_the_redis_library_is_not_even_imported(self) -> None:
        code = (
            "import sys; from supportbench.server.chosen_store import open_store; open_store('memory', str);"
            "print([name for name in sys.modules if name.startswith('redis')])"
        )
        told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert told.stdout == "[]\n"
