"""`supportbench grade`: grade logged actions, or recorded ones again, without an agent."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable, Iterator
from contextlib import aclosing, redirect_stdout
from pathlib import Path
from typing import BinaryIO

import attrs
import click
from attrs import field

from supportbench import codec
from supportbench.choosing import DEFAULT_SPLIT, TaskChooser
from supportbench.cli import Program
from supportbench.cli.options import block_option, existing_file, json_option, rubric_option
from supportbench.cli.recordings import CONCURRENCY, grade_again, say_unscored
from supportbench.errors import ActionError, DecodeError, GradingError, RunError
from supportbench.evaluation.episode import without_details
from supportbench.evaluation.ordering import in_order
from supportbench.graders import Graders
from supportbench.grading import check_taxonomy
from supportbench.models import Case, Grade, Submission, SupportQueueAction, Task, fields
from supportbench.offers import closing
from supportbench.registry import Registry
from supportbench.rubrics import resolve_rubric
from supportbench.task_files import read_tickets
from supportbench.watchdog import watch
from supportbench.wording import counted, did_you_mean, shown


@attrs.frozen(kw_only=True)
class LoggedAction(SupportQueueAction):
    """A line of an actions file: which ticket, and the action."""

    ticket_id: str = field(validator=fields.name)


@click.command(
    name="grade", epilog="Example: supportbench grade --task easy_inbox_cleanup --actions actions.jsonl --json"
)
@click.argument("recording", required=False, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--actions",
    type=click.File("rb"),
    help='One action a line, {"ticket_id": …, "priority": …, …}; "-" is standard input.',
)
@click.option("--task", "task_id", metavar="ID", help="The task that the actions answer.")
@click.option("--provider", metavar="NAME", help="The provider of that task, where several have one of its name.")
@click.option("--tickets", type=existing_file, help="A file of tickets with answer keys, instead of a task.")
@rubric_option
@click.option(
    "--concurrency",
    type=click.IntRange(min=1),
    default=CONCURRENCY,
    show_default=True,
    help="Tickets under way at once, where a grader waits for somebody.",
)
@json_option
@block_option
@click.pass_obj
def command(
    program: Program,
    /,
    *,
    recording: Path | None,
    actions: BinaryIO | None,
    task_id: str | None,
    provider: str | None,
    tickets: Path | None,
    rubric: str | None,
    concurrency: int,
    as_json: bool,
    block: tuple[str, ...],
) -> None:
    """Grade logged actions: one grade a line with --json, else a table.

    Every line of the actions file is checked before the first is graded. Exits 1 when the grading of any fails: that
    one is unscored.

    With RECORDING instead of --actions (a folder that a server recorded its episodes in, one of its files, or a run's
    folder), the recorded actions are graded again, to see whether their rewards still are what they were. Exits 0 when
    all are as recorded, 1 when any differs or is unscored, since its grading failed. With --rubric, those may differ
    that another rubric was recorded with (by its fingerprint); with that very rubric they may not. For episodes with
    tickets of your own, give --tickets. What another rubric changes, and a run's folder with the new grades, is shown
    by supportbench regrade.
    """
    if (recording is None) == (actions is None):
        raise click.UsageError("Give either --actions FILE or a RECORDING.")
    if recording is not None and (task_id or provider):
        raise click.UsageError("A recording says itself which tasks were played: leave --task and --provider out.")
    if actions is not None and (task_id is None) == (tickets is None):
        raise click.UsageError("Give either --task ID or --tickets FILE.")
    registry = program.load_plugins(block)
    source = None if tickets is None else read_tickets(tickets)
    named = rubric or program.settings.rubric
    graders = Graders(registry, None if named is None else resolve_rubric(registry, named))
    if recording is not None:
        registry = registry if source is None else registry.with_provider(source)
        again = asyncio.run(
            grade_again(
                registry,
                graders,
                recording,
                has_tickets=source is not None,
                concurrency=concurrency,
                as_json=as_json,
            )
        )
        # Another rubric excuses a difference where it was asked for here; a variable that somebody set once does not.
        excused = 0 if rubric is None else again.differing_by_rubric
        if again.unscored or again.differing > excused:
            sys.exit(1)
    elif actions is not None:
        if source is not None:
            tasks = [source.task(DEFAULT_SPLIT, index) for index in range(source.num_tasks(DEFAULT_SPLIT))]
        else:
            tasks = [TaskChooser(registry, program.settings.provider).find(str(task_id), provider).task]
        _grade_answers(registry, graders, _answers(actions, tasks), tasks, concurrency=concurrency, as_json=as_json)


@attrs.frozen
class _Answer:
    """A checked line of the actions file."""

    task: Task
    case: Case
    action: SupportQueueAction


def _answers(actions: BinaryIO, tasks: Iterable[Task]) -> list[_Answer]:
    places: dict[str, tuple[Task, Case]] = {
        case.ticket.ticket_id: (task, case) for task in tasks for case in task.cases
    }
    answers: list[_Answer] = []
    for number, line in enumerate(actions, start=1):
        if not line.strip():
            continue
        where = f"{actions.name}, line {number}"
        try:
            logged = codec.decode(line, LoggedAction)
        except DecodeError as error:
            raise RunError(f"{where}: " + "; ".join(map(str, error.faults))) from error
        place = places.get(logged.ticket_id)
        if place is None:
            told = did_you_mean(logged.ticket_id, places)
            raise RunError(f"{where}: there is no ticket {shown(logged.ticket_id)}. {told}")
        task, case = place
        action = SupportQueueAction(
            **{name.name: getattr(logged, name.name) for name in attrs.fields(SupportQueueAction)}
        )
        try:
            check_taxonomy(action, task.taxonomy)
        except ActionError as error:
            raise RunError(f"{where}: {error}") from error
        answers.append(_Answer(task, case, action))
    if not answers:
        raise RunError(f"{actions.name} has no actions.")
    return answers


def _grade_answers(
    registry: Registry,
    graders: Graders,
    answers: list[_Answer],
    tasks: Iterable[Task],
    *,
    concurrency: int,
    as_json: bool,
) -> None:
    unscored = asyncio.run(_grade_all(registry, graders, answers, concurrency=concurrency, as_json=as_json))
    answered = {answer.case.ticket.ticket_id for answer in answers}
    missing = [case.ticket.ticket_id for task in tasks for case in task.cases if case.ticket.ticket_id not in answered]
    if missing:
        shown = ", ".join(missing[:10]) + (" …" if len(missing) > 10 else "")
        noun = "ticket has" if len(missing) == 1 else "tickets have"
        click.echo(f"{len(missing)} {noun} no action: {shown}", err=True)
    if unscored:
        sys.exit(1)


def _submissions(answers: Iterable[_Answer]) -> Iterator[Submission]:
    """Yield what graders are given; the earlier actions of an answer are the last ones for the task's other tickets."""
    earlier: dict[str, dict[str, SupportQueueAction]] = {}
    for answer in answers:
        ticket_id = answer.case.ticket.ticket_id
        others = earlier.setdefault(answer.task.task_id, {})
        previous = tuple(action for other, action in others.items() if other != ticket_id)
        others[ticket_id] = answer.action
        yield Submission(task=answer.task, case=answer.case, action=answer.action, previous=previous)


