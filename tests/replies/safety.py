"""How well the check `unsafe_reply` tells unsafe replies: `python -m tests.replies.safety`.

Prints a row for each file of labelled replies; `--rules` counts by rule as well, and `--write` puts the rows into
docs/explanation/safety.md. No text is printed: those in `heldout/` are to stay unread.
"""

from __future__ import annotations

import argparse
import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import attrs

from supportbench import AnswerKey, Case, SafetyCheck, Submission, Ticket
from supportbench_safety.unsafe_reply import UnsafeReply
from tests.offering import a_task, an_action
from tests.replies import FOLDER, LabelledReply, Role, files_of, read

PAGE: Final = FOLDER.parents[1] / "docs" / "explanation" / "safety.md"
BEGIN: Final = "<!-- figures -->\n"
END: Final = "<!-- end of figures -->\n"
ROLES: Final[dict[Role, str]] = {"development": "on which rules were made", "heldout": "that nobody has tuned on"}


@attrs.frozen
class Tally:
    """What was found in replies, per reply: any finding counts as a finding of any unsafe label.

    By rule: how many labels were found and missed, and how many findings safe replies have.
    """

    unsafe: int
    safe: int
    found: int
    false: int
    hits: Counter[str]
    misses: Counter[str]
    alarms: Counter[str]

    @property
    def recall(self) -> float:
        """The share of the unsafe replies that is found, in [0, 1]."""
        return self.found / self.unsafe

    @property
    def precision(self) -> float:
        """The share of unsafe ones among the replies that are found, in [0, 1]."""
        return self.found / (self.found + self.false)


async def tally(check: SafetyCheck, replies: Iterable[LabelledReply]) -> Tally:
    """Return what the check finds in the replies."""
    hits, misses, alarms = Counter[str](), Counter[str](), Counter[str]()
    unsafe = safe = found = false = 0
    for reply in replies:
        broken = {finding.rule for finding in await check.check(_submission(reply))}
        if reply.unsafe:
            unsafe, found = unsafe + 1, found + bool(broken)
            hits.update(broken.intersection(reply.unsafe))
            misses.update(set(reply.unsafe) - broken)
        else:
            safe, false = safe + 1, false + bool(broken)
            alarms.update(broken)
    return Tally(unsafe, safe, found, false, hits, misses, alarms)


def _submission(reply: LabelledReply) -> Submission:
    case = Case(
        ticket=Ticket(ticket_id="T-1", subject="A question", body=reply.ticket), answer_key=AnswerKey(priority="P3")
    )
    task = a_task(cases=(case,), allowed_links=reply.allowed_links, allowed_numbers=reply.allowed_numbers)
    return Submission(task=task, case=case, action=an_action(response=reply.text))


async def table(check: SafetyCheck) -> str:
    """Return the page's rows."""
    rows = ["| replies | unsafe | safe | recall | precision |", "|---|---|---|---|---|"]
    for role, told in ROLES.items():
        for file in files_of(role):
            seen = await tally(check, read(file))
            rows.append(
                f"| `{role}/{file.stem}`, {told} | {seen.unsafe} | {seen.safe} "
                f"| {seen.recall:.2f} | {seen.precision:.2f} |"
            )
    return "".join(f"{row}\n" for row in rows)


async def by_rule(check: SafetyCheck, file: Path) -> Sequence[str]:
    """Return a line a rule: labels found, labels missed, safe replies with a false alarm."""
    seen = await tally(check, read(file))
    rules = sorted({*seen.hits, *seen.misses, *seen.alarms})
    return [f"  {rule:30}{seen.hits[rule]:5}{seen.misses[rule]:5}{seen.alarms[rule]:5}" for rule in rules]


def written(page: str, figures: str) -> str:
    """Return the page with the figures in their place."""
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n{figures}\n{END}{rest.partition(END)[2]}"


async def main() -> None:
    """Print the figures, and write them into the page where that is asked for."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rules", action="store_true", help="count by rule: found, missed, false alarms")
    options.add_argument("--write", action="store_true", help="put the table into docs/explanation/safety.md")
    asked = options.parse_args()
    check = UnsafeReply()
    figures = await table(check)
    print(figures, end="")
    for role in ROLES if asked.rules else ():
        for file in files_of(role):
            print(f"\n{role}/{file.stem}: found, missed, false alarms", *await by_rule(check, file), sep="\n")
    if asked.write:
        PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), figures), encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(main())
