"""Getting a journal to the disk beside the playing: several episodes that end at once are synced at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from supportbench.evaluation.journal import RunFolder


@asynccontextmanager
async def syncing(folder: RunFolder) -> AsyncIterator[Callable[[], None]]:
    """Within the block, call what this yields after each `append`: what was appended is synced soon, in a thread.

    Nobody waits for it but the end of the block.

    Raises:
        RunError: something did not get to the disk; at the next call, or at the end.
    """
    appended = asyncio.Event()
    is_over = False

    async def sync() -> None:
        while not is_over:
            await appended.wait()
            appended.clear()
            await asyncio.to_thread(folder.sync)

    worker = asyncio.ensure_future(sync())

    def request() -> None:
        if worker.done():
            worker.result()
        appended.set()

    try:
        yield request
    finally:
        is_over = True
        appended.set()
        await worker
