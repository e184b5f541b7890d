"""Where episodes are played: in this process, or wherever an executor of a plugin has them played."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping
from typing import Any

from supportbench.errors import HookError, UnknownNameError
from supportbench.interfaces import LOCAL_EXECUTOR, EpisodeSpec, Executor, PlayEpisode
from supportbench.models import Episode
from supportbench.offers import configure, options_given
from supportbench.registry import Registry
from supportbench.wording import did_you_mean


class LocalExecutor:
    """Plays episodes on the running event loop, at most `concurrency` at once. Specs are drawn as places fall free."""

    name = LOCAL_EXECUTOR

    async def run(
        self, play: PlayEpisode, specs: Iterable[EpisodeSpec], *, concurrency: int
    ) -> AsyncGenerator[Episode, None]:
        """Yield each episode as it ends; on leaving early, those under way are cancelled."""
        waiting = iter(specs)
        playing: set[asyncio.Future[Episode]] = set()
        ended: asyncio.Queue[asyncio.Future[Episode]] = asyncio.Queue()
        try:
            while True:
                while len(playing) < concurrency and (spec := next(waiting, None)) is not None:
                    episode = asyncio.ensure_future(play(spec))
                    episode.add_done_callback(ended.put_nowait)
                    playing.add(episode)
                if not playing:
                    return
                playing.remove(finished := await ended.get())
                yield finished.result()
        finally:
            for unfinished in playing:
                unfinished.cancel()
            await asyncio.gather(*playing, return_exceptions=True)


def choose_executor(registry: Registry, label: str, options: Mapping[str, Any]) -> Executor:
    """Return the executor that the label names; what stands behind its first colon fills the first of its options.

    Raises:
        UnknownNameError: no such executor, or it takes no argument.
        OptionsError: its options are wrong.
    """
    name, colon, argument = label.partition(":")
    if name == LOCAL_EXECUTOR:
        offered: Executor = LocalExecutor()
    elif name in registry.executors:
        offered = registry.executors[name]
    else:
        known = (LOCAL_EXECUTOR, *registry.executors)
        raise UnknownNameError(f"There is no executor {name!r}. {did_you_mean(name, known)}")
    what = f"executor {name!r}"
    given = options_given(offered, name, argument if colon else None, options, what)
    configured, _ = configure(offered, given, what)
    if not callable(getattr(configured, "run", None)):
        raise HookError(f"configuring {what} gave {type(configured).__name__}, which has no method run")
    return configured
