"""Recorded episodes on the command line: graded again, and what became of their rewards."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Final

import attrs
import click

from supportbench import codec
from supportbench.errors import RunError
from supportbench.evaluation.regrading import RegradedStep, Regrader
from supportbench.graders import Graders
from supportbench.models import RubricCard
from supportbench.offers import closing
from supportbench.registry import Registry
from supportbench.server.recording import RecordedLine, read_lines
from supportbench.watchdog import watch

_SHORT: Final = len("sha256:") + 12


@attrs.define
class _Sums:
    """What is shown of all actions for one ticket."""

    actions: int = 0
    recorded: float = 0.0
    now: float = 0.0
    differing: int = 0

    def add(self, step: RegradedStep) -> None:
        self.actions += 1
        self.recorded += step.recorded_reward
        self.now += step.grade.reward
        self.differing += step.differs


async def grade_again(registry: Registry, graders: Graders, recording: Path, *, as_json: bool) -> int:
    """Grade the graded actions of a recording again and print both rewards; return how many differ.

    With `as_json` every action is a line; else every ticket is a row of a table, with the means of its actions.

    Raises:
        RunError: a line is no episode, or cannot be graded again; every line is checked before the first is graded.
    """
    regrader = Regrader(registry, graders)
    episodes = _check(regrader, recording)
    total, of_tickets = _Sums(), dict[tuple[str, str, str], _Sums]()
    async with closing((*registry.offers(), *graders.offers())), watch(registry):
        # A server may still record there: what was checked is graded, and no more.
        for line in itertools.islice(read_lines(recording), episodes):
            with _at(line), redirect_stdout(sys.stderr):  # what a grader prints is no data of ours
                steps = await regrader.regrade(line.episode)
            for step in steps:
                total.add(step)
                if as_json:
                    click.echo(codec.encode(step))
                else:
                    ticket = (line.episode.provider, step.task_id, step.grade.ticket_id)
                    of_tickets.setdefault(ticket, _Sums()).add(step)
    if not as_json:
        _print_table(of_tickets, total)
    return total.differing


def _check(regrader: Regrader, recording: Path) -> int:
    """Return how many episodes there are; say on standard error what will not be compared, or not like with like."""
    episodes = graded = ungraded = 0
    rubrics: dict[tuple[RubricCard, RubricCard], int] = {}
    for line in _lines(recording):
        episodes += 1
        with _at(line):
            actions = sum(1 for _ in regrader.actions_of(line.episode))
            cards = (line.episode.rubric, regrader.rubric_of(line.episode))
        graded += actions
        ungraded += len(line.episode.steps) - actions
        if cards[0] != cards[1]:
            rubrics[cards] = rubrics.get(cards, 0) + 1
    if not graded:
        raise RunError(f"{recording} has no graded actions.")
    if ungraded:
        noun = "ticket has" if ungraded == 1 else "tickets have"
        click.echo(f"{ungraded} {noun} no recorded grade, after an error: left out", err=True)
    for (then, now), count in rubrics.items():
        noun = "episode was" if count == 1 else "episodes were"
        click.echo(f"{count} {noun} recorded with rubric {_told(then)}; now {_told(now)} grades", err=True)
    return episodes


def _lines(recording: Path) -> Iterator[RecordedLine]:
    lines = read_lines(recording)
    try:
        first = list(itertools.islice(lines, 1))
    except RunError as error:
        raise RunError(f"{error}. Is it a file of actions? They are graded with --actions {recording}") from error
    return itertools.chain(first, lines)


@contextmanager
def _at(line: RecordedLine) -> Iterator[None]:
    """Say in an error which line it is about."""
    try:
        yield
    except RunError as error:
        raise RunError(f"{line}: {error}") from error


def _told(rubric: RubricCard) -> str:
    return f"{rubric.name!r} ({rubric.fingerprint[:_SHORT]}…)"


def _print_table(of_tickets: dict[tuple[str, str, str], _Sums], total: _Sums) -> None:
    from supportbench.cli.tables import show, stdout, table

    numbers = ["actions", "recorded", "now", "differ"]
    rows = [
        [task_id, ticket_id, str(sums.actions), *_means(sums), str(sums.differing)]
        for (_, task_id, ticket_id), sums in of_tickets.items()
    ]
    console = stdout()
    show(console, table(["task", "ticket", *numbers], rows, numbers=numbers))
    recorded, now = _means(total)
    if total.differing:
        console.print(f"{total.differing} of {total.actions} rewards differ. Mean: {recorded} recorded, {now} now")
    else:
        noun = "reward is" if total.actions == 1 else "rewards are"
        console.print(f"{total.actions} {noun} as recorded. Mean: {now}")


def _means(sums: _Sums) -> tuple[str, str]:
    """Return the mean rewards with two decimals, or with as many as show that they differ."""
    recorded, now = sums.recorded / sums.actions, sums.now / sums.actions
    texts = [(f"{recorded:.{decimals}f}", f"{now:.{decimals}f}") for decimals in (2, 4, 8, 16)]
    return texts[0] if recorded == now else next((pair for pair in texts if pair[0] != pair[1]), texts[-1])
