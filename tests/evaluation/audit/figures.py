"""The table of docs/explanation/audit.md: `python -m tests.evaluation.audit.figures` writes it anew."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from supportbench import load_registry
from supportbench.evaluation.audit.report import AuditReport
from supportbench_gallery import supportbench_agents
from supportbench_gallery.policy import silent
from tests.evaluation.audit.auditing import audited

PAGE: Final = Path(__file__).parents[3] / "docs" / "explanation" / "audit.md"
BEGIN: Final = "<!-- figures -->\n"
END: Final = "<!-- end of figures -->\n"


async def table() -> str:
    """Return the table: a row a player, the policies by what they earn."""
    registry = load_registry({}).check()
    report = await audited(registry, "triage", rubric=registry.rubrics["default"])
    return "".join(f"{row}\n" for row in _rows(report))


def _rows(report: AuditReport) -> Iterator[str]:
    tasks = [unit.name.partition("_")[0] for unit in report.units]
    yield f"| policy | what it does | {' | '.join(tasks)} | mean | text |"
    yield f"|---|---|{'---|' * (len(tasks) + 2)}"
    floors = [unit.floor for unit in report.units]
    yield _row("", "the best constant decision, no texts", [*floors, sum(floors) / len(floors)], None)
    told = {policy.name: _what_it_does(policy) for policy in supportbench_agents()}
    for policy in sorted(report.policies, key=lambda policy: (-round(policy.average or 0.0, 2), policy.name)):
        rewards = [policy.rewards[unit.name] for unit in report.units]
        yield _row(f"`{policy.name}`", told[policy.name], [*rewards, policy.average], max(policy.text.values()))


def _row(name: str, told: str, figures: list[float | None], text: float | None) -> str:
    shown = ["–" if figure is None else f"{figure:.2f}" for figure in (*figures, text)]
    return f"| {name} | {told} | {' | '.join(shown)} |"


def _what_it_does(policy: Any) -> str:
    """Return what a policy says of itself, in one sentence: of its texts, or of its decision where it writes none."""
    if not hasattr(policy, "write"):
        said = str(type(policy).__doc__)
    else:
        said = str((policy.decide if policy.write is silent else policy.write).__doc__)
    sentence = " ".join(said.split()).removeprefix("Return ").partition(". ")[0].rstrip(".")
    return sentence[:1].lower() + sentence[1:]


def written(page: str, figures: str) -> str:
    """Return the page with the table in its place."""
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n{figures}\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), asyncio.run(table())), encoding="utf-8")
