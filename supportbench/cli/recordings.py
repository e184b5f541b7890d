"""Recorded episodes on the command line: checked, graded again, and what became of their rewards."""

from __future__ import annotations

import itertools
import sys
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager, redirect_stdout
from pathlib import Path
from typing import Final

import attrs
import click

from supportbench import codec
from supportbench.cli.printing import printable
from supportbench.cli.progress import progress
from supportbench.errors import RunError
from supportbench.evaluation.regrading import RegradedEpisode, RegradedStep, Regrader
from supportbench.evaluation.statistics.facts import Facts, TaskFacts
from supportbench.graders import Graders
from supportbench.models import RubricCard
from supportbench.offers import closing
from supportbench.registry import Registry
from supportbench.server.recording import RecordedLine, read_lines
from supportbench.task_files import PROVIDER as TICKET_FILE
from supportbench.watchdog import watch

CONCURRENCY: Final = 8
_SHORT: Final = len("sha256:") + 12
_MOST_TOLD: Final = 10


@attrs.frozen(kw_only=True)
class CheckedRecording:
    """A recording whose every line can be graded again: how much there is, and which rubrics graded then and do now.

    `actions` were graded, `unscored` ones had graders that failed, and `ungraded` tickets have no action to grade.
    `now` has by provider, split and index the rubric of each task, `facts` what else is known of it.
    """

    path: Path
    episodes: int
    actions: int
    unscored: int
    ungraded: int
    rubrics: Mapping[tuple[RubricCard, RubricCard], int]
    now: Mapping[tuple[str, str, int], RubricCard]
    facts: Facts


def check(regrader: Regrader, recording: Path, *, has_tickets: bool = False) -> CheckedRecording:
    """Read a recording through and return what is in it; warn of episodes that stand there more than once.

    Raises:
        RunError: a line is no episode or cannot be graded again, no action was graded, or `has_tickets` says that a
            file of tickets is given and no episode was played on one.
    """
    ids: set[str] = set()
    episodes = actions = unscored = steps = 0
    rubrics: dict[tuple[RubricCard, RubricCard], int] = {}
    now: dict[tuple[str, str, int], RubricCard] = {}
    facts: dict[tuple[str, str, int], TaskFacts] = {}
    for line in read_lines(recording):
        episode = line.episode
        with _at(line):
            actions += regrader.check(episode)
            card = regrader.rubric_of(episode)
        episodes += 1
        ids.add(episode.episode_id)
        unscored += episode.unscored
        steps += len(episode.steps)
        rubrics[episode.rubric, card] = rubrics.get((episode.rubric, card), 0) + 1
        place = (episode.provider, episode.split, episode.index)
        if place not in now:
            facts[place] = regrader.facts_of(episode)
        now[place] = card
    if not actions + unscored:
        raise RunError(_why_nothing(recording, episodes))
    if has_tickets and not any(provider == TICKET_FILE for provider, _, _ in now):
        raise RunError(f"No episode of {recording} was played on a file of tickets: leave --tickets out.")
    if repeated := episodes - len(ids):
        noun = "episode has" if repeated == 1 else "episodes have"
        click.echo(f"{repeated} {noun} the id of an earlier one, counted all the same: were files copied?", err=True)
    return CheckedRecording(
        path=recording,
        episodes=episodes,
        actions=actions,
        unscored=unscored,
        ungraded=steps - actions - unscored,
        rubrics=rubrics,
        now=now,
        facts=facts,
    )


@asynccontextmanager
async def graded_again(
    registry: Registry, graders: Graders, regrader: Regrader, checked: CheckedRecording, *, concurrency: int
) -> AsyncGenerator[AsyncGenerator[RegradedEpisode, None], None]:
    """Within the block, the checked episodes come in their order, graded again, with a bar on standard error.

    What graders print goes to standard error, too.
    """
    # A server may still record there: what was checked is graded, and no more.
    episodes = (line.episode for line in itertools.islice(read_lines(checked.path), checked.episodes))
    regrading = regrader.regrade_all(episodes, concurrency=concurrency)
    with redirect_stdout(sys.stderr), progress("grading", checked.actions + checked.unscored, "actions") as advance:
        async with closing((*registry.offers(), *graders.offers())), watch(registry), aclosing(regrading) as regraded:
            yield _advancing(regraded, advance)


