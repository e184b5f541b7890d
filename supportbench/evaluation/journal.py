"""A run's folder: what was asked (`run.json`), one line an episode (`journal.jsonl`), the sum (`results.json`)."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from supportbench import codec
from supportbench.errors import DecodeError, RunError
from supportbench.models import Episode

RUN: Final = "run.json"
JOURNAL: Final = "journal.jsonl"
RESULTS: Final = "results.json"


class RunFolder:
    """A run's folder, open for writing. An episode that was appended survives whatever happens afterwards."""

    def __init__(self, path: Path) -> None:
        self.path = path
        # Unbuffered: what the disk has no room for must not wait in a buffer to fail again when the file is closed.
        self._journal = (path / JOURNAL).open("ab", buffering=0)

    @classmethod
    def create(cls, path: Path, manifest: object) -> RunFolder:
        """Make the folder and write `run.json`; raises `RunError` where it exists with something in it."""
        try:
            path.mkdir(parents=True, exist_ok=True)
            if any(path.iterdir()):
                raise RunError(f"{path} is not empty. Name another folder with --out, or move this one away.")
            write_json(path / RUN, manifest)
            return cls(path)
        except OSError as error:
            raise RunError(f"Cannot write the run to {path}: {error}") from error

    def append(self, episode: Episode) -> None:
        """Write the episode's line and wait until it is on the disk."""
        line = memoryview(codec.encode(episode) + b"\n")
        try:
            while line:
                line = line[self._journal.write(line) :]
            os.fsync(self._journal.fileno())
        except OSError as error:
            raise RunError(f"Cannot write to {self.path / JOURNAL}: {error}. Finished episodes are kept.") from error

    def episodes(self) -> Iterator[Episode]:
        """Yield the journal's episodes in the order in which they ended."""
        return read_journal(self.path / JOURNAL)

    def close(self) -> None:
        """Close the journal; closing twice does no harm."""
        self._journal.close()


def read_journal(path: Path) -> Iterator[Episode]:
    """Yield the episodes of a journal, one at a time; raises `RunError` naming the line that is none."""
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                yield codec.decode(line, Episode)
            except DecodeError as error:
                raise RunError(f"{path}, line {number}: {error}") from error


def check_writable(path: Path) -> None:
    """Raise `RunError` unless a file can be written there: better now than when a model has been paid."""
    try:
        if path.exists() and not path.is_file():
            raise RunError(f"{path} is no regular file. Name another one with --out.")
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise RunError(f"Cannot write {path}: {error.strerror}. Name another file with --out.") from error


def write_json(path: Path, value: object) -> None:
    """Write the value as indented JSON, whole or not at all: into a file beside it, synced, then put in its place."""
    data: Any = codec.unstructure(value)
    text = msgspec.json.format(msgspec.json.encode(data), indent=2) + b"\n"
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
