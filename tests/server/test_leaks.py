"""Floods, peers that vanish and peers that never read: afterwards everything is where it was."""

from __future__ import annotations

import asyncio
import json
import resource
import secrets
import threading
import time
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

import httpx
import psutil  # type: ignore[import-untyped]
import pytest
from websockets.asyncio.client import connect

from supportbench import ComponentScore, Registry, Rubric, RubricComponent, Submission, codec, unstructure
from tests.offering import a_task, an_action, registry_of
from tests.server.house import STEP, asked, eventually
from tests.server.observed import TICKETS, blocks_of, facts_of, observed
from tests.server.processes import ServerProcess, until
from tests.server.serving import Served, serving
from tests.shop import TOLD, provider, told_task

FLOOD: Final = 2000
_MASK: Final = bytes(4)  # a mask of zeros: a client has to mask, and this one costs nothing


@pytest.fixture(scope="module", autouse=True)
def enough_files() -> Iterator[None]:
    """Let this process have as many open files as the flood needs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max(soft, FLOOD + 1000)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with observed(log_level="warning") as server:
        yield server
        assert not [line for line in server.lines if "Traceback" in line or "exception" in line], server.lines


# -- a client that is as thin as can be, and as rude ----------------------------------------------------------------


class Peer:
    """A WebSocket client that writes bytes, reads them if asked to, and answers no ping."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def dialled(cls, server: ServerProcess, path: str = "/ws") -> Peer:
        """Return a peer whose handshake has begun, but for the empty line that ends it."""
        peer = cls(*await asyncio.open_connection(*server.address))
        key = b64encode(secrets.token_bytes(16)).decode()
        peer.write(
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n".encode()
        )
        return peer

    @classmethod
    async def connected(cls, server: ServerProcess, path: str = "/ws") -> Peer:
        """Return a peer that is connected."""
        peer = await cls.dialled(server, path)
        peer.write(b"\r\n")
        assert (await peer._reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        return peer

    def write(self, data: bytes) -> None:
        self._writer.write(data)

    def say(self, kind: str, data: Any = None, **more: Any) -> None:
        """Send a message."""
        message = codec.encode({"type": kind, **({} if data is None else {"data": data}), **more})
        size = len(message)
        if size < 126:
            length = bytes([0x80 | size])
        elif size < 1 << 16:
            length = b"\xfe" + size.to_bytes(2, "big")
        else:
            length = b"\xff" + size.to_bytes(8, "big")
        self.write(b"\x81" + length + _MASK + message)

    async def hear(self) -> Any:
        """Return the next message."""
        while True:
            first, size = await self._reader.readexactly(2)
            if size == 126:
                size = int.from_bytes(await self._reader.readexactly(2), "big")
            elif size == 127:
                size = int.from_bytes(await self._reader.readexactly(8), "big")
            data = await self._reader.readexactly(size)
            if first == 0x81:
                return json.loads(data)

    async def vanish(self) -> None:
        """Go away without a word: the other side gets a reset, if anything."""
        self._writer.transport.abort()
        with suppress(OSError):
            await self._writer.wait_closed()

    async def gone(self) -> None:
        """Wait until the server has hung up."""
        with suppress(OSError):
            while await self._reader.read(65_536):
                pass
        await self.vanish()


def action(**metadata: Any) -> dict[str, Any]:
    plain: dict[str, Any] = unstructure(an_action(metadata=metadata))
    return plain


async def _all(number: int, make: Callable[[], Awaitable[Peer]]) -> list[Peer]:
    """Return so many peers; a hundred dial at a time."""
    turns = asyncio.Semaphore(100)

    async def one() -> Peer:
        async with turns:
            return await make()

    return await asyncio.gather(*(one() for _ in range(number)))


# -- waves ----------------------------------------------------------------------------------------------------------


async def open_and_abort(server: ServerProcess, number: int) -> None:
    """Connect, reset, go away."""
    peers = await _all(number, lambda: Peer.connected(server))
    for peer in peers:
        peer.say("reset", {"task_id": "quick"})
    for peer in peers:
        assert (await peer.hear())["type"] == "observation"
    assert facts_of(server)["sessions"] == number
    for peer in peers:
        await peer.vanish()


async def cut_handshakes(server: ServerProcess, number: int) -> None:
    """Begin to connect, and go away at various places of the handshake."""
    peers = await _all(number, lambda: Peer.dialled(server))
    for peer in peers[::3]:
        peer.write(b"\r\n")
    for peer in peers[::5]:
        peer.write(b"\r\n\x81")  # and the first byte of a frame
    await asyncio.sleep(0)
    for peer in peers:
        await peer.vanish()


async def vanish_while_graded(server: ServerProcess, number: int) -> None:
    """Step where grading takes an hour, and go away meanwhile; some by one's own session, some by one of the store."""
    async with httpx.AsyncClient(base_url=server.url) as client:
        ids = []
        for _ in range(number // 4):
            begun = await client.post("/reset", json={"task_id": "doze"}, headers={"Cookie": ""})
            ids.append(begun.headers["x-session-id"])
            client.cookies.clear()
        paths = iter([f"/ws?session_id={session_id}" for session_id in ids] + ["/ws"] * (number - len(ids)))
        peers = await _all(number, lambda: Peer.connected(server, next(paths)))
        for peer in peers:
            peer.say("reset", {"task_id": "doze"})
            await peer.hear()
            peer.say("step", action(wait_s=3600.0))
        for peer in peers[::2]:
            peer.say("state")  # which waits behind the step
        assert facts_of(server)["sockets"] == number
        for peer in peers:
            await peer.vanish()
        for session_id in ids:  # they outlive the socket that was attached, so they are used once more
            headers = {"X-Session-ID": session_id}
            assert (await client.get("/state", headers=headers)).json()["step_count"] == 0


async def pipeline_and_abort(server: ServerProcess, number: int) -> None:
    """Send a whole episode and much more at once, read a little, go away."""
    peers = await _all(number, lambda: Peer.connected(server))
    for peer in peers:
        for _ in range(5):
            peer.say("reset", {"task_id": "quick"})
            for _ in range(TICKETS):
                peer.say("step", action())
    for peer in peers[::2]:
        for _ in range(3):
            await peer.hear()
    for peer in peers:
        await peer.vanish()


async def never_read(server: ServerProcess, number: int) -> None:
    """Ask for far more than the sockets' buffers hold, read nothing, and go away in the end."""
    peers = await _all(number, lambda: Peer.connected(server))
    for peer in peers:
        peer.say("reset", {"task_id": "quick"})
        peer.say("step", {**action(), "summary": "x" * 100_000})
        for _ in range(200):
            peer.say("state")
    await asyncio.sleep(0.2)
    for peer in peers:
        await peer.vanish()


WAVES: Mapping[str, tuple[Callable[[ServerProcess, int], Awaitable[None]], int]] = {
    "connections that are reset": (open_and_abort, FLOOD),
    "handshakes that are cut": (cut_handshakes, 500),
    "clients that vanish during a step": (vanish_while_graded, 100),
    "pipelines that are cut": (pipeline_and_abort, 100),
    "readers that never read": (never_read, 30),
}


def settled(server: ServerProcess, before: Mapping[str, int], *, sessions: int = 0) -> None:
    """Wait until the server holds what it held before, and so many sessions."""
    seen: dict[str, int] = {}

    def is_as_before() -> bool:
        seen.update(facts_of(server))
        return seen == {**before, "sessions": sessions, "sockets": 0}

    try:
        until(is_as_before)
    except AssertionError:
        pytest.fail(f"before: {before}; in the end: {seen}")


class TestAWave:
    @pytest.mark.parametrize("name", WAVES)
    async def test_leaves_nothing_behind(self, name: str) -> None:
        wave, number = WAVES[name]
        with observed(log_level="warning", session_timeout="2") as server:
            await wave(server, 3)  # whatever is made when it is first needed
            settled(server, facts := _after_the_first(server))
            await wave(server, number)
            settled(server, facts)
            async with connect(f"{server.ws}/ws") as client:
                assert (await asked(client, '{"type":"reset"}'))["type"] == "observation"
            server.end()
            assert not [line for line in server.lines if "Traceback" in line or '"exception"' in line], server.lines

    async def test_that_comes_again_takes_no_more_memory(self) -> None:
        with observed(log_level="warning", session_timeout="2") as server:
            blocks, resident = [], []
            for _ in range(4):
                for wave, number in WAVES.values():
                    await wave(server, max(20, number // 5))
                settled(server, _after_the_first(server))
                blocks.append(blocks_of(server))
                resident.append(psutil.Process(server.pid).memory_info().rss)
            # What the first waves took is kept for the next ones; what a wave leaks comes on top every time. Pieces are
            # counted exactly (one leaked for each connection would be a thousand); buffers are held for as long as the
            # allocator likes.
            assert blocks[-1] - blocks[1] < FLOOD / 5, blocks
            assert resident[-1] < resident[1] * 1.15, resident


def _after_the_first(server: ServerProcess) -> dict[str, int]:
    """Return what the server holds when nobody is there any more."""
    until(lambda: (seen := facts_of(server))["sockets"] == 0 and seen["sessions"] == 0)
    lowest = facts_of(server)
    for _ in range(20):
        lowest = {name: min(value, lowest[name]) for name, value in facts_of(server).items()}
        time.sleep(0.02)
    return lowest


class TestAPeer:
    async def test_that_reads_nothing_and_stays_is_dropped(self) -> None:
        with observed(log_level="warning", ping_interval="0.5") as server:
            before = facts_of(server)
            peers = await _all(20, lambda: Peer.connected(server))
            for peer in peers:
                peer.say("reset", {"task_id": "quick"})
                peer.say("step", {**action(), "summary": "x" * 100_000})
                for _ in range(200):
                    peer.say("state")
            settled(server, before)
            for peer in peers:
                await peer.vanish()

    async def test_that_vanishes_during_a_step_over_http_leaves_the_session_as_it_was(self) -> None:
        with observed(log_level="warning", session_timeout="3") as server:
            before = facts_of(server)
            body = codec.encode({"action": action(wait_s=3600.0)})
            async with httpx.AsyncClient(base_url=server.url) as client:
                for _ in range(50):
                    begun = await client.post("/reset", json={"task_id": "doze"}, headers={"Cookie": ""})
                    client.cookies.clear()
                    headers = {"X-Session-ID": begun.headers["x-session-id"]}
                    peer = Peer(*await asyncio.open_connection(*server.address))
                    peer.write(
                        b"POST /step HTTP/1.1\r\nHost: localhost\r\nX-Session-ID: %s\r\nContent-Length: %d\r\n\r\n%s"
                        % (headers["X-Session-ID"].encode(), len(body), body)
                    )
                    await asyncio.sleep(0)
                    await peer.vanish()
                step = {"action": action(wait_s=0)}
                while (answer := await client.post("/step", json=step, headers=headers)).is_error:
                    assert answer.status_code == 409  # until it is noticed that the client has gone
                    await asyncio.sleep(0.05)
                assert answer.json()["observation"]["current_index"] == 1
            settled(server, before)

    async def test_that_says_nothing_at_all_is_dropped(self) -> None:
        with observed(log_level="warning", ping_interval="0.5") as server:
            before = facts_of(server)
            peers = await _all(200, lambda: Peer.connected(server))
            for peer in peers:
                await peer.gone()
            settled(server, before)

    async def test_that_vanishes_while_its_thread_is_held_frees_its_session_at_once_and_its_thread_in_the_end(
        self, server: ServerProcess
    ) -> None:
        before = facts_of(server)
        peers = await _all(150, lambda: Peer.connected(server))
        for peer in peers:
            peer.say("reset", {"task_id": "hold"})
            await peer.hear()
            peer.say("step", action(wait_s=1.5))
        until(lambda: facts_of(server)["threads"] > before["threads"])
        for peer in peers:
            await peer.vanish()
        until(lambda: facts_of(server)["sessions"] == 0)
        settled(server, before)


# -- graders that wait ----------------------------------------------------------------------------------------------


class Waits:
    """A judge: waits for its model until the test lets it answer, and leaves the loop to others."""

    name = "waits"

    def __init__(self, may_answer: threading.Event) -> None:
        self._may_answer = may_answer
        self.at_work = 0

    async def score(self, submission: Submission) -> ComponentScore:
        self.at_work += 1
        while not self._may_answer.is_set():  # noqa: ASYNC110 - the event is another thread's
            await asyncio.sleep(0.02)
        self.at_work -= 1
        return ComponentScore(score=1.0)


class Holds(Waits):
    """A judge that holds its thread while it waits."""

    name = "holds"
    blocking = True

    async def score(self, submission: Submission) -> ComponentScore:
        with self._lock:
            self.at_work += 1
        while not self._may_answer.is_set():
            time.sleep(0.02)  # noqa: ASYNC251 - on purpose
        with self._lock:
            self.at_work -= 1
        return ComponentScore(score=1.0)

    _lock = threading.Lock()


def a_court(judges: tuple[Waits, ...]) -> Registry:
    """Return a registry with a task for each judge, and one that needs none."""
    rubrics = [Rubric(name=judge.name, components=[RubricComponent(use=judge.name, weight=1.0)]) for judge in judges]
    tasks = [a_task(judge.name, 1, rubric=judge.name) for judge in judges]
    told = Rubric(name="told", components=[RubricComponent(use="told", weight=1.0)])

    class Told:
        name = "told"

        async def score(self, submission: Submission) -> ComponentScore:
            return ComponentScore(score=0.5)

    assert told == TOLD
    return registry_of(
        components=[Told(), *judges],
        rubrics=[told, *rubrics],
        providers=[provider("triage", test=[told_task("quick", 5), *tasks])],
    )


class TestGradersThatWait:
    async def test_do_not_hold_up_anybody_else(self) -> None:
        may_answer = threading.Event()
        waits, holds = Waits(may_answer), Holds(may_answer)
        ended: list[str] = []
        with serving(a_court((waits, holds))) as served:
            judged = [
                *(asyncio.create_task(_play(served, "waits", 1, ended)) for _ in range(32)),
                *(asyncio.create_task(_play(served, "holds", 1, ended)) for _ in range(16)),
                *(asyncio.create_task(_play_http(served, "waits", 1, ended)) for _ in range(8)),
                *(asyncio.create_task(_play_http(served, "holds", 1, ended)) for _ in range(8)),
            ]
            try:
                await eventually(lambda: waits.at_work + holds.at_work == 64)
                await asyncio.gather(
                    *(_play(served, "quick", 5, ended) for _ in range(32)),
                    *(_play_http(served, "quick", 5, ended) for _ in range(8)),
                )
                assert ended == ["quick"] * 40
                assert (await _health(served)) == 200
            finally:
                may_answer.set()
            await asyncio.gather(*judged)
        assert sorted(ended[40:]) == ["holds"] * 24 + ["waits"] * 40


async def _health(served: Served) -> int:
    async with httpx.AsyncClient() as client:
        return (await client.get(f"{served.url}/health")).status_code


async def _play(served: Served, task_id: str, steps: int, ended: list[str]) -> None:
    async with connect(f"{served.ws}/ws") as client:
        await asked(client, json.dumps({"type": "reset", "data": {"task_id": task_id}}))
        for number in range(steps):
            frame = await asked(client, json.dumps({"type": "step", "data": STEP["action"]}))
            assert frame["data"]["done"] is (number == steps - 1)
    ended.append(task_id)


async def _play_http(served: Served, task_id: str, steps: int, ended: list[str]) -> None:
    async with httpx.AsyncClient(base_url=served.url, timeout=120) as client:
        begun = await client.post("/reset", json={"task_id": task_id})
        headers = {"X-Session-ID": begun.headers["x-session-id"]}
        for number in range(steps):
            answer = await client.post("/step", json=STEP, headers=headers)
            assert answer.json()["done"] is (number == steps - 1)
    ended.append(task_id)
