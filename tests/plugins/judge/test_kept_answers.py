"""Answers that are kept: what was paid for once is not paid for again, and what decides an answer tells two apart."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from supportbench import KeptAnswers, Submission, Usage
from tests.plugins.judge.court import BOTH, COVERAGE, KEY, TASK, court, graded, judging, submission_of
from tests.stubs.judge_endpoint import always, honest, prose
from tests.stubs.openai_endpoint import OpenAIStub, Step, failure

FILE = "judge-answers.sqlite3"


async def twice(
    folder: Path, second: Mapping[str, Any], *, submission: Submission | None = None, judge: Step = honest
) -> tuple[int, Usage | None]:
    """Grade twice, the second time with these options; return how many calls that took, and the second one's usage."""
    variables: dict[str, str | Path] = {"cache": "on", "cache_dir": folder}
    with OpenAIStub(judge) as stub:
        await graded(court(stub, **variables), submission_of(), judging(*BOTH))
        grade = await graded(court(stub, **variables), submission or submission_of(), judging(*BOTH, **second))
        return len(stub.requests), grade.usage


async def test_the_same_question_is_asked_once_and_costs_nothing_afterwards(tmp_path: Path) -> None:
    assert await twice(tmp_path, {}) == (1, None)


async def test_a_new_process_finds_them(tmp_path: Path) -> None:
    with OpenAIStub(honest) as stub:
        first = await graded(court(stub, cache="on", cache_dir=tmp_path), submission_of(), judging(*BOTH, votes=3))
        second = await graded(court(stub, cache="on", cache_dir=tmp_path), submission_of(), judging(*BOTH, votes=3))
        assert len(stub.requests) == 3
    assert {name: part.details for name, part in first.components.items()} == {
        name: part.details for name, part in second.components.items()
    }


@pytest.mark.parametrize(
    "second",
    [
        {"model": "another"},
        {"temperature": 0.5},
        {"seed": 1},
        {"seed": None},
        {"max_output_tokens": 999},
        {"structured_output": "json_object"},
        {"criteria": [{**COVERAGE, "question": "How much?"}]},
        {"criteria": [{**COVERAGE, "verdicts": [{"name": "none", "score": 0}, {"name": "all", "score": 1}]}]},
    ],
)
async def test_another_question_is_asked_anew(tmp_path: Path, second: Mapping[str, Any]) -> None:
    calls, usage = await twice(tmp_path, second)
    assert calls == 2
    assert usage is not None


@pytest.mark.parametrize("changes", [{"summary": "Duplicate charge on INV-4481!"}, {"response": "We check it today."}])
async def test_another_text_is_judged_anew(tmp_path: Path, changes: Mapping[str, Any]) -> None:
    calls, _ = await twice(tmp_path, {}, submission=submission_of(**changes))
    assert calls == 2


async def test_what_decides_nothing_makes_no_difference(tmp_path: Path) -> None:
    calls, _ = await twice(tmp_path, {}, submission=submission_of(confidence=0.1, priority="P1", metadata={"a": 1}))
    assert calls == 1


async def test_each_vote_is_kept_by_itself_so_that_only_the_one_that_failed_is_asked_again(tmp_path: Path) -> None:
    failing = {1}

    def answer(request: Any) -> Any:
        return failure(500, "oh no") if request.body["seed"] in failing else always(2)(request)

    with OpenAIStub(answer) as stub:
        registry = court(stub, cache="on", cache_dir=tmp_path)
        with pytest.raises(Exception, match="no score"):
            await graded(registry, submission_of(), judging("summary", votes=3))
        failing.clear()
        grade = await graded(registry, submission_of(), judging("summary", votes=3))
        assert [request.body["seed"] for request in stub.requests[3:]] == [1]
    assert grade.reward == 1.0
    assert grade.usage == Usage(input_tokens=100, output_tokens=20, calls=1)


