"""Answers kept on disk, so that what was paid for once is not paid for again.

A file of SQLite, which Python brings along: any number of processes read and write it at once, and what is read from it
is text that is parsed, never an object that is revived. (diskcache, which one would think of first, has had no release
since 2023 and revives pickles.)
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

logger: Final = logging.getLogger("supportbench_judge")

_FILE: Final = "judge-answers.sqlite3"
_WAIT_S: Final = 30.0
_TABLE: Final = "CREATE TABLE IF NOT EXISTS answers (number INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, answer TEXT)"


class KeptAnswers:
    """The answers in a folder, the newest `most` of them. One that cannot be read or written is asked for again."""

    def __init__(self, folder: Path, *, most: int = 100_000) -> None:
        self._path = folder / _FILE
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
            self._path.touch(mode=0o600)  # a judge's reasons may say what an answer key holds
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
            logger.warning("Answers of the judge are not kept in %s: %s. They are asked for anew.", self._path, error)
