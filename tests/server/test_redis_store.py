"""The session store in a real Redis: what only that can go through."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, suppress
from typing import Any

import pytest

from supportbench.errors import SettingsError, StoreError
from supportbench.server.chosen_store import open_store
from supportbench.server.store import Stored
from tests.server.notes import LATE_S, PREFIXES, A, B, Note, Notes, created, notes_in
from tests.stubs.redis_server import RedisServer


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


class TestRedis:
    async def test_two_kinds_of_values_do_not_meet(self, redis: RedisServer) -> None:
        async with notes_in(redis.url, "one:") as one, notes_in(redis.url, "two:") as two:
            await created(one, "k")
            assert await two.load("k") is None

    async def test_workers_share_the_values(self, redis: RedisServer) -> None:
        prefix = next(PREFIXES)
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
        async with notes_in(url, next(PREFIXES)) as store:
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
            notes_in(f"redis://127.0.0.1:{proxy.port}", next(PREFIXES)) as store,
        ):
            first = await created(store, "k", A)
            proxy.answers_to_lose = 1
            second = await store.replace("k", first, B, ttl_s=LATE_S)
            assert proxy.answers_to_lose == 0
            assert second is not None
            assert await store.load("k") == Stored(second, B)

    async def test_a_connection_that_somebody_closed_is_made_anew(self, redis: RedisServer) -> None:
        async with notes_in(redis.url, next(PREFIXES)) as store:
            version = await created(store, "k")
            redis.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            assert await store.load("k") == Stored(version, A)

    async def test_the_connections_are_bounded(self, redis: RedisServer) -> None:
        async with notes_in(f"{redis.url}?max_connections=3&client_name=bounded", next(PREFIXES)) as store:
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
        prefix = next(PREFIXES)
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
        prefix = next(PREFIXES)
        redis.command("LPUSH", f"supportbench:{prefix}k", "x")
        async with notes_in(redis.url, prefix) as store:
            with pytest.raises(StoreError, match=f"refuses to work on 'supportbench:{prefix}k'.*WRONGTYPE"):
                await store.replace("k", None, A, ttl_s=LATE_S)

    async def test_a_value_that_somebody_made_permanent_has_long_to_live(self, redis: RedisServer) -> None:
        prefix = next(PREFIXES)
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