async def test_an_answer_that_was_unusable_is_not_kept(tmp_path: Path) -> None:
    with OpenAIStub(prose) as stub, pytest.raises(Exception, match="no score"):
        await graded(court(stub, cache="on", cache_dir=tmp_path), submission_of())
    with OpenAIStub(honest) as stub:
        assert (await graded(court(stub, cache="on", cache_dir=tmp_path), submission_of())).reward == 1.0


async def test_switched_off_nothing_is_read_or_written(tmp_path: Path) -> None:
    with OpenAIStub(honest) as stub:
        for _ in range(2):
            await graded(court(stub, cache="off", cache_dir=tmp_path), submission_of())
        assert len(stub.requests) == 2
    assert not (tmp_path / FILE).exists()


async def test_neither_the_key_nor_a_fences_marker_is_kept(tmp_path: Path) -> None:
    await twice(tmp_path, {})
    data = (tmp_path / FILE).read_bytes()
    assert KEY.encode() not in data
    assert TASK.cases[0].ticket.body.encode() not in data


async def test_only_its_owner_reads_the_folder_that_is_made(tmp_path: Path) -> None:
    await twice(tmp_path / "new", {})
    assert (tmp_path / "new").stat().st_mode & 0o077 == 0
    assert (tmp_path / "new" / FILE).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("damage", ["garbage", "a folder", "another answer"])
async def test_what_is_damaged_is_asked_for_anew_and_said_once(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    file = tmp_path / FILE
    if damage == "garbage":
        file.write_bytes(b"\x00nonsense" * 1000)
    elif damage == "a folder":
        file.mkdir()
    else:
        await twice(tmp_path, {})
        with sqlite3.connect(file) as store:
            store.execute("UPDATE answers SET answer = '{\"summary\": 1}'")
        store.close()
    with OpenAIStub(honest) as stub:
        registry = court(stub, cache="on", cache_dir=tmp_path)
        for _ in range(2):
            assert (await graded(registry, submission_of(), judging(*BOTH))).reward == 1.0
        assert len(stub.requests) == (1 if damage == "another answer" else 2)
    told = [record for record in caplog.records if "not kept" in record.getMessage()]
    assert len(told) == (0 if damage == "another answer" else 1)


class TestTheFile:
    async def test_keeps_the_newest(self, tmp_path: Path) -> None:
        kept = KeptAnswers(tmp_path, "judge", most=3)
        for number in range(5):
            await kept.put(f"key {number}", f"answer {number}")
        found = [await kept.get(f"key {number}") for number in range(5)]
        assert found == [None, None, "answer 2", "answer 3", "answer 4"]

    async def test_the_last_answer_under_a_key_counts(self, tmp_path: Path) -> None:
        kept = KeptAnswers(tmp_path, "judge")
        await kept.put("key", "one")
        await kept.put("key", "two")
        assert await kept.get("key") == "two"

    async def test_many_processes_and_threads_write_it_at_once(self, tmp_path: Path) -> None:
        code = (
            "import asyncio, sys\n"
            "from pathlib import Path\n"
            "from supportbench import KeptAnswers\n"
            "async def main():\n"
            "    kept = KeptAnswers(Path(sys.argv[1]), 'judge')\n"
            "    await asyncio.gather(*(kept.put(f'{sys.argv[2]} {n}', str(n)) for n in range(20)))\n"
            "asyncio.run(main())\n"
        )
        writers = await asyncio.gather(
            *(
                asyncio.create_subprocess_exec(
                    sys.executable, "-c", code, str(tmp_path), str(number), stderr=asyncio.subprocess.PIPE
                )
                for number in range(4)
            )
        )
        for writer in writers:
            _, said = await writer.communicate()
            assert (writer.returncode, said) == (0, b"")
        kept = KeptAnswers(tmp_path, "judge")
        found = [await kept.get(f"{writer} {number}") for writer in range(4) for number in range(20)]
        assert found == [str(number) for number in range(20)] * 4