async def _advancing(
    episodes: AsyncGenerator[RegradedEpisode, None], advance: Callable[[int], None]
) -> AsyncGenerator[RegradedEpisode, None]:
    async for episode in episodes:
        yield episode
        advance(sum(step.action is not None for step in episode.now.steps))


def say_ungraded(tickets: int, what_becomes: str) -> None:
    """Say on standard error how many tickets have no grade to compare."""
    if tickets:
        noun = "ticket has" if tickets == 1 else "tickets have"
        click.echo(f"{tickets} {noun} no recorded grade, after an error: {what_becomes}", err=True)


def say_unscored(errors: list[str]) -> None:
    """Say on standard error which tickets could not be graded now, and why."""
    if errors:
        noun = "ticket is unscored, since its grading" if len(errors) == 1 else "tickets are unscored, since grading"
        click.echo(f"{len(errors)} {noun} failed; without a reward now, and in no mean:", err=True)
    for error in errors[:_MOST_TOLD]:
        click.echo(f"  {printable(error)}", err=True)
    if len(errors) > _MOST_TOLD:
        click.echo(f"  … and {len(errors) - _MOST_TOLD} more", err=True)


def told(rubric: RubricCard) -> str:
    """Return the rubric's name with the beginning of its fingerprint."""
    return f"{rubric.name!r} ({rubric.fingerprint[:_SHORT]}…)"


@attrs.frozen(kw_only=True)
class GradedAgain:
    """How many rewards of a recording differ, and how many actions are unscored.

    `differing_by_rubric` are those that another rubric grades now than then: by its fingerprint, not by its name.
    """

    differing: int
    differing_by_rubric: int
    unscored: int


async def grade_again(
    registry: Registry, graders: Graders, recording: Path, *, has_tickets: bool, concurrency: int, as_json: bool
) -> GradedAgain:
    """Grade the graded actions of a recording again, print both rewards and return what became of them.

    With `as_json` every action is a line; else every ticket is a row of a table, with the means of its actions.

    Raises:
        RunError: like `check`; every line is checked before the first is graded.
    """
    regrader = Regrader(registry, graders)
    try:
        next(read_lines(recording), None)
    except RunError as error:
        raise RunError(f"{error}. Is it a file of actions? They are graded with --actions {recording}") from error
    checked = check(regrader, recording, has_tickets=has_tickets)
    say_ungraded(checked.ungraded + checked.unscored, "left out")
    for (then, now), count in checked.rubrics.items():
        if then != now:
            noun = "episode was" if count == 1 else "episodes were"
            click.echo(f"{count} {noun} recorded with rubric {told(then)}; now {told(now)} grades", err=True)
    total, of_tickets = _Sums(), dict[tuple[str, str, str], _Sums]()
    unscored: list[str] = []
    by_rubric = 0
    data = sys.stdout
    async with graded_again(registry, graders, regrader, checked, concurrency=concurrency) as episodes:
        async for episode in episodes:
            unscored.extend(after.error or "" for _, after in episode.graded if after.grade is None)
            is_other_rubric = episode.then.rubric.fingerprint != episode.now.rubric.fingerprint
            for step in episode.steps:
                total.add(step)
                by_rubric += step.differs and is_other_rubric
                if as_json:
                    click.echo(codec.encode(step), file=data)
                else:
                    ticket = (episode.then.provider, step.task_id, step.grade.ticket_id)
                    of_tickets.setdefault(ticket, _Sums()).add(step)
    say_unscored(unscored)
    if total.actions and not as_json:
        _print_table(of_tickets, total)
    return GradedAgain(differing=total.differing, differing_by_rubric=by_rubric, unscored=len(unscored))


# -- reading ------------------------------------------------------------------------------------------------------


def _why_nothing(recording: Path, episodes: int) -> str:
    if episodes or recording.is_file():
        return f"{recording} has no graded actions."
    return (
        f"{recording} has no graded actions: it is neither a run's folder, with a journal.jsonl, nor one that a server "
        "recorded in, with files episodes-*.jsonl."
    )


@contextmanager
def _at(line: RecordedLine) -> Iterator[None]:
    """Say in an error which line it is about."""
    try:
        yield
    except RunError as error:
        raise RunError(f"{line}: {error}") from error


# -- printing -----------------------------------------------------------------------------------------------------


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
