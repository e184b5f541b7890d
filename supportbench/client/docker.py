"""The docker command line: one call at a time, and what its complaints mean."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import Mapping
from typing import Final

import attrs

from supportbench.errors import ContainerError

_MEANINGS: Final = (
    (
        re.compile(r"permission denied.*(daemon|docker\.sock)", re.IGNORECASE | re.DOTALL),
        "This user may not use docker: add it to the group `docker`, or use a rootless docker.",
    ),
    (
        re.compile(
            r"cannot connect to the docker daemon|docker daemon (is )?(not )?running|docker\.sock", re.IGNORECASE
        ),
        "The docker daemon does not run: start it (Docker Desktop, or `systemctl start docker`).",
    ),
    (
        re.compile(
            r"no such image|unable to find image|pull access denied|manifest unknown|image not known", re.IGNORECASE
        ),
        "There is no such image on this machine: `docker build -t NAME .` builds one, `docker pull NAME` fetches one.",
    ),
)
_PORT_TAKEN: Final = re.compile(
    r"port is already allocated|address already in use|ports are not available", re.IGNORECASE
)
_NOT_THERE: Final = re.compile(r"no such (container|object)|already in progress", re.IGNORECASE)


@attrs.frozen
class Said:
    """What a docker command came to."""

    code: int
    out: str
    err: str

    @property
    def is_port_taken(self) -> bool:
        """Whether it failed since the port belongs to somebody else."""
        return self.code != 0 and _PORT_TAKEN.search(self.err) is not None

    @property
    def is_not_there(self) -> bool:
        """Whether it failed since there is no such container (any more)."""
        return self.code != 0 and _NOT_THERE.search(self.err) is not None

    def meaning(self) -> str:
        """Return what the complaint means and what to do, then the complaint itself."""
        complaint = self.err.strip()[-1500:] or f"it ended with code {self.code} and no word"
        told = [meaning for pattern, meaning in _MEANINGS if pattern.search(self.err)]
        return f"{told[0]} Docker says: {complaint}" if told else f"Docker says: {complaint}"


def check_installed() -> None:
    """Raise `ContainerError` where there is no docker command."""
    if shutil.which("docker") is None:
        raise ContainerError(
            "There is no `docker` on the PATH. Install it (https://docs.docker.com/get-docker), or start the server by "
            "other means and give its URL."
        )


async def docker(*arguments: str, environ: Mapping[str, str] | None = None, timeout_s: float = 60.0) -> Said:
    """Return what `docker …` says; `environ` is added to its environment.

    It does not get the terminal's Ctrl-C: what it began, it ends. Cancelled, or after `timeout_s`, it is killed.

    Raises:
        ContainerError: there is no docker, or it takes too long.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            "docker",
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, **(environ or {})},
            start_new_session=True,
        )
    except OSError as error:
        raise ContainerError(f"Cannot run docker: {error.strerror}.") from error
    try:
        async with asyncio.timeout(timeout_s):
            out, err = await process.communicate()
    except TimeoutError:
        raise ContainerError(f"`docker {arguments[0]}` did not end within {timeout_s:g} s.") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return Said(process.returncode or 0, out.decode(errors="replace"), err.decode(errors="replace"))
