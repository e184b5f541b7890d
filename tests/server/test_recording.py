"""Recording finished episodes in real files: rotation, neighbours, crashes, a full disk."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from supportbench import Episode, EpisodeStep, RubricCard, RunError, SettingsError, encode
from supportbench.evaluation.journal import RunFolder, read_journal
from supportbench.server.recording import Recorder, read_lines, read_recording
from tests.offering import an_action
from tests.strategies import episodes

STARTED_AT = datetime(2026, 3, 7, 9, 15, 30, tzinfo=timezone(timedelta(hours=1)))


def an_episode(number: int = 0, *, summary: str = "Charged twice.") -> Episode:
    step = EpisodeStep(ticket_id="t-0", status="graded", action=an_action(summary=summary))
    return Episode(
        episode_id=f"e{number}",
        provider="house",
        split="test",
        index=0,
        task_id="t",
        task_title="T",
        difficulty="easy",
        task_fingerprint="sha256:0",
        rubric=RubricCard(name="default", fingerprint="sha256:1"),
        agent="client",
        steps=(step,),
        started_at="2026-03-07T08:15:30.000+00:00",
        duration_s=1.5,
    )


LINE = len(encode(an_episode(0))) + 1


async def recorded(folder: Path, given: Sequence[Episode], **options: Any) -> Recorder:
    recorder = Recorder(folder, **options)
    for episode in given:
        recorder.append(episode)
    await recorder.aclose()
    return recorder


def ids_in(path: Path) -> list[str]:
    return [episode.episode_id for episode in read_recording(path)]


def files_in(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


class TestARecorder:
    async def test_keeps_the_line_of_a_journal(self, tmp_path: Path) -> None:
        given = [an_episode(number) for number in range(3)]
        recorder = await recorded(tmp_path / "made" / "here", given)
        (file,) = files_in(tmp_path / "made" / "here")
        journal = RunFolder.create(tmp_path / "run", {})
        for episode in given:
            journal.append(episode)
        journal.close()
        assert file.read_bytes() == (tmp_path / "run" / "journal.jsonl").read_bytes()
        assert list(read_journal(file)) == given
        assert (recorder.recorded, recorder.lost) == (3, 0)

    async def test_has_written_an_episode_when_append_returns(self, tmp_path: Path) -> None:
        recorder = Recorder(tmp_path)
        for number in range(3):
            recorder.append(an_episode(number))
            assert ids_in(tmp_path) == [f"e{done}" for done in range(number + 1)]
        await recorder.aclose()

    async def test_names_its_files_by_start_in_utc_process_and_number(self, tmp_path: Path) -> None:
        await recorded(tmp_path, [an_episode(), an_episode()], max_bytes=1, clock=lambda: STARTED_AT)
        first, second = (file.name for file in files_in(tmp_path))
        assert re.fullmatch(rf"episodes-20260307T081530Z-{os.getpid()}-[0-9a-f]{{8}}-000001\.jsonl", first)
        assert second == first.replace("000001", "000002")

    async def test_leaves_no_file_where_no_episode_ended(self, tmp_path: Path) -> None:
        await recorded(tmp_path, [])
        assert files_in(tmp_path) == []
        assert ids_in(tmp_path) == []

    async def test_begins_the_next_file_where_a_line_has_no_room(self, tmp_path: Path) -> None:
        await recorded(tmp_path, [an_episode(number) for number in range(7)], max_bytes=3 * LINE)
        assert [file.stat().st_size for file in files_in(tmp_path)] == [3 * LINE, 3 * LINE, LINE]
        assert ids_in(tmp_path) == [f"e{number}" for number in range(7)]

    async def test_never_splits_a_line_however_long(self, tmp_path: Path) -> None:
        long = an_episode(1, summary="long " * 10_000)
        await recorded(tmp_path, [an_episode(0), long, an_episode(2)], max_bytes=2 * LINE)
        assert len(files_in(tmp_path)) == 3
        assert ids_in(tmp_path) == ["e0", "e1", "e2"]

    async def test_shares_a_folder(self, tmp_path: Path) -> None:
        recorders = [Recorder(tmp_path, max_bytes=5 * (LINE + 1), clock=lambda: STARTED_AT) for _ in range(3)]
        for number in range(30):
            recorders[number % 3].append(an_episode(number))
        for recorder in recorders:
            await recorder.aclose()
        assert len(files_in(tmp_path)) == 6
        assert sorted(ids_in(tmp_path)) == sorted(f"e{number}" for number in range(30))

    async def test_shares_a_folder_with_other_processes(self, tmp_path: Path) -> None:
        workers = [start(tmp_path, "for number in range(200): record(number)") for _ in range(3)]
        for worker in workers:
            told, errors = worker.communicate(timeout=60)
            assert (worker.returncode, errors) == (0, ""), errors
            assert told.split()[-1] == "199"
        assert sorted(ids_in(tmp_path)) == sorted(f"e{number}" for number in range(200) for _ in range(3))

    def test_leaves_nothing_open_behind(self, tmp_path: Path) -> None:
        open_before = len(list(Path("/dev/fd").iterdir()))
        given = [an_episode(number) for number in range(50)]
        asyncio.run(recorded(tmp_path, given, max_bytes=2 * LINE))
        assert not [thread for thread in threading.enumerate() if thread.name == "supportbench-recorder"]
        assert len(list(Path("/dev/fd").iterdir())) == open_before

    async def test_goes_on_in_a_new_file_after_it_was_closed(self, tmp_path: Path) -> None:
        recorder = await recorded(tmp_path, [an_episode(0)])
        recorder.append(an_episode(1))
        await recorder.aclose()
        assert ids_in(tmp_path) == ["e0", "e1"]
        assert len(files_in(tmp_path)) == 2

    def test_says_at_once_that_a_folder_cannot_be_used(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(SettingsError, match=r"Cannot record episodes in .*file: .+\. Name a folder"):
            Recorder(tmp_path / "file")


class TestWhatGoesWrong:
    async def test_a_deleted_folder_is_made_again(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        folder = tmp_path / "episodes"
        recorder = Recorder(folder)
        recorder.append(an_episode(0))
        shutil.rmtree(folder)
        recorder.append(an_episode(1))
        await recorder.aclose()
        assert ids_in(folder) == ["e1"]
        assert recorder.lost == 0
        assert "was deleted while episodes were recorded in it" in caplog.text

    async def test_what_cannot_be_written_is_counted_logged_once_and_tried_again(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        folder = tmp_path / "episodes"
        recorder = Recorder(folder)
        recorder.append(an_episode(0))
        shutil.rmtree(folder)
        folder.write_text("in the way")
        for number in range(1, 4):
            recorder.append(an_episode(number))
        assert recorder.lost == 3
        (error,) = [record for record in caplog.records if record.levelno == logging.ERROR]
        assert f"Cannot record episode e1 in {folder}: " in error.getMessage()
        assert "make room there, or the folder writable" in error.getMessage()
        folder.unlink()
        recorder.append(an_episode(4))
        await recorder.aclose()
        assert ids_in(folder) == ["e4"]
        assert (recorder.recorded, recorder.lost) == (2, 3)
        assert "3 have been lost so far" in caplog.records[-1].getMessage()

    async def test_an_episode_that_is_no_json_is_lost_alone(self, tmp_path: Path) -> None:
        broken = attrs.evolve(an_episode(1), model="lone \ud800 surrogate")
        recorder = await recorded(tmp_path, [an_episode(0), broken, an_episode(2)])
        assert ids_in(tmp_path) == ["e0", "e2"]
        assert (recorder.recorded, recorder.lost) == (2, 1)

    def test_a_full_disk_tears_no_line_and_recording_goes_on_when_there_is_room(self, tmp_path: Path) -> None:
        # A limit on the size of files stands for a disk that is full within the second line.
        worker = start(
            tmp_path,
            f"""
            record(0)
            limit({LINE + 10})
            record(1)  # loses its line after ten bytes
            record(2)  # has room in a new file
            limit(10)
            record(3)
            record(4)
            limit(resource.RLIM_INFINITY)
            record(5)
            print(recorder.recorded, recorder.lost)
            """,
        )
        told, errors = worker.communicate(timeout=60)
        assert worker.returncode == 0, errors
        assert told.splitlines()[-1] == "3 3"
        assert errors.count("Cannot record episode") == 2  # once for each row of failures
        assert "Cannot record episode e1 in " in errors
        assert "File too large" in errors
        assert ids_in(tmp_path) == ["e0", "e2", "e5"]
        assert all(file.read_bytes().endswith(b"}\n") for file in files_in(tmp_path))
        assert [int(file.stem[-6:]) for file in files_in(tmp_path)] == [1, 2, 3]

    def test_a_killed_process_has_lost_nothing_that_it_appended(self, tmp_path: Path) -> None:
        worker = start(tmp_path, "for number in range(10**9): record(number)")
        assert worker.stdout is not None
        seen = [worker.stdout.readline() for _ in range(500)]
        worker.send_signal(signal.SIGKILL)
        seen += worker.communicate(timeout=60)[0].splitlines()
        found = ids_in(tmp_path)
        last = int([line for line in seen if line.strip()][-1])
        assert found == [f"e{number}" for number in range(len(found))]
        assert len(found) >= last

    async def test_a_disk_that_fails_later_is_logged(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fails(file: int) -> None:
            raise OSError(5, "Input/output error")

        monkeypatch.setattr(os, "fsync", fails)
        await recorded(tmp_path, [an_episode(0)])
        assert "Recorded episodes may not survive a power cut: [Errno 5] Input/output error" in caplog.text
        assert ids_in(tmp_path) == ["e0"]


class TestReading:
    @pytest.mark.parametrize("cut", [1, 2, 50, LINE - 1])
    async def test_a_torn_last_line_is_the_end_and_counted(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture, cut: int
    ) -> None:
        await recorded(tmp_path, [an_episode(number) for number in range(4)], max_bytes=2 * LINE)
        first, second = files_in(tmp_path)
        for file in (first, second):
            os.truncate(file, 2 * LINE - cut)
        whole = cut == 1  # all but the end of the line
        assert ids_in(tmp_path) == (["e0", "e1", "e2", "e3"] if whole else ["e0", "e2"])
        assert ids_in(second) == (["e2", "e3"] if whole else ["e2"])
        told = [record.getMessage() for record in caplog.records]
        assert len(told) == (0 if whole else 2)
        if not whole:
            assert f"2 of 2 files of {tmp_path} end in the middle of a line" in told[0]
            assert str(first) in told[0]
            assert f"1 of 1 files of {second} end in" in told[1]

    @pytest.mark.parametrize("line", ["", "{}", "hello", '{"schema": "supportbench.episode/2"}'])
    async def test_any_other_line_is_an_error_with_its_number(self, tmp_path: Path, line: str) -> None:
        await recorded(tmp_path, [an_episode(0)])
        (file,) = files_in(tmp_path)
        with file.open("a") as more:
            more.write(f"{line}\n")
        found = read_recording(tmp_path)
        assert next(found) == an_episode(0)
        with pytest.raises(RunError, match=re.escape(f"{file}, line 2: ")):
            next(found)

    async def test_a_line_knows_its_place(self, tmp_path: Path) -> None:
        await recorded(tmp_path, [an_episode(0), an_episode(1), an_episode(2)], max_bytes=2 * LINE)
        first, second = files_in(tmp_path)
        assert list(map(str, read_lines(tmp_path))) == [f"{first}, line 1", f"{first}, line 2", f"{second}, line 1"]

    def test_a_run_is_a_recording_too(self, tmp_path: Path) -> None:
        run = RunFolder.create(tmp_path / "run", {})
        run.append(an_episode(0))
        run.close()
        assert ids_in(tmp_path / "run") == ["e0"]

    def test_other_files_of_the_folder_are_left_alone(self, tmp_path: Path) -> None:
        (tmp_path / "README").write_text("hello")
        assert ids_in(tmp_path) == []

    def test_nothing_there_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(RunError, match=r"There is no recording at .*nowhere"):
            ids_in(tmp_path / "nowhere")


@given(given_episodes=st.lists(episodes, max_size=5), max_bytes=st.sampled_from([1, 1000, 2000, 1 << 26]))
def test_what_is_read_is_what_was_recorded(
    tmp_path_factory: pytest.TempPathFactory, given_episodes: list[Episode], max_bytes: int
) -> None:
    folder = tmp_path_factory.mktemp("recording")
    recorder = Recorder(folder, max_bytes=max_bytes, clock=lambda: datetime.now(UTC))
    for episode in given_episodes:
        recorder.append(episode)
    assert list(read_recording(folder)) == given_episodes
    shutil.rmtree(folder)


# What a process of its own does: `record(n)` appends an episode and then says so, `limit(n)` bounds the size of files.
_PROGRAM = """
import asyncio, json, logging, resource, sys
from pathlib import Path
from supportbench import Episode, decode
from supportbench.server.recording import Recorder

logging.basicConfig(format="%(message)s")
recorder = Recorder(Path(sys.argv[1]))
given = json.loads(sys.argv[2])

def record(number):
    recorder.append(decode(json.dumps({**given, "episode_id": f"e{number}"}), Episode))
    print(number, flush=True)

def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

"""


def start(folder: Path, lines: str) -> subprocess.Popen[str]:
    indent = re.match(r"\n?( *)", lines)
    assert indent is not None
    program = _PROGRAM + lines.replace(f"\n{indent[1]}", "\n").strip() + "\nasyncio.run(recorder.aclose())\n"
    given = json.dumps(json.loads(encode(an_episode())))
    return subprocess.Popen(
        [sys.executable, "-c", program, str(folder), given], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
