"""What a comparison of runs comes to, as `supportbench compare --json` prints it."""

from __future__ import annotations

from typing import Literal

import attrs


@attrs.frozen(kw_only=True)
class ComparedRun:
    """A run as it was named, with the tickets of its journal: each in one of three ways, in each of its repeats.

    Of its episodes so many are `unplayed`: it has not ended.
    """

    run: str
    run_id: str
    agent: str
    model: str | None
    graded: int
    errors: int
    unreached: int
    unplayed: int


@attrs.frozen(kw_only=True)
class Flip:
    """A ticket that was a success in one run and not in the other, in the same repeat.

    It is `gained` where this run succeeded, `lost` where the first did, in so many repeats; `first` and `this` are its
    mean rewards.
    """

    provider: str
    task_id: str
    ticket_id: str
    gained: int
    lost: int
    first: float
    this: float


@attrs.frozen(kw_only=True)
class Comparison:
    """A run beside the first one, over the `pairs` of replies that both have.

    `first_mean` and `mean` are means of the tasks' means, and `difference` is what this run has more. `low` and `high`
    are its 95 % interval; `p_value` is the chance of a difference at least as large if it did not matter which run a
    ticket's replies came from, and `p_holm` is that corrected for the number of comparisons. `detectable` is the least
    difference that would be found in 80 of 100 such comparisons. Wins, ties and losses are this run's, by ticket.

    Left out are replies that only the first run has, that only this run has, and that were `ungraded` in either.
    """

    run: str
    tickets: int
    pairs: int
    only_first: int
    only_this: int
    ungraded: int
    first_mean: float
    mean: float
    difference: float
    low: float | None
    high: float | None
    p_value: float | None
    p_holm: float | None
    wins: int
    ties: int
    losses: int
    flips: tuple[Flip, ...]
    detectable: float | None


@attrs.frozen(kw_only=True)
class CompareReport:
    """What `supportbench compare --json` prints: the runs, the first one first, and each other one beside it.

    `differences` are the tasks and rubrics that are not the same, which only `--force` lets pass. `worse` are the runs
    whose mean is lower by more than `fail_if_worse_by`, and `incomplete` are then those without any grade for a ticket
    that the first one has: what they lack may be what they would have failed.
    """

    schema: Literal["supportbench.compare/1"] = "supportbench.compare/1"
    runs: tuple[ComparedRun, ...]
    forced: bool
    differences: tuple[str, ...]
    comparisons: tuple[Comparison, ...]
    fail_if_worse_by: float | None
    worse: tuple[str, ...]
    incomplete: tuple[str, ...] = ()
