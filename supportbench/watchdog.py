"""Naming whoever holds the event loop: a thread asks the loop for a sign of life and, if none comes, reads its stack.

Nothing is added to the way of an action: an idle loop is woken some 40 times a second, a busy one no oftener.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from types import FrameType
from typing import Final

from supportbench.registry import Registry

HOLD_LIMIT_S: Final = 0.1
_PAUSE_S: Final = 0.025
_THREADS: Final = "/proc/self/task"

logger: Final = logging.getLogger("supportbench.watchdog")


@asynccontextmanager
async def watch(registry: Registry, limit_s: float = HOLD_LIMIT_S) -> AsyncIterator[None]:
    """Within the block, log a warning that names each plugin holding the running loop for longer than `limit_s`.

    A hold is seen while it lasts, so that one that never ends is named too. Holds of `limit_s` to `limit_s` + 25 ms may
    go unseen. Time is nobody's fault and not counted while the loop's thread waits for a processor, and while another
    thread of the process is at work or waits for one, which may have the interpreter's lock; where the system tells
    (Linux does).
    """
    watchdog = _Watchdog(asyncio.get_running_loop(), _Clock(), _plugin_names(registry), limit_s)
    thread = threading.Thread(target=watchdog.run, name="supportbench-watchdog", daemon=True)
    thread.start()
    try:
        yield
    finally:
        watchdog.stop.set()
        await asyncio.to_thread(thread.join)


def _plugin_names(registry: Registry) -> Mapping[str, str]:
    return {plugin.module.__name__: plugin.name for plugin in registry.plugins}


class _Clock:
    """A time in seconds that stands still while the thread that made it could not help being late."""

    def __init__(self) -> None:
        self.ident = threading.get_ident()
        self._native_id = str(threading.get_native_id())
        self._waited_ns = 0
        self._seen: dict[str, int] = {}

    def __call__(self) -> float:
        """Return the time; it goes on from what it was, whichever threads end meanwhile."""
        seen = {}
        others_ns = 0
        with suppress(OSError), os.scandir(_THREADS) as threads:
            for thread in threads:
                with suppress(OSError, ValueError), open(f"{thread.path}/schedstat", "rb") as file:  # noqa: PTH123 - quick
                    ran_ns, waited_ns, _ = map(int, file.read().split())
                    seen[thread.name] = waited_ns
                    if thread.name == self._native_id:
                        others_ns = time.process_time_ns() - ran_ns  # theirs, too, which have ended
        self._waited_ns += sum(waited_ns - self._seen.get(name, 0) for name, waited_ns in seen.items())
        self._seen = seen
        return time.monotonic() - (others_ns + self._waited_ns) / 1e9


class _Watchdog:
    def __init__(
        self, loop: asyncio.AbstractEventLoop, clock: _Clock, plugins: Mapping[str, str], limit_s: float
    ) -> None:
        self.stop = threading.Event()
        self._loop = loop
        self._clock = clock
        self._plugins = plugins
        self._limit_s = limit_s

    def run(self) -> None:
        """Ask, wait, look; until told to stop."""
        alive = self._clock()
        while not self.stop.wait(_PAUSE_S):
            answered = threading.Event()
            try:
                self._loop.call_soon_threadsafe(answered.set)
            except RuntimeError:  # the loop is closed: nobody is left to hold it
                return
            if self._is_held(answered, alive):
                culprit = self._culprit()
                while not answered.wait(1.0):
                    if self.stop.is_set():
                        return
                    culprit = self._report(culprit, self._clock() - alive, "has been holding")
                self._report(culprit, self._clock() - alive, "held")
            alive = self._clock()

    def _is_held(self, answered: threading.Event, alive: float) -> bool:
        """Wait for the sign of life; return whether none has come within the limit."""
        while (left_s := alive + self._limit_s - self._clock()) > 0:
            if answered.wait(left_s):
                return False
        return not answered.is_set()

    def _report(self, culprit: str | None, held_s: float, verb: str) -> str | None:
        if culprit is not None:
            logger.warning(
                "%s %s the event loop for %.0f ms; work that blocks belongs in anyio.to_thread.run_sync",
                culprit,
                verb,
                held_s * 1000,
            )
        return culprit

    def _culprit(self) -> str | None:
        """Return who is at work in the loop's thread: the innermost frame that belongs to a plugin."""
        frame = sys._current_frames().get(self._clock.ident)
        for current in _outwards(frame):
            module = str(current.f_globals.get("__name__", ""))
            for package, plugin in self._plugins.items():
                if module == package or module.startswith((f"{package}.", f"{package.partition('.')[0]}.")):
                    name = getattr(current.f_locals.get("self"), "name", None)
                    offer = f" ({name})" if isinstance(name, str) else ""
                    return f"Plugin {plugin!r}{offer} at {module}:{current.f_lineno}"
        return None


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back
