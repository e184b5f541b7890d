"""Episodes on a Ray cluster: the executor `ray`. It needs the extra `supportbench[ray]`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from supportbench import Executor, hookimpl
from supportbench_ray.executor import RayExecutor

supportbench_api = 1


@hookimpl
def supportbench_executors(environ: Mapping[str, str]) -> Iterator[Executor]:
    """Offer the executor."""
    yield RayExecutor(environ=environ)
