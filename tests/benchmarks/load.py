"""The load: sessions that play a server in a closed loop, or hold it open; prints what it measured as JSON.

    python -m tests.benchmarks.load play ws://127.0.0.1:8000/ws --sessions 64 --seconds 5 --pid PID --actions FILE
    python -m tests.benchmarks.load open ws://127.0.0.1:8000/ws --sessions 5000 --pid PID
    python -m tests.benchmarks.load http http://127.0.0.1:8000 --sessions 8 --seconds 5 --pid PID --actions FILE

Each session has one request under way: a reset, then steps until the episode is done, then the next reset. Only what is
answered within the measured seconds counts; latency is from just before a request is sent until its answer is parsed.
PID is the server's process, whose use of its core, memory and threads are measured as well.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import itertools
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeVar

import msgspec
import psutil  # type: ignore[import-untyped]

from tests.benchmarks.framing import CLOSE, frame
from tests.benchmarks.measured import Opened, Played
from tests.benchmarks.playing import HttpSession, RawHolder, RawSession, play_officially
from tests.benchmarks.tally import Tally
from tests.benchmarks.texts import MARK

T = TypeVar("T")

_HANDSHAKES: Final = 64
"""How many sessions are opened at once."""

_GOODBYE_S: Final = 30.0
_SEEDS: Final = 3


def main() -> None:
    """Play and print."""
    asked = _parser().parse_args()
    try:
        import uvloop
    except ImportError:  # there is none for Windows
        loop_factory = None
    else:
        loop_factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        measured = runner.run(asked.mode(asked))
    sys.stdout.write(msgspec.json.encode(measured).decode() + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    modes = parser.add_subparsers(required=True)
    for name, mode in (("play", _play), ("http", _http), ("open", _open)):
        command = modes.add_parser(name)
        command.set_defaults(mode=mode)
        command.add_argument("url")
        command.add_argument("--sessions", type=int, required=True)
        command.add_argument("--pid", type=int, required=True)
        if name == "open":
            command.add_argument("--settle", type=float, default=1.0, help="seconds before memory is looked at")
            continue
        command.add_argument("--seconds", type=float, required=True)
        command.add_argument("--warmup", type=float, default=2.0, help="seconds of play before they count")
        command.add_argument("--actions", type=Path, required=True, help="JSON Lines of actions to play")
        if name == "play":
            command.add_argument("--official", action="store_true", help="use the library of OpenEnv's client")
            command.add_argument("--waiting", type=int, default=0, help="so many further sessions play --waiting-for")
            command.add_argument("--waiting-for", default="judged", help="a provider whose tasks a judge grades")
        else:
            command.add_argument("--stateless", action="store_true", help="the server has no sessions: only step")
    return parser


# -- playing ------------------------------------------------------------------------------------------------------


async def _play(asked: argparse.Namespace) -> Played:
    tally, waited = Tally(), Tally()
    resets = [b'{"type":"reset","data":{"seed":%d}}' % seed for seed in range(_SEEDS)]
    if asked.official:
        tasks = [
            asyncio.create_task(play_officially(asked.url, tally, itertools.cycle(_texts(resets)), steps))
            for steps in itertools.repeat(
                _steps(asked.actions, b'{"type":"step","data":%b}', bytes.decode), asked.sessions
            )
        ]
        return await _measured(asked, tally, waited, tasks)
    cycle = itertools.cycle([frame(reset) for reset in resets])
    steps = _steps(asked.actions, b'{"type":"step","data":%b}', frame)
    slow = itertools.cycle([frame(b'{"type":"reset","data":{"provider":"%b"}}' % asked.waiting_for.encode())])
    sessions = [
        *(RawSession(asked.url, tally, cycle, steps) for _ in range(asked.sessions)),
        *(RawSession(asked.url, waited, slow, steps) for _ in range(asked.waiting)),
    ]
    for session in sessions:
        await session.open()
    for session in sessions:
        session.begin()
    return await _measured(asked, tally, waited, [session.closed for session in sessions])


async def _http(asked: argparse.Namespace) -> Played:
    tally = Tally()
    resets = itertools.cycle([b'{"seed":%d}' % seed for seed in range(_SEEDS)])
    steps = _steps(asked.actions, b'{"action":%b}', bytes)
    sessions = [HttpSession(asked.url, tally, resets, steps, stateless=asked.stateless) for _ in range(asked.sessions)]
    for session in sessions:
        await session.open()
    return await _measured(asked, tally, Tally(), [session.closed for session in sessions])


async def _measured(
    asked: argparse.Namespace, tally: Tally, waited: Tally, ends: list[asyncio.Future[None]] | list[asyncio.Task[None]]
) -> Played:
    gc.collect()
    gc.freeze()  # hundreds of thousands of texts would be walked through again and again
    await asyncio.sleep(asked.warmup)
    load_cpu, server_cpu = time.process_time(), _cpu_s(asked.pid)
    begin = time.perf_counter()
    tally.begin = waited.begin = begin
    await asyncio.sleep(asked.seconds)
    end = tally.end = waited.end = time.perf_counter()
    load_cpu, server_cpu = time.process_time() - load_cpu, _cpu_s(asked.pid) - server_cpu
    tally.stopped = waited.stopped = True
    _, late = await asyncio.wait(ends, timeout=_GOODBYE_S)
    if late:
        tally.failed(f"{len(late)} sessions did not end")
    took = end - begin
    return Played(
        steps=tally.steps,
        steps_per_s=tally.steps / took,
        requests_per_s=(tally.steps + tally.resets) / took,
        p50_ms=tally.quantile_ms(0.50),
        p99_ms=tally.quantile_ms(0.99),
        load_cpu=load_cpu / took,
        server_cpu=server_cpu / took,
        answer_bytes=tally.size / max(1, tally.steps),
        waited=waited.all_steps,
        errors=tally.errors + waited.errors,
        first_error=tally.first_error or waited.first_error,
    )


def _steps(actions: Path, envelope: bytes, made: Callable[[bytes], T]) -> Iterator[T]:
    """Return a message for each action, over and over; from the second time on with other reference numbers."""
    lines = actions.read_bytes().splitlines()

    def marked_again() -> Iterator[T]:
        for again in itertools.count(1):
            mark = f"S{again}-".encode()
            for line in lines:
                yield made(envelope % line.replace(MARK.encode(), mark))

    return itertools.chain([made(envelope % line) for line in lines], marked_again())


def _texts(messages: list[bytes]) -> list[str]:
    return [message.decode() for message in messages]


# -- holding ------------------------------------------------------------------------------------------------------


async def _open(asked: argparse.Namespace) -> Opened:
    tally = Tally()
    rss_before = _rss(asked.pid)
    begun = time.perf_counter()
    held = await _opened(asked, tally)
    took = time.perf_counter() - begun
    await asyncio.sleep(asked.settle)
    rss_open, threads_open = _rss(asked.pid), psutil.Process(asked.pid).num_threads()
    await _closed(held, tally)
    await asyncio.sleep(asked.settle)
    rss_closed = _rss(asked.pid)
    again = await _opened(asked, tally)
    await asyncio.sleep(asked.settle)
    rss_open_again = _rss(asked.pid)
    await _closed(again, tally)
    return Opened(
        sessions=len(held),
        open_s=took,
        rss_before=rss_before,
        rss_open=rss_open,
        rss_closed=rss_closed,
        rss_open_again=rss_open_again,
        threads_open=threads_open,
        errors=tally.errors,
        first_error=tally.first_error,
    )


async def _opened(asked: argparse.Namespace, tally: Tally) -> list[RawHolder]:
    places = asyncio.Semaphore(_HANDSHAKES)
    held: list[RawHolder] = []

    async def one(number: int) -> None:
        async with places:
            holder = RawHolder(asked.url, tally)
            try:
                await holder.open()
                await holder.reset(frame(b'{"type":"reset","data":{"seed":%d}}' % (number % _SEEDS)))
            except OSError as error:
                tally.failed(f"{type(error).__name__}: {error}")
            else:
                held.append(holder)

    await asyncio.gather(*(one(number) for number in range(asked.sessions)))
    return held


async def _closed(held: list[RawHolder], tally: Tally) -> None:
    for holder in held:
        holder.transport.write(CLOSE)
    if held:
        _, late = await asyncio.wait([holder.closed for holder in held], timeout=_GOODBYE_S)
        if late:
            tally.failed(f"{len(late)} sessions did not end")


def _cpu_s(pid: int) -> float:
    used = psutil.Process(pid).cpu_times()
    return float(used.user + used.system)


def _rss(pid: int) -> int:
    return int(psutil.Process(pid).memory_info().rss)


if __name__ == "__main__":
    main()
