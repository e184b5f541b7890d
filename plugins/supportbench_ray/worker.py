"""What runs in each worker process of the cluster: it loads the plugins once and plays what it is sent."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack

import attrs

from supportbench import Episode, EpisodeSpec, PlayEpisode, PlayOrder, SupportbenchError


@attrs.frozen(kw_only=True)
class Note:
    """What was logged on a worker: by whom, how grave it is, and the text."""

    logger: str
    level: int
    text: str


@attrs.frozen(kw_only=True)
class Outcome:
    """What became of the spec at `place` of a chunk, and what was logged meanwhile."""

    place: int
    result: Episode | SupportbenchError
    notes: tuple[Note, ...] = ()


@attrs.frozen(kw_only=True)
class Greeting:
    """Who a worker is, and why it cannot play, if it cannot."""

    who: str
    problem: str | None = None


class _Notes(logging.Handler):
    """Keeps what is logged until it is sent home."""

    def __init__(self) -> None:
        super().__init__()
        self._kept: deque[Note] = deque(maxlen=1000)

    def emit(self, record: logging.LogRecord) -> None:
        if not record.name.startswith("ray"):
            self._kept.append(Note(logger=record.name, level=record.levelno, text=self.format(record)))

    def taken(self) -> tuple[Note, ...]:
        notes = tuple(self._kept)
        self._kept.clear()
        return notes


class Worker:
    """One process's part of a run; made by Ray on the machine where it plays."""

    def __init__(self, order: PlayOrder, log_level: int) -> None:
        self._order = order
        self._open = AsyncExitStack()
        self._play: PlayEpisode | None = None
        self._notes = _Notes()
        root = logging.getLogger()
        root.addHandler(self._notes)
        root.setLevel(max(log_level, logging.INFO))  # other libraries' debugging is nobody's business
        logging.getLogger("supportbench").setLevel(log_level)

    async def open(self) -> Greeting:
        """Make ready to play; return who this is."""
        who = f"{socket.gethostname()} (process {os.getpid()})"
        try:
            self._play = await self._open.enter_async_context(self._order.playing(os.environ))
        except SupportbenchError as error:
            return Greeting(who=who, problem=str(error))
        return Greeting(who=who)

    async def play(self, specs: Sequence[EpisodeSpec]) -> AsyncIterator[Outcome]:
        """Yield what became of each spec as its episode ends; they are all under way at once."""
        under_way = {asyncio.ensure_future(self._played(place, spec)) for place, spec in enumerate(specs)}
        try:
            for ended in asyncio.as_completed(under_way):
                yield attrs.evolve(await ended, notes=self._notes.taken())
        finally:
            for unfinished in under_way:
                unfinished.cancel()

    async def _played(self, place: int, spec: EpisodeSpec) -> Outcome:
        assert self._play is not None  # noqa: S101 - nobody is sent a spec who has not said that he is ready
        try:
            return Outcome(place=place, result=await self._play(spec))
        except SupportbenchError as error:
            return Outcome(place=place, result=error)

    async def close(self) -> None:
        """Close the agent and the graders."""
        await self._open.aclose()
