"""Ending in good order, whatever the reason: a deadline, a signal, output that nobody reads."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Coroutine, Iterator
from types import FrameType
from typing import Any, Final, TypeVar

T = TypeVar("T")

GRACE_S: Final = 2.0
"""How long what is under way may take to end when it is told to."""


class Stop:
    """The one reason for which everything ends before it is done; made on a running event loop."""

    def __init__(self) -> None:
        self.reason: str | None = None
        self.exit_code = 1
        self._loop = asyncio.get_running_loop()
        self._requested = asyncio.Event()

    def request(self, reason: str, exit_code: int = 1) -> None:
        """Ask for the end, from anywhere, a signal handler included; the first reason counts."""
        if self.reason is None:
            self.reason, self.exit_code = reason, exit_code
            self._loop.call_soon_threadsafe(self._requested.set)

    async def unless(self, work: Coroutine[Any, Any, T], *, grace_s: float = GRACE_S) -> T | None:
        """Return what the work returns, or None when the end was asked for before it was finished.

        Work that is told to end has `grace_s` to do so; after that it is left alone.
        """
        working, requested = asyncio.ensure_future(work), asyncio.ensure_future(self._requested.wait())
        await asyncio.wait({working, requested}, return_when=asyncio.FIRST_COMPLETED)
        requested.cancel()
        if not working.done():
            working.cancel()
            await asyncio.wait({working}, timeout=grace_s)
        return working.result() if working.done() and not working.cancelled() else None

    @contextlib.contextmanager
    def on_signals(self) -> Iterator[None]:
        """Within the block Ctrl-C and SIGTERM ask for the end; asked again later than `GRACE_S`, it is not orderly."""
        asked_at: float | None = None

        def ask(number: int, frame: FrameType | None) -> None:
            nonlocal asked_at
            if asked_at is None:
                asked_at = time.monotonic()
                self.request(f"interrupted by {signal.Signals(number).name}", 128 + number)
            elif time.monotonic() - asked_at > GRACE_S:
                raise KeyboardInterrupt

        before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