async def _grade_all(
    registry: Registry, graders: Graders, answers: Iterable[_Answer], *, concurrency: int, as_json: bool
) -> int:
    """Print the grades; return how many answers are unscored, since their grading failed."""
    # Refuses a rubric that cannot be bound before anything is graded. A grader that never waits gains nothing by
    # tasks, which cost half as much as it does.
    waits = {graders.for_task(answer.task).suspends for answer in answers}
    data = sys.stdout
    grades: list[Grade] = []
    unscored: list[str] = []

    async def grade(submission: Submission) -> Grade | None:
        try:
            return without_details(await graders.for_task(submission.task).grade(submission))
        except GradingError as error:
            unscored.append(str(error))
            return None

    async with closing((*registry.offers(), *graders.offers())), watch(registry):
        with redirect_stdout(sys.stderr):  # what a grader prints is no data of ours
            graded = in_order(grade, _submissions(answers), concurrency=concurrency if True in waits else 1)
            async with aclosing(graded):
                async for one in graded:
                    if one is None:
                        continue
                    if as_json:
                        click.echo(codec.encode(one), file=data)
                    else:
                        grades.append(one)
    if grades:
        _print_table(grades)
    say_unscored(unscored)
    return len(unscored)


def _print_table(grades: list[Grade]) -> None:
    from supportbench.cli.tables import figure, show, stdout, table

    names = list(dict.fromkeys(name for grade in grades for name in grade.components))
    numbers = ["reward", *names, "unsafe"]
    rows = [
        [
            grade.ticket_id,
            figure(grade.reward),
            *(figure(grade.components[name].score) if name in grade.components else "" for name in names),
            str(int(grade.unsafe)),
        ]
        for grade in grades
    ]
    console = stdout()
    show(console, table(["ticket", *numbers], rows, numbers=numbers))
    mean = sum(grade.reward for grade in grades) / len(grades)
    console.print(f"Mean reward of {counted(len(grades), 'action')}: {figure(mean)}")
