"""`supportbench run`: evaluate an agent."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import click

from supportbench import codec
from supportbench.cli import INTERRUPTED, Program
from supportbench.cli.options import (
    block_option,
    existing_file,
    json_option,
    key_values,
    new_folder,
    print_json,
    rubric_option,
)
from supportbench.cli.printing import printable
from supportbench.errors import RunError
from supportbench.evaluation.agents import choose_agent
from supportbench.evaluation.planning import Evaluation, PlannedRun, plan
from supportbench.evaluation.results import Results
from supportbench.evaluation.run import evaluate, new_run_id
from supportbench.interfaces import LOCAL_EXECUTOR
from supportbench.models import Episode
from supportbench.models.tickets import DEFAULT_RUBRIC
from supportbench.registry import Registry
from supportbench.rubrics import resolve_rubric
from supportbench.task_files import read_tickets
from supportbench.wording import counted


@click.command(
    name="run", epilog="Example: supportbench run --agent openai:gpt-4o-mini --task easy_inbox_cleanup --repeats 3"
)
@click.option(
    "--agent",
    metavar="NAME[:ARGUMENT]",
    help="Who answers: heuristic (default), random, openai:MODEL, or an installed plugin's.",
)
@click.option(
    "--agent-option",
    "agent_options",
    multiple=True,
    metavar="KEY=VALUE",
    callback=key_values,
    help="Set one of the agent's options; may be repeated.",
)
@click.option(
    "--env",
    "server",
    metavar="URL",
    help="Play on this server, which has its own tasks, rubric and feedback; SUPPORTBENCH_TOKEN is its token.",
)
@click.option("--provider", metavar="NAME", help="Whose tasks (default: triage). See: supportbench tasks.")
@click.option("--tickets", type=existing_file, help="Your own tickets, one JSON object a line, instead of a provider.")
@click.option("--task", "task_ids", multiple=True, metavar="ID", help="Play this task only; may be repeated.")
@click.option("--split", metavar="NAME", help="Play the tasks of this split (default: test).")
@click.option("--index", type=click.IntRange(min=0), help="Play only the task at this place in the split.")
@rubric_option
@click.option("--repeats", type=click.IntRange(min=1), default=1, show_default=True, help="Play every task so often.")
@click.option("--seed", type=click.IntRange(min=0, max=2**63 - 1), default=0, show_default=True, help="Seed of agents.")
@click.option(
    "--concurrency", type=click.IntRange(min=1), default=8, show_default=True, help="Episodes under way at once."
)
@click.option("--limit", type=click.IntRange(min=1), metavar="TICKETS", help="Play so many tickets at most, in order.")
@click.option(
    "--executor", default=LOCAL_EXECUTOR, show_default=True, metavar="NAME", help="Where the episodes are played."
)
@click.option("--out", type=new_folder, help="The results folder (default: a new one in runs/).")
@json_option
@block_option
@click.pass_obj
def command(
    program: Program,
    /,
    *,
    server: str | None,
    as_json: bool,
    out: Path | None,
    block: tuple[str, ...],
    **asked: Any,
) -> None:
    """Evaluate an agent on tasks and write a results folder.

    Exits 0 when every ticket was graded, 1 when any ended in an error, 2 when it could not start.
    """
    registry = program.load_plugins(block)
    planned = _planned(program, registry, server, **asked)
    run_id = new_run_id()
    folder = out or Path("runs") / run_id
    try:
        with redirect_stdout(sys.stderr):  # what plugins print is no data of ours
            results = asyncio.run(_evaluated(planned, folder, run_id))
    except SystemExit as error:
        raise RunError(f"A plugin ended the program. Finished episodes are in {folder / 'journal.jsonl'}.") from error
    except KeyboardInterrupt:
        click.echo(f"Interrupted. Finished episodes are in {folder / 'journal.jsonl'}.", err=True)
        sys.exit(INTERRUPTED)
    if as_json:
        print_json(codec.unstructure(results))
    else:
        print_results(results)
    click.echo(f"Results: {folder}", err=as_json)
    if results.error_count:
        sys.exit(1)


def _planned(
    program: Program,
    registry: Registry,
    server: str | None,
    *,
    agent: str | None,
    agent_options: dict[str, Any],
    provider: str | None,
    tickets: Path | None,
    task_ids: tuple[str, ...],
    split: str | None,
    index: int | None,
    rubric: str | None,
    executor: str,
    **numbers: Any,
) -> PlannedRun:
    if task_ids and (split is not None or index is not None):
        raise click.UsageError("Give either --task, or --split and --index: they say the same thing twice.")
    if tickets is not None and provider is not None:
        raise click.UsageError("Give either --tickets or --provider.")
    if server is not None:
        _refuse_with_env("--rubric", rubric is not None, "it is the server that grades; start it with that rubric")
        _refuse_with_env("--tickets", tickets is not None, "the tasks are the server's")
        _refuse_with_env("--executor", executor != LOCAL_EXECUTOR, "the episodes are played on the server")
    if tickets is not None:
        tasks = read_tickets(tickets)
        registry, provider = registry.with_provider(tasks), tasks.name
    settings = program.settings
    rubric = rubric or settings.rubric
    evaluation = Evaluation(
        agent=choose_agent(registry, agent or settings.agent, agent_options),
        provider=provider or settings.provider,
        strict_provider=provider is not None,
        task_ids=task_ids,
        split=split,
        index=index,
        rubric=None if rubric is None or server is not None else resolve_rubric(registry, rubric),
        executor=executor,
        feedback=settings.feedback,
        **numbers,
    )
    if server is None:
        return plan(evaluation, registry)
    from supportbench.evaluation.servers import Server, plan_on_server  # takes a quarter of a second

    return asyncio.run(plan_on_server(evaluation, registry, Server.from_environ(server, program.environ)))


def _refuse_with_env(option: str, is_given: bool, reason: str) -> None:
    if is_given:
        raise click.UsageError(f"{option} does not go with --env: {reason}.")


async def _evaluated(planned: PlannedRun, folder: Path, run_id: str) -> Results:
    with _progress(planned.total_episodes) as advance:
        return await evaluate(planned, folder, run_id=run_id, on_episode=advance)


@contextmanager
def _progress(total: int) -> Iterator[Callable[[Episode], None]]:
    """Show a bar on stderr that every finished episode advances; nothing where stderr is no terminal."""
    if not sys.stderr.isatty():
        yield lambda episode: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from supportbench.cli.tables import stderr

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("episodes"),
        TimeRemainingColumn(),
    )
    errors = 0
    with Progress(*columns, console=stderr(), transient=True) as bar:
        task = bar.add_task("playing", total=total)

        def advance(episode: Episode) -> None:
            nonlocal errors
            errors += len(episode.errors)
            bar.update(task, advance=1, description=f"playing, {errors} errors" if errors else "playing")

        yield advance


def print_results(results: Results) -> None:
    """Print the table of a run: errors first, then a row a task, then the average."""
    from rich.table import Table

    from supportbench.cli.tables import figure, fits, show, stdout, table

    console = stdout()
    names = list(dict.fromkeys(name for task in results.tasks for name in task.components))
    if results.error_count:
        ended = f"{counted(results.error_count, 'ticket')} ended in an error{_unscored(results)}"
        console.print(f"{ended} and {results.unreached_count} were not reached; neither enters a mean.")
        for task in results.tasks:
            for message in task.errors:
                console.print(f"  {printable(task.task_id)}: {printable(message)}")
    rubrics = list(dict.fromkeys(task.rubric.name for task in results.tasks if task.rubric.name != DEFAULT_RUBRIC))
    title = " · ".join([results.agent, *(f"rubric {name}" for name in rubrics), f"seed {results.seed}"])
    columns = {
        "task": [task.task_id for task in results.tasks],
        "difficulty": [task.difficulty for task in results.tasks],
        "tickets": [str(task.tickets) for task in results.tasks],
        "score": [figure(task.score) for task in results.tasks],
        "unsafe": ["–" if task.unsafe_replies is None else str(task.unsafe_replies) for task in results.tasks],
        "errors": [str(len(task.errors)) for task in results.tasks],
    }
    means = {name: [figure(task.components.get(name)) for task in results.tasks] for name in names}

    def table_of(shown: dict[str, list[str]], title: str) -> Table:
        numbers = [name for name in shown if name not in ("task", "difficulty")]
        return table(list(shown), zip(*shown.values(), strict=True), numbers=numbers, title=title)

    # One table where it fits; on a narrow terminal the component means get one of their own.
    whole = table_of({**columns, **means}, title)
    if fits(console, whole):
        show(console, whole)
    else:
        show(console, table_of(columns, title))
        show(console, table_of({"task": columns["task"], **means}, "component means"))
    console.print(f"Average score: {figure(results.average_score)}{_out_of(results)}")


def _unscored(results: Results) -> str:
    """Return how many of the errors are graders' doing, empty where none is."""
    return f" ({results.unscored_count} unscored, since grading failed)" if results.unscored_count else ""


def _out_of(results: Results) -> str:
    """Return what the average is an average of, where that is not everything."""
    if not results.error_count:
        return ""
    scored = sum(task.score is not None for task in results.tasks)
    graded = sum(len(task.rewards) for task in results.tasks)
    tickets = sum(task.tickets for task in results.tasks)
    return f" over {scored} of {len(results.tasks)} tasks ({graded} of {tickets} tickets graded)"
