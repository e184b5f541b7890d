"""Answers kept on disk, so that what was paid for once is not paid for again.

A file of SQLite, which Python brings along: any number of processes read and write it at once, and what is read from it
is text that is parsed, never an object that is revived. (diskcache, which one would think of first, has had no release
since 2023 and revives pickles.)
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Final

from platformdirs import user_cache_path

logger: Final = logging.getLogger("supportbench.endpoint")

CACHE: Final = "SUPPORTBENCH_CACHE"
"""Whoever keeps answers heeds this variable: `off` asks for everything anew and keeps nothing."""

AGENT_CACHE: Final = "SUPPORTBENCH_AGENT_CACHE"
"""Agents that ask a model keep its answers where this is `on`: else each run asks anew."""

CACHE_DIR: Final = "SUPPORTBENCH_CACHE_DIR"
_ON: Final = ("on", "true", "1", "yes")
_OFF: Final = ("off", "false", "0", "no")
_WAIT_S: Final = 5.0
_TABLE: Final = "CREATE TABLE IF NOT EXISTS answers (number INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, answer TEXT)"


def answers_folder(environ: Mapping[str, str], switch: str | None = None) -> Path | None:
    """Return where answers are kept (`SUPPORTBENCH_CACHE_DIR`, else the user's cache folder), None where none are.

    With a `switch`, none are unless the variable of that name is on; `supportbench run --cache` sets
    `SUPPORTBENCH_AGENT_CACHE` for agents.

    Raises:
        ValueError: `SUPPORTBENCH_CACHE`, or the switch, is neither on nor off.
    """
    if not (_is_on(environ, CACHE, default=True) and (switch is None or _is_on(environ, switch, default=False))):
        return None
    folder = environ.get(CACHE_DIR, "").strip()
    return Path(folder) if folder else user_cache_path("supportbench", appauthor=False)


def _is_on(environ: Mapping[str, str], variable: str, *, default: bool) -> bool:
    """Return whether the variable says on or off; raises `ValueError` where it says something else."""
    text = environ.get(variable, "").strip()
    try:
        return {"": default, **dict.fromkeys(_ON, True), **dict.fromkeys(_OFF, False)}[text.lower()]
    except KeyError:
        raise ValueError(f"{variable} is {text[:80]!r}; it must be on or off") from None


class KeptAnswers:
    """The answers of one kind (`judge`, say) in a folder, the newest `most` of them.

    One that cannot be read or written is asked for again.
    """

    def __init__(self, folder: Path, kind: str, *, most: int = 100_000) -> None:
        self._path = folder / f"{kind}-answers.sqlite3"
        self._most = most
        self._told = False

    async def get(self, key: str) -> str | None:
        """Return the answer kept under the key, None where there is none."""
        return await asyncio.to_thread(self._get, key)

    async def put(self, key: str, answer: str) -> None:
        """Keep the answer under the key, in place of an earlier one."""
        await asyncio.to_thread(self._put, key, answer)

    def _get(self, key: str) -> str | None:
        if not self._path.exists():
            return None
        try:
            with closing(self._connected()) as file:
                row = file.execute("SELECT answer FROM answers WHERE key = ?", (key,)).fetchone()
        except (sqlite3.Error, OSError) as error:
            self._tell(error)
            return None
        return None if row is None else str(row[0])

    def _put(self, key: str, answer: str) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._path.touch(mode=0o600)  # they may say what an answer key holds, or a customer wrote
            with closing(self._connected()) as file, file:
                file.execute("INSERT OR REPLACE INTO answers (key, answer) VALUES (?, ?)", (key, answer))
                file.execute("DELETE FROM answers WHERE number <= (SELECT max(number) FROM answers) - ?", (self._most,))
        except (sqlite3.Error, OSError) as error:
            self._tell(error)

    def _connected(self) -> sqlite3.Connection:
        file = sqlite3.connect(self._path, timeout=_WAIT_S)
        try:
            file.execute(_TABLE)
        except BaseException:
            file.close()
            raise
        return file

    def _tell(self, error: Exception) -> None:
        if not self._told:
            self._told = True
            logger.warning("Answers are not kept in %s: %s. They are asked for anew.", self._path, error)
