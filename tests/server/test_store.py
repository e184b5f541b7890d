"""The session store: one promise, kept in memory and in a real Redis alike; and what only a Redis can go through."""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, TypeAlias

import attrs
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from supportbench import codec
from supportbench.errors import SettingsError, StoreError
from supportbench.server.redis_store import RedisStore
from supportbench.server.store import MemoryStore, SessionStore, Stored, open_store
from tests.stubs.redis_server import RedisServer


@attrs.frozen(kw_only=True)
class Note:
    """What these tests keep."""

    text: str


A, B, C = Note(text="a"), Note(text="b"), Note(text="ç\0 \ud7ff")
SOON_S, LATE_S = 0.05, 600.0

Notes: TypeAlias = SessionStore[Note]
_prefixes = map("test-{}:".format, itertools.count())


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


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


@pytest.fixture(params=["memory", "redis"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Notes]:
    url = "memory" if request.param == "memory" else request.getfixturevalue("redis").url
    opened = open_store(url, Note, next(_prefixes))
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
            "import sys; from supportbench.server.store import open_store; open_store('memory', str);"
            "print([name for name in sys.modules if name.startswith('redis')])"
        )
        told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert told.stdout == "[]\n"


# -- in Redis -----------------------------------------------------------------------------------------------------


class TestRedis:
    async def test_two_kinds_of_values_do_not_meet(self, redis: RedisServer) -> None:
        async with notes_in(redis.url, "one:") as one, notes_in(redis.url, "two:") as two:
            await created(one, "k")
            assert await two.load("k") is None

    async def test_workers_share_the_values(self, redis: RedisServer) -> None:
        prefix = next(_prefixes)
        async with notes_in(redis.url, prefix) as one, notes_in(redis.url, prefix) as two:
            version = await created(one, "k")
            assert await two.load("k") == Stored(version, A)
            notes = [Note(text=str(number)) for number in range(50)]
            told = await asyncio.gather(
                *(
                    store.replace("k", version, note, ttl_s=LATE_S)
                    for store, note in zip(itertools.cycle([one, two]), notes, strict=False)
                )
            )
            assert len([new for new in told if new is not None]) == 1

    @pytest.mark.parametrize(
        "form", ["valkey://127.0.0.1:{port}", "redis://127.0.0.1:{port}/3", "unix://{socket}?db=2"]
    )
    async def test_every_form_of_its_url_leads_there(self, redis: RedisServer, form: str) -> None:
        url = form.format(port=redis.port, socket=redis.socket_path)
        async with notes_in(url, next(_prefixes)) as store:
            await store.check()
            await created(store, "k")
            assert str(redis.port) in repr(store) or str(redis.socket_path) in repr(store)

    async def test_a_killed_server_has_everything_again_and_its_clients_go_on(self) -> None:
        async with AsyncExitStack() as stack:
            server = stack.enter_context(RedisServer())
            store = await stack.enter_async_context(notes_in(server.url))
            version = await created(store, "k")
            server.kill()
            server.start()
            assert await store.load("k") == Stored(version, A)
            assert await store.expires_in("k") is not None
            server.kill()
            server.start()
            assert await store.replace("k", version, B, ttl_s=LATE_S) is not None

    async def test_a_server_that_is_down_is_an_error_and_no_end(self) -> None:
        async with AsyncExitStack() as stack:
            server = stack.enter_context(RedisServer())
            store = await stack.enter_async_context(notes_in(server.url, timeout_s=1.0))
            version = await created(store, "k")
            server.stop()
            where = rf"Cannot reach the session store at redis://127\.0\.0\.1:{server.port}: .+; is it running\?"
            for call in calls_on(store):
                with pytest.raises(StoreError, match=where):
                    await call()
            server.start()
            assert await store.load("k") == Stored(version, A)

    async def test_a_server_that_does_not_answer_is_an_error_and_its_late_answers_are_nobodys(self) -> None:
        async with AsyncExitStack() as stack:
            server = stack.enter_context(RedisServer())
            store = await stack.enter_async_context(notes_in(server.url, timeout_s=1.0))
            a, b = await created(store, "a", A), await created(store, "b", B)
            server.freeze()
            with pytest.raises(StoreError, match="is it running"):
                await store.load("a")
            given_up = asyncio.create_task(store.load("a"))
            await asyncio.sleep(0.1)
            given_up.cancel()
            with suppress(asyncio.CancelledError):
                await given_up
            server.thaw()
            assert await store.load("b") == Stored(b, B)
            assert await store.load("a") == Stored(a, A)

    async def test_a_replacement_whose_answer_got_lost_counts_once(self, redis: RedisServer) -> None:
        async with (
            Forgetful(redis.port) as proxy,
            notes_in(f"redis://127.0.0.1:{proxy.port}", next(_prefixes)) as store,
        ):
            first = await created(store, "k", A)
            proxy.answers_to_lose = 1
            second = await store.replace("k", first, B, ttl_s=LATE_S)
            assert proxy.answers_to_lose == 0
            assert second is not None
            assert await store.load("k") == Stored(second, B)

    async def test_a_connection_that_somebody_closed_is_made_anew(self, redis: RedisServer) -> None:
        async with notes_in(redis.url, next(_prefixes)) as store:
            version = await created(store, "k")
            redis.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            assert await store.load("k") == Stored(version, A)

    async def test_the_connections_are_bounded(self, redis: RedisServer) -> None:
        async with notes_in(f"{redis.url}?max_connections=3&client_name=bounded", next(_prefixes)) as store:
            await asyncio.gather(*(created(store, str(number)) for number in range(300)))
            clients = redis.command("CLIENT", "LIST")
            assert 1 <= clients.count(b"name=bounded") <= 3

    @pytest.mark.parametrize(
        "words",
        [
            ["SET", "{}", "hello"],
            ["SET", "{}", ""],
            ["SET", "{}", '{"text": "a"}'],
            ["SET", "{}", '0000000000000001{"text": 7}'],
            ["SET", "{}", "0000000000000001\udcff"],
            ["LPUSH", "{}", "x"],
        ],
        ids=["text", "nothing", "no-version", "another-shape", "no-text", "a-list"],
    )
    async def test_what_is_not_ours_is_an_error_that_names_the_key(self, redis: RedisServer, words: list[str]) -> None:
        prefix = next(_prefixes)
        name = f"supportbench:{prefix}k"
        redis.command(
            *(
                word.format(name).encode("utf-8", "surrogateescape")
                if word == "{}"
                else word.encode("utf-8", "surrogateescape")
                for word in words
            )
        )
        async with notes_in(redis.url, prefix) as store:
            with pytest.raises(StoreError, match=name):
                await store.load("k")

    async def test_a_key_that_holds_a_list_is_not_replaced(self, redis: RedisServer) -> None:
        prefix = next(_prefixes)
        redis.command("LPUSH", f"supportbench:{prefix}k", "x")
        async with notes_in(redis.url, prefix) as store:
            with pytest.raises(StoreError, match=f"refuses to work on 'supportbench:{prefix}k'.*WRONGTYPE"):
                await store.replace("k", None, A, ttl_s=LATE_S)

    async def test_a_value_that_somebody_made_permanent_has_long_to_live(self, redis: RedisServer) -> None:
        prefix = next(_prefixes)
        async with notes_in(redis.url, prefix) as store:
            await created(store, "k")
            redis.command("PERSIST", f"supportbench:{prefix}k")
            assert (await store.expires_in("k") or 0.0) > LATE_S


