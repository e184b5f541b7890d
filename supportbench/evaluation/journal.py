"""A run's folder: what was asked (`run.json`), one line an episode (`journal.jsonl`), the sum (`results.json`)."""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
from collections.abc import Iterable, Iterator
from io import FileIO
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeAlias

import msgspec

from supportbench import codec
from supportbench.errors import DecodeError, RunError
from supportbench.interfaces import EpisodeSpec
from supportbench.models import Episode
from supportbench.wording import counted

try:
    import fcntl
except ImportError:  # Windows has none: there, nobody is kept from writing a folder twice
    fcntl = None  # type: ignore[assignment]

RUN: Final = "run.json"
JOURNAL: Final = "journal.jsonl"
RESULTS: Final = "results.json"

Place: TypeAlias = tuple[str, str, int, int]
"""Which of a run's episodes one is: provider, split, index and repeat."""

_BLOCK: Final = 1 << 16
_BLANK: Final = b"\0 \t\r\n"

logger: Final = logging.getLogger("supportbench.evaluation")


class RunFolder:
    """A run's folder, open for writing by this process alone.

    The lock is the system's and ends with its owner.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        # Unbuffered: what the disk has no room for must not wait in a buffer to fail again when the file is closed.
        self._journal = (path / JOURNAL).open("ab", buffering=0)
        try:
            _lock(self._journal)
        except OSError as error:
            self._journal.close()
            raise RunError(f"{path} is being written by another process. Wait for its end.") from error
        self._size = self._journal.seek(0, os.SEEK_END)

    @classmethod
    def create(cls, path: Path, manifest: object) -> RunFolder:
        """Make the folder and write `run.json`; raises `RunError` where it exists with something in it."""
        try:
            path.mkdir(parents=True, exist_ok=True)
            # An empty journal alone is of a run that ended before it had begun.
            if any(file.name != JOURNAL or file.stat().st_size for file in path.iterdir()):
                raise _not_empty(path)
            folder = cls(path)
            with contextlib.ExitStack() as undoing:
                undoing.callback(folder.close)
                if (path / RUN).exists():  # of a process that began between these two lines, and has ended
                    raise _not_empty(path)
                write_json(path / RUN, manifest)
                undoing.pop_all()
        except OSError as error:
            raise RunError(f"Cannot write the run to {path}: {error}") from error
        return folder

    @classmethod
    def resume(cls, path: Path) -> RunFolder:
        """Open a run's folder to append to its journal, without the torn line that a process may have left at its end.

        Raises:
            RunError: the folder cannot be written to, or another process does.
        """
        try:
            folder = cls(path)
            folder._mend()
        except OSError as error:
            raise RunError(f"Cannot resume the run in {path}: {error}") from error
        return folder

    def append(self, episode: Episode) -> None:
        """Write the episode's line: from then on it outlives this process, and from the next `sync` on the machine.

        A line for which there is no room leaves nothing.

        Raises:
            RunError: it could not be written.
        """
        line = codec.encode(episode) + b"\n"
        left = memoryview(line)
        try:
            while left:
                left = left[self._journal.write(left) :]
        except OSError as error:
            with contextlib.suppress(OSError):  # what is left of it is recognised as torn
                self._journal.truncate(self._size)
            raise self._unwritable(error) from error
        self._size += len(line)

    def sync(self) -> None:
        """Wait until all that was appended is on the disk; raises `RunError` where it cannot get there."""
        try:
            os.fsync(self._journal.fileno())
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> RunError:
        return RunError(
            f"Cannot write to {self.path / JOURNAL}: {error}. Finished episodes are kept. When that is mended, go on: "
            f"supportbench run --resume {self.path}"
        )

    def episodes(self) -> Iterator[Episode]:
        """Yield the run's episodes in the order in which they ended; of one that was played again, the last."""
        return read_run(self.path)

    def close(self) -> None:
        """Close the journal, and let others have the folder; closing twice does no harm."""
        self._journal.close()

    def _mend(self) -> None:
        with (self.path / JOURNAL).open("rb") as journal:
            kept = _end_of_last_line(journal)
            journal.seek(kept)
            tail = journal.read()
        if not tail:
            return
        if _is_episode(tail):  # whole but for its end
            self._journal.write(b"\n")
        else:
            logger.warning("The last line of %s was torn, and is dropped (%s).", JOURNAL, counted(len(tail), "byte"))
            self._journal.truncate(kept)
        os.fsync(self._journal.fileno())
        self._size = self._journal.seek(0, os.SEEK_END)


