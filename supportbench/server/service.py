"""What the transports share: one worker's registry, graders, sessions, counters and open sockets."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any, Final, Protocol

from supportbench.environment import SupportQueueEnvironment
from supportbench.errors import PluginCallError, StoreError, SupportbenchError
from supportbench.evaluation.episode import notify_episode_finished
from supportbench.graders import Graders
from supportbench.models import Episode
from supportbench.offers import closing
from supportbench.registry import Registry
from supportbench.rubrics import resolve_rubric
from supportbench.server.recording import Recorder
from supportbench.server.refusals import INTERNAL, Refusal
from supportbench.server.sessions import Sessions
from supportbench.settings import ServerSettings
from supportbench.turns import Turn
from supportbench.watchdog import watch

logger: Final = logging.getLogger("supportbench.server")


class Socket(Protocol):
    """An open WebSocket, as draining sees it."""

    def drain(self) -> None:
        """Close with 1012, at once or when the request in flight is answered."""
        ...


class Service:
    """Everything behind the routes of one worker.

    Raises at construction what `Graders` and the store raise: a rubric that cannot be bound stops the start.
    """

    def __init__(self, settings: ServerSettings, registry: Registry) -> None:
        self.settings = settings
        self.registry = registry
        override = None if settings.rubric is None else resolve_rubric(registry, settings.rubric)
        self.graders = Graders(registry, override)
        self.recorder = None if settings.record is None else Recorder(Path(settings.record))
        self.started_at = time.time()
        self.counts: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.sockets: set[Socket] = set()
        self.draining = False
        self._all_left = asyncio.Event()
        self._background: set[asyncio.Task[Any]] = set()
        self.sessions = Sessions(
            settings,
            new_environment=self._new_environment,
            publish=self._publish,
            takes_notes=self.recorder is not None or bool(registry.listeners),
        )

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Within the block the service is up; at its end, everything that plugins offer is closed."""
        # Read when the block ends: components with options of their own are made when a task first asks for them.
        offers = (offer for source in (self.registry, self.graders) for offer in source.offers())
        async with closing(offers), watch(self.registry), contextlib.aclosing(self.sessions):
            await self.sessions.check()
            sweeping = asyncio.create_task(self.sessions.sweep_for_ever())
            try:
                yield
            finally:
                sweeping.cancel()
                await asyncio.gather(sweeping, *self._background, return_exceptions=True)
                if self.recorder is not None:
                    await self.recorder.aclose()

    async def drain(self, timeout_s: float) -> None:
        """Let every WebSocket go with 1012, those with a request at work after its answer, for `timeout_s` at most."""
        self.draining = True
        self._all_left.clear()
        for socket in tuple(self.sockets):
            socket.drain()
        if self.sockets:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._all_left.wait(), timeout_s)

    def left(self, socket: Socket) -> None:
        """Note that a WebSocket is gone."""
        self.sockets.discard(socket)
        if not self.sockets:
            self._all_left.set()

    def in_background(self, work: Coroutine[Any, Any, None]) -> None:
        """Do the work beside everything else; it is waited for at the end."""
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._done)

    def stepped(self, turn: Turn) -> None:
        """Count a step that was graded."""
        self.counts["steps"] += 1
        if turn.done:
            self.counts["episodes"] += 1

    def refused(self, refusal: Refusal, error: SupportbenchError, session_id: str) -> None:
        """Note that a request was refused; where a plugin or the store is at fault, log what it said."""
        self.errors[refusal.code] += 1
        if isinstance(error, StoreError):
            logger.error("%s", error, extra={"session_id": session_id})
        if isinstance(error, PluginCallError):
            logger.error("%s", error, extra={"session_id": session_id})
            logger.debug("%s", error.detail, extra={"session_id": session_id})  # its words may have an answer key

    def failed(self, error: Exception, session_id: str) -> Refusal:
        """Log a bug of ours and return what the client is told of it."""
        self.errors["EXECUTION_ERROR"] += 1
        logger.error("A request failed", exc_info=error, extra={"session_id": session_id})
        return INTERNAL

    def _done(self, task: asyncio.Task[None]) -> None:
        self._background.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None and not isinstance(error, OSError):
            logger.error("Work in the background failed", exc_info=error)

    def _new_environment(self) -> SupportQueueEnvironment:
        return SupportQueueEnvironment(
            self.registry, graders=self.graders, provider=self.settings.provider, feedback=self.settings.feedback
        )

    def _publish(self, episode: Episode) -> None:
        if self.recorder is not None:
            self.recorder.append(episode)
        if self.registry.listeners:
            self.in_background(notify_episode_finished(self.registry, episode))