class TestTheStartOfAServer:
    @pytest.mark.parametrize(
        ("options", "reason"),
        [(["--maxmemory", "1"], "'maxmemory'"), (["--replicaof", "127.0.0.1 1"], "read only replica")],
        ids=["full", "read-only"],
    )
    async def test_fails_with_a_redis_that_cannot_keep_anything(self, options: list[str], reason: str) -> None:
        async with AsyncExitStack() as stack:
            server = stack.enter_context(RedisServer(*options))
            store = await stack.enter_async_context(notes_in(server.url))
            with pytest.raises(StoreError, match=reason):
                await store.check()

    async def test_fails_with_something_that_is_no_redis(self) -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1)
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            writer.close()
            await writer.wait_closed()

        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            async with notes_in(f"redis://127.0.0.1:{port}", timeout_s=5.0) as store:
                with pytest.raises(StoreError, match=f"What answers at redis://127.0.0.1:{port} is neither Redis"):
                    await store.check()

    async def test_fails_with_tls_where_there_is_none(self, redis: RedisServer) -> None:
        async with notes_in(redis.url.replace("redis://", "rediss://"), timeout_s=1.0) as store:
            with pytest.raises(StoreError, match=f"rediss://127.0.0.1:{redis.port}"):
                await store.check()


PASSWORD = "s3cret/p@ss"  # noqa: S105 - of a server that lives as long as its test
WRITTEN = "s3cret%2Fp%40ss"


