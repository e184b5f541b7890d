"""Playing episodes in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable

from supportbench.interfaces import LOCAL_EXECUTOR, EpisodeSpec, PlayEpisode
from supportbench.models import Episode


class LocalExecutor:
    """Plays episodes on the running event loop, at most `concurrency` at once. Specs are drawn as places fall free."""

    name = LOCAL_EXECUTOR

    async def run(
        self, play: PlayEpisode, specs: Iterable[EpisodeSpec], *, concurrency: int
    ) -> AsyncGenerator[Episode, None]:
        """Yield each episode as it ends; on leaving early, those under way are cancelled."""
        waiting = iter(specs)
        playing: set[asyncio.Future[Episode]] = set()
        try:
            while True:
                while len(playing) < concurrency and (spec := next(waiting, None)) is not None:
                    playing.add(asyncio.ensure_future(play(spec)))
                if not playing:
                    return
                finished, playing = await asyncio.wait(playing, return_when=asyncio.FIRST_COMPLETED)
                for episode in finished:
                    yield episode.result()
        finally:
            for unfinished in playing:
                unfinished.cancel()
            await asyncio.gather(*playing, return_exceptions=True)
