"""Reaching a Ray cluster, or starting one on this machine, and letting go of it."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import ray

from supportbench import RunError
from supportbench_ray.said import raised_in

LOCAL: Final = "local"
_FOUND_BY_RAY: Final = ("auto", LOCAL)
_REACHABLE_WITHIN_S: Final = 5.0
_ANSWERS_WITHIN_S: Final = 20.0
_STORE_BYTES: Final = 256 << 20  # orders and episodes are small; Ray's default is a third of the memory


@asynccontextmanager
async def connected(address: str, workers: int | None) -> AsyncIterator[int]:
    """Within the block this process is connected to the cluster; yields how many workers have room on it.

    A cluster of its own is started with `workers` CPUs, or with those of the machine, and ended with the block. A
    connection that this process has already is used as it is, and stays.

    Raises:
        RunError: there is no cluster at this address, or none can be started.
    """
    if ray.is_initialized():
        yield _places()
        return
    if address not in _FOUND_BY_RAY:
        await _check(address)
    # Ray takes seconds to start and to stop; in a thread, it also leaves the handlers of signals alone.
    starting = asyncio.ensure_future(asyncio.to_thread(_connect, address, workers))
    try:
        await asyncio.shield(starting)
        yield _places()
    finally:
        with suppress(RunError):
            await starting
        await asyncio.to_thread(ray.shutdown)


def _connect(address: str, workers: int | None) -> None:
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address == LOCAL:
        # Nobody has asked for statistics of their use to be sent anywhere; who has said so in the environment, has.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        options |= {"num_cpus": workers, "include_dashboard": False, "object_store_memory": _STORE_BYTES}
    try:
        ray.init(address=address, **options)
    except (Exception, SystemExit) as error:
        told = f"Cannot start Ray on this machine: {error}" if address == LOCAL else _unreachable(address, str(error))
        raise RunError(told) from error


def _places() -> int:
    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return max(1, int(resources.get("CPU", 0)))


async def _check(address: str) -> None:
    """Raise `RunError` unless a Ray cluster answers; Ray itself would wait for minutes, and then end this process."""
    host, colon, port = address.rpartition(":")
    if "://" in address or not colon or not host or not port.isdigit():
        raise RunError(
            f"{address!r} is no address of a Ray cluster. Give HOST:PORT (the port is 6379 unless it was set), "
            "auto for the cluster that this machine is part of, or local for one of its own."
        )
    try:
        async with asyncio.timeout(_REACHABLE_WITHIN_S):
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
    except (OSError, OverflowError) as error:  # a timeout is one, too
        raise RunError(_unreachable(address, str(error) or "no answer")) from error
    command = (sys.executable, "-m", "ray.scripts.scripts", "status", "--address", address)
    asking = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(_ANSWERS_WITHIN_S):
            _, said = await asking.communicate()
    except TimeoutError as error:
        raise RunError(_unreachable(address, "what listens there does not answer as Ray does")) from error
    finally:
        if asking.returncode is None:
            asking.kill()
            await asking.wait()
    if asking.returncode:
        why = raised_in(said.decode(errors="replace")) or "what listens there does not answer as Ray does"
        raise RunError(_unreachable(address, why))


def _unreachable(address: str, why: str) -> str:
    return (
        f"Cannot reach a Ray cluster at {address}: {why}. See whether it runs (ray status --address {address}); one is "
        "started with: ray start --head --port 6379"
    )