class TestAPassword:
    async def test_is_in_no_message_whatever_goes_wrong(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        told: list[str] = []

        async def tell(url: str, timeout_s: float) -> None:
            async with notes_in(url, timeout_s=timeout_s) as store:
                told.append(repr(store))
                with pytest.raises(StoreError) as caught:
                    await store.check()
                told.append(str(caught.value))
                told.append(repr(caught.value))
                assert caught.value.__suppress_context__

        with RedisServer(password=PASSWORD) as server:
            address = f"127.0.0.1:{server.port}"
            async with notes_in(f"redis://:{WRITTEN}@{address}") as store:
                await store.check()
            await tell(f"redis://{address}", 5.0)
            assert "refuses the sign-in" in told[1]
            await tell(f"redis://:{WRITTEN}no@{address}", 5.0)
            await tell(f"redis://somebody:{WRITTEN}no@{address}?password={WRITTEN}no", 5.0)
            server.freeze()
            await tell(f"valkey://:{WRITTEN}@{address}", 1.0)
            server.thaw()
        await tell(f"redis://:{WRITTEN}@{address}", 1.0)
        for text in (*told, caplog.text):
            assert "s3cret" not in text

    async def test_is_cut_out_of_what_a_server_says(self) -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while await reader.read(1000):
                writer.write(f"-ERR unknown command 'AUTH', with args beginning with: '{PASSWORD}'\r\n".encode())
            writer.close()
            await writer.wait_closed()

        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            async with notes_in(f"redis://:{WRITTEN}@127.0.0.1:{port}") as store:
                with pytest.raises(StoreError, match=r"unknown command 'AUTH'.*\*\*\*") as caught:
                    await store.check()
        assert "s3cret" not in str(caught.value)

    @pytest.mark.parametrize(
        "url",
        [
            "redis://:s3cret/p@ss@host:6379",
            "redis://:1/s3cret@host:6379",
            "redis://:1?s3cret@host:6379",
            "redis://:1?s3cret=1@host:6379",
            "redis://:1#s3cret@host",
            "redis://:1#s3cret",
            "redis://:1?s3cret",
            "redis://:s3cret",
            "redis://:s3cret@host:port",
            "redis://:s3cret@host:99999",
            "redis://:s3cret@[host",
            "redis://:s3cret@host/zero",
            "redis://:s3cret@host?db=zero",
            "redis://:s3cret@host?colour=blue",
            "rediss://:s3cret@host?ssl_cert_reqs=perhaps",
            "redis://:s3cret@host?max_connections=-1",
            "redis:s3cret@host",
            " redis://:s3cret@host",
            "unix://:s3cret@",
            "s3cret@host",
            "postgres://:s3cret@host",
            "",
        ],
    )
    def test_is_in_no_complaint_about_a_url(self, url: str) -> None:
        with pytest.raises(SettingsError) as caught:
            open_store(url, Note)
        assert "s3cret" not in str(caught.value)
        assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("memroy", "There is no session store 'memroy'. Allowed: memory, redis://…, rediss://…, valkey://…"),
        ("postgres://host", "There is no session store 'postgres'. Allowed: memory, redis"),
        ("redis://host:port", "its port is no number"),
        ("redis://host/zero", "its database is no number"),
        ("redis://host?colour=blue", "redis://host:6379 has an option behind its ? that redis-py does not take"),
        ("unix://", "it has no path. Write redis://"),
    ],
)
def test_a_wrong_url_is_refused_before_anything_is_connected(url: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        open_store(url, Note)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("redis://", "redis://localhost:6379"),
        ("redis://host/0", "redis://host:6379"),
        ("valkeys://user:pw@host:1/2", "valkeys://host:1"),
        ("rediss://[::1]:7", "rediss://[::1]:7"),
        ("unix:///run/redis.sock", "unix:///run/redis.sock"),
    ],
)
def test_a_store_is_shown_by_its_place(url: str, place: str) -> None:
    assert repr(open_store(url, Note)) == f"RedisStore({place!r})"


def calls_on(store: Notes) -> list[Callable[[], Any]]:
    """Return everything that can be asked of a store."""
    return [
        lambda: store.load("k"),
        lambda: store.replace("k", None, A, ttl_s=LATE_S),
        lambda: store.touch("k", LATE_S),
        lambda: store.expires_in("k"),
        lambda: store.delete("k"),
        store.check,
    ]


class Forgetful:
    """A proxy before a server on loopback that loses answers, each with its connection, when it is told to."""

    def __init__(self, port: int) -> None:
        self._behind = port
        self.answers_to_lose = 0

    @property
    def port(self) -> int:
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def __aenter__(self) -> Forgetful:
        self._server = await asyncio.start_server(self._pass_on, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *args: object) -> None:
        self._server.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, asked = await asyncio.open_connection("127.0.0.1", self._behind)
        try:
            while data := await reader.read(1 << 16):
                asked.write(data)
                answer = await answers.read(1 << 16)
                if self.answers_to_lose and b"EVALSHA" in data:
                    self.answers_to_lose -= 1
                    break
                writer.write(answer)
        finally:
            for one in (writer, asked):
                one.close()
                with suppress(ConnectionError):
                    await one.wait_closed()