def read_journal(path: Path) -> Iterator[Episode]:
    """Yield the episodes of a journal, one at a time; a torn last line is left out.

    Raises:
        RunError: a line is none; the message names it.
    """
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip(_BLANK) and line.endswith(b"\n"):  # what a machine that went down may leave
                continue
            try:
                yield codec.decode(line, Episode)
            except DecodeError as error:
                if not line.endswith(b"\n"):
                    logger.warning("The last line of %s is torn, and is left out.", path)
                    return
                raise RunError(f"{path}, line {number}: {error}") from error


def read_run(folder: Path) -> Iterator[Episode]:
    """Yield the episodes of a run as `read_journal` does; of one that was played again, the last."""
    left_out = superseded(folder)
    return (episode for number, episode in enumerate(read_journal(folder / JOURNAL), 1) if number not in left_out)


def superseded(folder: Path) -> frozenset[int]:
    """Return the numbers, from 1, of the lines in a run's journal whose episodes were played again.

    A line that is no episode is no business of this: whoever reads it will say so.
    """
    last: dict[tuple[str, str, int], dict[int, int]] = {}  # a number each: a journal may have millions
    earlier = set()
    with (folder / JOURNAL).open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            place = _place_of(line)
            if place is None:
                continue
            of_task = last.setdefault(place[:3], {})
            if place[3] in of_task:
                earlier.add(of_task[place[3]])
            of_task[place[3]] = number
    return frozenset(earlier)


def played(folder: Path) -> dict[Place, bool]:
    """Return the places of the episodes in a run's journal, and whether any of their tickets ended in an error.

    Raises:
        RunError: a line is none; the message names it.
    """
    return {place_of(episode): bool(episode.errors) for episode in read_journal(folder / JOURNAL)}


def place_of(episode: Episode | EpisodeSpec) -> Place:
    """Return which of a run's episodes it is."""
    return episode.provider, episode.split, episode.index, episode.repeat


class _Place(msgspec.Struct, gc=False):
    """As much of a journal's line as tells which episode it is: a tenth of the time that the whole takes."""

    provider: str
    split: str
    index: int
    repeat: int = 0


def _place_of(line: bytes) -> Place | None:
    try:
        found = msgspec.json.decode(line, type=_Place)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return found.provider, found.split, found.index, found.repeat


def _is_episode(line: bytes) -> bool:
    try:
        codec.decode(line, Episode)
    except DecodeError:
        return False
    return True


def _end_of_last_line(file: BinaryIO) -> int:
    """Return where the last whole line of a file ends, 0 if it has none."""
    end = file.seek(0, os.SEEK_END)
    while end:
        begin = max(0, end - _BLOCK)
        file.seek(begin)
        newline = file.read(end - begin).rfind(b"\n")
        if newline >= 0:
            return begin + newline + 1
        end = begin
    return 0


def _lock(file: FileIO) -> None:
    """Keep other processes from writing the file, as long as it is open here; raises `OSError` where one does."""
    if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _not_empty(path: Path) -> RunError:
    return RunError(f"{path} is not empty. Name another folder with --out, or move this one away.")


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
    """Write the value as indented JSON, whole or not at all."""
    data: Any = codec.unstructure(value)
    write_whole(path, (msgspec.json.format(msgspec.json.encode(data), indent=2), b"\n"))


def write_whole(path: Path, parts: Iterable[bytes]) -> None:
    """Write a file, whole or not at all: into another one beside it, synced, which then takes its place.

    A link is followed. What is no regular file, such as a pipe, stays what it is and is written into.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        with path.open("wb") as file:
            file.writelines(parts)
        return
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
