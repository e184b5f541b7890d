"""A server in a container of its own: started, waited for, and removed whatever happens."""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import re
import secrets
import socket
import subprocess
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Any, Final, TypeVar

import anyio
import httpx

from supportbench import codec
from supportbench.client.docker import Said, check_installed, docker
from supportbench.errors import ContainerError, DecodeError, SettingsError
from supportbench.protocol import check_seconds
from supportbench.wording import shown

T = TypeVar("T")

CONTAINER_PORT: Final = 8000
"""The port on which OpenEnv's servers listen inside of their containers."""

HEALTH_TIMEOUT_S: Final = 60.0

_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# With these the docker command itself would do something else, since it is given the variables to hand them on.
_DOCKERS_OWN: Final = re.compile(r"DOCKER_.*|PATH|HOME")
_MOST_ATTEMPTS: Final = 5
_STOP_S: Final = 5
_LOG_LINES: Final = 20
_SHORTEST_SECRET: Final = 4
_POLLS_S: Final = (0.05, 0.1, 0.2, 0.5)

logger: Final = logging.getLogger("supportbench.client.container")


class Container:
    """A server in a docker container, reachable on loopback alone::

        async with Container("supportbench", env={"SUPPORTBENCH_RUBRIC": "exact"}) as base_url:
            …

    `port` is the port on loopback, a free one if it is None. The values of `env` stand on no command line and in no
    message. The container is stopped and removed when the block is left in whatever way, also half way into the start,
    and at the end of the program at the latest. What docker keeps of it is its image, which has to be there already.
    """

    def __init__(
        self,
        image: str,
        *,
        port: int | None = None,
        env: Mapping[str, str] | None = None,
        health_timeout_s: float = HEALTH_TIMEOUT_S,
    ) -> None:
        if not image.strip() or image.startswith("-") or not image.isprintable():
            raise ContainerError(f"{shown(image)} is no name of a docker image. Write it like supportbench:latest")
        self.image = image
        self._port = port
        self._env = _checked(env or {})
        self._health_timeout_s = check_seconds("health_timeout_s", health_timeout_s)
        self._last_resort: Callable[[], None] | None = None
        self._handle = ""  # the container's name until its id is known, empty when there is none
        self._base_url: str | None = None
        self._turn = asyncio.Lock()

    async def start(self) -> str:
        """Return the base URL of the server, healthy; does nothing else when it was started already.

        Raises:
            ContainerError: docker or the image is not there, or the server did not come up; the container is removed.
        """
        async with self._turn:
            if self._base_url is not None:
                return self._base_url
            try:
                # Not to be interrupted: docker would go on with a container of which nobody knows.
                base_url = await _to_the_end(self._run())
                await self._wait_until_healthy(base_url)
            except BaseException:
                await _to_the_end(self._remove())
                raise
            self._base_url = base_url
            return base_url

    async def stop(self) -> None:
        """Stop and remove the container, if there is one; what could not be removed is logged."""
        async with self._turn:
            self._base_url = None
            await _to_the_end(self._stop_and_remove())

    async def __aenter__(self) -> str:
        return await self.start()

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.image!r} {self._base_url or 'not started'}>"

    # -- starting --------------------------------------------------------------------------------------------------

    async def _run(self) -> str:
        check_installed()
        for _ in range(_MOST_ATTEMPTS):
            port = self._port or _free_port()
            said = await self._run_on(port)
            if said.code == 0:
                return f"http://127.0.0.1:{port}"
            await self._remove(logging.DEBUG)  # docker keeps a container that it could not start
            if not said.is_port_taken:
                raise ContainerError(f"Cannot start image {self.image!r}. {said.meaning()}")
            if self._port is not None:
                raise ContainerError(f"Port {self._port} of this machine is taken. Give another one, or none at all.")
        raise ContainerError(f"Found no free port for image {self.image!r}. {said.meaning()}")

    async def _run_on(self, port: int) -> Said:
        self._handle = f"supportbench-{secrets.token_hex(8)}"
        self._last_resort = partial(_remove_at_exit, self._handle, os.getpid())
        atexit.register(self._last_resort)
        options = ["-d", "--name", self._handle, "-p", f"127.0.0.1:{port}:{CONTAINER_PORT}", "--pull=never"]
        for variable in self._env:
            options += ["-e", variable]
        said = await docker("run", *options, self.image, environ=self._env)
        if said.code == 0 and said.out.split():
            self._handle = said.out.split()[-1]
        return said

    async def _wait_until_healthy(self, base_url: str) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + self._health_timeout_s
        polls = iter(_POLLS_S)
        async with httpx.AsyncClient(base_url=base_url, timeout=2.0, trust_env=False) as http:
            while True:
                told = await _health(http)
                if told is None:
                    return
                if await self._has_ended():
                    raise ContainerError(
                        f"The server of image {self.image!r} ended before it was healthy. {await self._last_words()}"
                    )
                if loop.time() >= until:
                    raise ContainerError(
                        f"The server of image {self.image!r} was not healthy within {self._health_timeout_s:g} s: "
                        f"{told}. {await self._last_words()}"
                    )
                await asyncio.sleep(min(next(polls, _POLLS_S[-1]), max(0.0, until - loop.time())))

    async def _has_ended(self) -> bool:
        said = await docker("inspect", "--format", "{{.State.Running}}", self._handle)
        return said.is_not_there or (said.code == 0 and said.out.strip() == "false")

    async def _last_words(self) -> str:
        said = await docker("logs", "--tail", str(_LOG_LINES), self._handle)
        lines = f"{said.out}{said.err}".strip()
        for value in sorted(self._env.values(), key=len, reverse=True):
            if len(value) >= _SHORTEST_SECRET:
                lines = lines.replace(value, "…")
        return f"Its last words:\n{lines[-4000:]}" if said.code == 0 and lines else "It left no word."

    # -- ending ----------------------------------------------------------------------------------------------------

    async def _stop_and_remove(self) -> None:
        if self._handle:
            with suppress(ContainerError):  # then it is removed without having been asked to end
                await docker("stop", "-t", str(_STOP_S), self._handle)
        await self._remove()

    async def _remove(self, level: int = logging.ERROR) -> None:
        """Remove the container; if that fails, log so at this level."""
        handle, last_resort, self._handle = self._handle, self._last_resort, ""
        if not handle or last_resort is None:
            return
        try:
            said = await docker("rm", "-f", "-v", handle)
            problem = "" if said.code == 0 or said.is_not_there else said.meaning()
        except ContainerError as error:
            problem = str(error)
        if problem:
            logger.log(
                level, "Container %s may still be there. Remove it: docker rm -f %s. %s", handle, handle, problem
            )
        if not problem or level < logging.ERROR:  # else it is tried once more at the end of the program
            atexit.unregister(last_resort)


