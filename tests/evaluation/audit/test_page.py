"""The page about the audit says what is measured now."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from supportbench import Registry, load_registry
from supportbench.evaluation.audit.advice import NEXT_MOVES
from supportbench.evaluation.audit.auditing import CHECKS
from supportbench.evaluation.audit.policies import ABOVE_BASE, INFORMED, TEXT_SHARE
from tests.evaluation.audit.auditing import audited
from tests.evaluation.audit.figures import PAGE, table, written
from tests.installing import BrokenPlugin, importable, install, write_wheel
from tests.meta.snippets import DOCS

HOW_TO: Final = DOCS / "how-to" / "audit.md"


def _rows_under(heading: str) -> Mapping[str, list[str]]:
    section = PAGE.read_text(encoding="utf-8").partition(f"## {heading}\n")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("|")]
    return {row[0].strip("`"): row[1:] for row in rows[2:]}


async def test_the_figures_are_those_of_today() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert written(page, await table()) == page, "python -m tests.evaluation.audit.figures writes them anew"


async def test_the_checks_are_all_there_with_their_bounds(registry: Registry) -> None:
    report = await audited(registry, "triage", rubric=registry.rubrics["default"])
    rows = _rows_under("The checks")
    assert list(rows) == [check.check for check in report.checks]
    for check in report.checks:
        sense, bound = re.findall(r"(at least|at most) (-?[\d.]+)", rows[check.check][1])[0]
        assert (sense, float(bound)) == (check.sense, check.bound), check.check


def test_what_a_tactic_may_earn_is_what_the_page_says() -> None:
    rows = _rows_under("What they may earn")
    assert set(rows) == set(ABOVE_BASE)
    for tactic, bound in ABOVE_BASE.items():
        if tactic not in INFORMED:
            assert float(rows[tactic][0]) == bound
    for tactic, share in TEXT_SHARE.items():
        assert float(rows[tactic][1].split()[-1]) == share


async def test_the_example_policy_of_the_how_to_comes_to_what_that_page_says(
    tmp_path: Path,
) -> None:
    (source,) = re.findall(r"```python\n(.*?)```", HOW_TO.read_text(encoding="utf-8"), re.DOTALL)
    wheel = write_wheel(tmp_path, BrokenPlugin(name="sorry", source=source, reason=""))
    install([wheel], tmp_path / "site")
    with importable(tmp_path / "site"):
        report = await audited(load_registry({}).check(), "triage")
    (sorry,) = [policy for policy in report.policies if policy.name == "always_sorry"]
    assert sorry.faults == ()
    assert set(sorry.text.values()) == {0.0}
    assert sorry.excess is not None
    assert sorry.excess < 0
    assert report.passed


@pytest.mark.parametrize("task_id", ["easy_inbox_cleanup", "medium_sla_defense", "hard_exec_escalations"])
async def test_each_task_keeps_its_bounds_by_itself_as_the_page_says(registry: Registry, task_id: str) -> None:
    report = await audited(registry, "triage", task_id=task_id)
    assert [check.check for check in report.checks if check.verdict == "fail"] == []
    assert "keep every bound together, and each by itself" in PAGE.read_text(encoding="utf-8")


def test_the_how_to_says_of_each_check_what_to_do() -> None:
    page = HOW_TO.read_text(encoding="utf-8")
    assert list(NEXT_MOVES) == [check.__name__ for check in CHECKS]
    for name, move in NEXT_MOVES.items():
        assert f"| `{name}` | {move} |" in page
