"""The executor `ray`: what it is set to, and how it plays."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing
from importlib import import_module
from importlib.util import find_spec
from typing import Final

import attrs
from attrs.validators import ge, min_len, optional

from supportbench import Episode, EpisodeSpec, PlayEpisode

_ADDRESS: Final = "RAY_ADDRESS"


@attrs.frozen(kw_only=True)
class RayOptions:
    """Where the cluster is, and how many of its processes play.

    `address` is `host:port`, `auto` for the cluster that this machine is part of, or `local` for one that is started on
    this machine for the run; without it RAY_ADDRESS says so, else it is `local`. `workers` is the number of processes,
    each on a CPU of its own; without it there are as many as the cluster has CPUs.
    """

    address: str | None = attrs.field(default=None, validator=optional(min_len(1)))
    workers: int | None = attrs.field(default=None, validator=optional(ge(1)))


@attrs.frozen(kw_only=True)
class RayExecutor:
    """Spreads episodes over the workers of a Ray cluster; what a lost worker had not finished is played again."""

    name = "ray"
    Options = RayOptions

    environ: Mapping[str, str] = attrs.field(repr=False)
    options: RayOptions = attrs.field(factory=RayOptions)

    @property
    def needs(self) -> str | None:
        """The extra that has to be installed before this can be used, None where it is."""
        found = find_spec("ray")  # to import it takes half a second, and much memory
        return None if found is not None and found.origin else "supportbench[ray]"

    def configured(self, options: RayOptions) -> RayExecutor:
        """Return the executor with these options."""
        return attrs.evolve(self, options=options)

    async def run(
        self, play: PlayEpisode, specs: Iterable[EpisodeSpec], *, concurrency: int
    ) -> AsyncGenerator[Episode, None]:
        """Yield each episode as it ends, with at most `concurrency` under way on all workers together.

        Raises:
            RunError: there is no cluster, a worker lacks what the run is played with, or an episode ends its workers.
        """
        await asyncio.to_thread(import_module, "ray")  # takes half a second
        from supportbench_ray.cluster import connected  # noqa: PLC0415 - imports ray
        from supportbench_ray.crew import Crew  # noqa: PLC0415 - imports ray

        address = self.options.address or self.environ.get(_ADDRESS, "").strip() or "local"
        order = play.order()
        async with connected(address, self.options.workers) as places:
            workers = min(self.options.workers or places, concurrency)
            async with aclosing(Crew(order, specs, workers=workers, concurrency=concurrency).episodes()) as episodes:
                async for episode in episodes:
                    yield episode