async def _to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """Return what the work returns; who is cancelled meanwhile is so only when it is done."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    with anyio.CancelScope(shield=True):
        while not task.done():
            try:
                await asyncio.shield(task)
            except asyncio.CancelledError as error:
                if task.done():  # it is the work that was cancelled: the whole loop ends
                    raise
                cancelled = error
            except Exception:  # is raised below
                break
    if cancelled is not None:
        raise cancelled
    return task.result()


def _remove_at_exit(name: str, process_id: int) -> None:
    """Remove a container that nobody removed, as the program ends: its loop is gone, or was never asked."""
    if os.getpid() != process_id:  # a child that was forked off ends too, and has no say
        return
    with suppress(OSError, subprocess.TimeoutExpired):  # nobody is left to be told
        subprocess.run(  # noqa: S603 - a name of our own
            ["docker", "rm", "-f", "-v", name],  # noqa: S607 - whatever docker was before
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=20,
            check=False,
        )


def _checked(env: Mapping[str, str]) -> Mapping[str, str]:
    """Return the variables; raises `SettingsError` for one that cannot be handed on."""
    for name, value in env.items():
        if not _VARIABLE.fullmatch(name):
            raise SettingsError(f"{shown(name)} is no name of an environment variable.")
        if _DOCKERS_OWN.fullmatch(name):
            raise SettingsError(f"{name} cannot be handed to a container: the docker command itself would obey it.")
        if not isinstance(value, str) or "\0" in value:
            raise SettingsError(f"The value of {name} is no text that an environment variable can have.")
    return dict(env)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def _health(http: httpx.AsyncClient) -> str | None:
    """Return what is wrong with the server, None if it is healthy."""
    try:
        response = await http.get("/health")
    except httpx.HTTPError as error:
        return f"nobody answers ({type(error).__name__})"
    if response.status_code != httpx.codes.OK:
        return f"GET /health is answered with status {response.status_code}"
    try:
        told = codec.parse_json(response.content)
    except DecodeError:
        told = None
    is_healthy = isinstance(told, dict) and told.get("status") == "healthy"
    return None if is_healthy else "GET /health does not say that it is healthy"
