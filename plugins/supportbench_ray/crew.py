"""The workers of one run: chunks of specs out, episodes in, and another worker in the place of a lost one."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import AsyncGenerator, Collection, Iterable
from importlib.metadata import version
from itertools import islice
from typing import Any, Final

import ray
from ray.exceptions import RayError, RayTaskError

from supportbench import Episode, EpisodeSpec, PlayOrder, RunError, SupportbenchError
from supportbench_ray.said import said_of
from supportbench_ray.worker import Greeting, Outcome, Worker

MOST_LOSSES: Final = 3
"""So often may workers be lost over one episode, the last time over that alone; or before any is ready to play."""

_CHUNKS_AT_ONCE: Final = 4
_TOLD_TO_WAIT_AFTER_S: Final = 10.0
_CLOSED_WITHIN_S: Final = 10.0

logger: Final = logging.getLogger("supportbench_ray")


class Crew:
    """Plays the specs with so many workers at most, and with `concurrency` episodes under way on all together.

    Each worker has a few chunks at once, so that it need not wait for the slowest episode of one before it is sent the
    next. Specs are drawn as places fall free: none is drawn that is not under way at once.
    """

    def __init__(self, order: PlayOrder, specs: Iterable[EpisodeSpec], *, workers: int, concurrency: int) -> None:
        self._order = order
        self._specs = iter(specs)
        self._waiting = deque(islice(self._specs, workers))
        self._workers = len(self._waiting)  # one that has nothing to play would be started in vain
        each = concurrency // max(1, self._workers)
        self._chunk = max(1, each // _CHUNKS_AT_ONCE)
        self._chunks_each = max(1, each // self._chunk)
        self._under_way = 0
        self._losses: Counter[EpisodeSpec] = Counter()
        self._suspects: deque[EpisodeSpec] = deque()
        self._changed = asyncio.Event()
        self._arrived: asyncio.Queue[Episode] = asyncio.Queue()
        self._ready: list[Any] = []

    async def episodes(self) -> AsyncGenerator[Episode, None]:
        """Yield each episode as it ends; on leaving early, the workers are ended.

        Raises:
            RunError: a worker cannot play, or too many are lost.
            SupportbenchError: what playing that episode in this process would have raised.
        """
        if not self._waiting:
            return
        sent = await asyncio.to_thread(ray.put, self._order)  # tickets may be many
        tasks: list[asyncio.Future[Any]] = [asyncio.ensure_future(self._work(sent)) for _ in range(self._workers)]
        try:
            while not self._is_done():
                tasks.append(arriving := asyncio.ensure_future(self._arrived.get()))
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                tasks.pop()
                if arriving not in done:
                    arriving.cancel()
                    for worker in done:
                        worker.result()  # raises: nothing but an error ends a worker's part
                yield arriving.result()
            await self._close()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _is_done(self) -> bool:
        if self._under_way or self._waiting or self._suspects or not self._arrived.empty():
            return False
        self._give_back(islice(self._specs, 1))
        return not self._waiting

    async def _next_chunk(self, held: Collection[EpisodeSpec]) -> tuple[EpisodeSpec, ...]:
        """Return what to play next on a worker that plays `held`; where nothing is left, wait: lost ones come back."""
        while not (chunk := self._drawn(held)):
            self._changed.clear()
            await self._changed.wait()
        self._under_way += len(chunk)
        return chunk

    def _drawn(self, held: Collection[EpisodeSpec]) -> tuple[EpisodeSpec, ...]:
        if any(map(self._is_suspect, held)):
            return ()
        if self._suspects:
            return () if held else (self._suspects.popleft(),)
        chunk: list[EpisodeSpec] = []
        while len(chunk) < self._chunk:
            spec = self._waiting.popleft() if self._waiting else next(self._specs, None)
            if spec is None:
                break
            chunk.append(spec)
        return tuple(chunk)

    def _is_suspect(self, spec: EpisodeSpec) -> bool:
        """Return whether a worker is to play this and nothing else: should that one be lost, too, it is known why."""
        return self._losses[spec] >= MOST_LOSSES - 1

    def _give_back(self, specs: Iterable[EpisodeSpec]) -> None:
        for spec in specs:
            (self._suspects if self._is_suspect(spec) else self._waiting).append(spec)
        self._changed.set()

    # -- one worker, and those that come after it ------------------------------------------------------------------

    async def _work(self, sent: Any) -> None:
        failed_starts = 0
        make = ray.remote(Worker).options(num_cpus=1)
        level = logging.getLogger("supportbench").getEffectiveLevel()
        while True:
            actor: Any = make.remote(sent, level)
            who = ""
            try:
                who = (await self._greeted(actor)).who
                failed_starts = 0
                self._ready.append(actor)
                await self._keep_busy(actor, who)
            except RayTaskError:  # raised in the worker, which is still there
                raise
            except RayError as error:
                if who:
                    logger.warning("Lost %s: %s. What it had begun is played again.", who, said_of(error))
                    continue
                failed_starts += 1
                if failed_starts == MOST_LOSSES:
                    raise RunError(
                        f"A worker of the Ray cluster cannot be started: {said_of(error)}. Is supportbench[ray] "
                        f"installed on each of its machines? pip install 'supportbench[ray]=={version('supportbench')}'"
                    ) from error
            finally:
                if actor in self._ready:
                    self._ready.remove(actor)
                ray.kill(actor)

    async def _greeted(self, actor: Any) -> Greeting:
        telling = asyncio.get_running_loop().call_later(_TOLD_TO_WAIT_AFTER_S, self._tell_of_waiting)
        try:
            greeting: Greeting = await actor.open.remote()
        finally:
            telling.cancel()
        if greeting.problem is not None:
            raise RunError(f"Worker {greeting.who} of the Ray cluster cannot play: {greeting.problem}")
        return greeting

    def _tell_of_waiting(self) -> None:
        if not self._ready:
            logger.warning("Waiting for a free CPU of the Ray cluster (see: ray status).")

    async def _keep_busy(self, actor: Any, who: str) -> None:
        """Send the worker chunk after chunk; ends by an error alone."""
        held: dict[EpisodeSpec, None] = {}
        feeders = [asyncio.ensure_future(self._feed(actor, who, held)) for _ in range(self._chunks_each)]
        try:
            done, _ = await asyncio.wait(feeders, return_when=asyncio.FIRST_EXCEPTION)
            for feeder in done:
                feeder.result()
        except RayTaskError:
            raise
        except RayError as error:
            self._count_losses(held, error)
            raise
        finally:
            for feeder in feeders:
                feeder.cancel()
            await asyncio.gather(*feeders, return_exceptions=True)
            self._under_way -= len(held)
            self._give_back(held)

    async def _feed(self, actor: Any, who: str, held: dict[EpisodeSpec, None]) -> None:
        while True:
            chunk = await self._next_chunk(held)
            held.update(dict.fromkeys(chunk))
            async for reference in actor.play.options(num_returns="streaming").remote(chunk):
                outcome: Outcome = await reference
                for note in outcome.notes:
                    logging.getLogger(note.logger).log(note.level, "%s (on %s)", note.text, who)
                if isinstance(outcome.result, SupportbenchError):
                    raise outcome.result
                del held[chunk[outcome.place]]
                self._under_way -= 1
                self._changed.set()
                self._arrived.put_nowait(outcome.result)

    def _count_losses(self, held: Iterable[EpisodeSpec], error: RayError) -> None:
        self._losses.update(list(held))
        for spec in held:
            if self._losses[spec] >= MOST_LOSSES:
                raise RunError(
                    f"Task {spec.task_id!r} was being played on {MOST_LOSSES} workers that were lost, one after the "
                    f"other: {said_of(error)}. Is there too little memory for it? Ray's logs say more."
                ) from error

    async def _close(self) -> None:
        """Have agents and graders closed; what that raises costs no results."""
        closing = [asyncio.ensure_future(_closed(actor)) for actor in self._ready]
        if closing:
            _, late = await asyncio.wait(closing, timeout=_CLOSED_WITHIN_S)
            for task in late:
                task.cancel()


async def _closed(actor: Any) -> None:
    try:
        await actor.close.remote()
    except RayError as error:
        logger.warning("A worker of the Ray cluster was not closed in good order: %s", said_of(error))
