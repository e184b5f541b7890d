"""`supportbench run`: evaluate an agent."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

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
from supportbench.cli.run_table import print_results
from supportbench.errors import RunError
from supportbench.evaluation.agents import choose_agent
from supportbench.evaluation.manifests import RunManifest, read_manifest
from supportbench.evaluation.planning import Evaluation, PlannedRun, plan
from supportbench.evaluation.results import Results
from supportbench.evaluation.run import Resumption, evaluate, new_run_id
from supportbench.evaluation.stopping import Stop
from supportbench.interfaces import LOCAL_EXECUTOR
from supportbench.models import Episode
from supportbench.registry import Registry
from supportbench.rubrics import resolve_rubric
from supportbench.task_files import read_tickets
from supportbench.wording import counted

_WITH_RESUME = ("resume", "retry_errors", "concurrency", "as_json")


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
@click.option(
    "--resume",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="RUN",
    help="Go on with the run in this folder: what its journal has is not played again.",
)
@click.option(
    "--retry-errors", is_flag=True, help="With --resume: play the episodes again in which a ticket ended in an error."
)
@json_option
@block_option
@click.pass_obj
def command(
    program: Program, /, *, as_json: bool, out: Path | None, resume: Path | None, retry_errors: bool, **asked: Any
) -> None:
    """Evaluate an agent on tasks and write a results folder.

    A run that was interrupted, by whatever, goes on with --resume and comes to the same results.

    Exits 0 when every ticket was graded, 1 when any ended in an error, 2 when it could not start, and as after a
    signal (130 for Ctrl-C, 143 for SIGTERM) when it was interrupted.
    """
    if resume is None:
        if retry_errors:
            raise click.UsageError("--retry-errors goes with --resume RUN.")
        planned, resumed = _planned(program, **asked), None
        run_id = new_run_id()
        folder = out or Path("runs") / run_id
    else:
        _refuse_with_resume()
        folder, manifest = resume, read_manifest(resume)
        planned = _planned_again(program, folder, manifest, asked["concurrency"])
        resumed = Resumption.of(planned, folder, manifest, retry_errors=retry_errors)
        run_id = resumed.run_id
        left = planned.total_episodes - len(resumed.played)
        click.echo(f"{counted(left, 'episode')} of {planned.total_episodes} left to play.", err=True)
    try:
        with redirect_stdout(sys.stderr):  # what plugins print is no data of ours
            stop, results = asyncio.run(_evaluated(planned, folder, run_id, resumed))
    except SystemExit as error:
        raise RunError(f"A plugin ended the program. {_kept(folder)}") from error
    except KeyboardInterrupt:
        click.echo(f"Interrupted. {_kept(folder)}", err=True)
        sys.exit(INTERRUPTED)
    if results is None:
        click.echo(f"The run was {stop.reason}. {_kept(folder)}", err=True)
        sys.exit(stop.exit_code)
    if as_json:
        print_json(codec.unstructure(results))
    else:
        print_results(results)
    click.echo(f"Results: {folder}", err=as_json)
    if results.error_count:
        click.echo(
            f"To play the episodes with errors again: supportbench run --resume {folder} --retry-errors", err=True
        )
        sys.exit(1)


def _kept(folder: Path) -> str:
    return f"Finished episodes are kept. Go on: supportbench run --resume {folder}"


def _planned(
    program: Program,
    *,
    server: str | None,
    block: tuple[str, ...],
    agent: str | None,
    provider: str | None,
    tickets: Path | None,
    task_ids: tuple[str, ...],
    split: str | None,
    index: int | None,
    rubric: str | None,
    executor: str,
    **rest: Any,
) -> PlannedRun:
    if task_ids and (split is not None or index is not None):
        raise click.UsageError("Give either --task, or --split and --index: they say the same thing twice.")
    if tickets is not None and provider is not None:
        raise click.UsageError("Give either --tickets or --provider.")
    if server is not None:
        _refuse_with_env("--rubric", rubric is not None, "it is the server that grades; start it with that rubric")
        _refuse_with_env("--tickets", tickets is not None, "the tasks are the server's")
        _refuse_with_env("--executor", executor != LOCAL_EXECUTOR, "the episodes are played on the server")
    registry = program.load_plugins(block)
    if tickets is not None:
        tasks = read_tickets(tickets)
        registry, provider = registry.with_provider(tasks), tasks.name
    settings = program.settings
    rubric = rubric or settings.rubric
    evaluation = Evaluation(
        agent=choose_agent(registry, agent or settings.agent, rest["agent_options"]),
        tickets=tickets,
        provider=provider or settings.provider,
        strict_provider=provider is not None,
        task_ids=task_ids,
        split=split,
        index=index,
        rubric=None if rubric is None or server is not None else resolve_rubric(registry, rubric),
        executor=executor,
        feedback=settings.feedback,
        **rest,
    )
    return _planned_where(program, registry, evaluation, server)


def _planned_again(program: Program, folder: Path, manifest: RunManifest, concurrency: int) -> PlannedRun:
    """Return the plan that the manifest's run had."""
    asked = manifest.asked
    if asked is None:
        why = "its actions are another run's" if manifest.origin else "it was made before runs could be"
        raise RunError(f"{folder} cannot be resumed: {why}. Begin a new run.")
    registry = program.load_plugins(manifest.blocked)
    if asked.tickets is not None:
        registry = registry.with_provider(read_tickets(asked.tickets))
    evaluation = Evaluation(
        agent=choose_agent(registry, manifest.agent, asked.agent_options),
        agent_options=asked.agent_options,
        tickets=None if asked.tickets is None else Path(asked.tickets),
        provider=asked.provider,
        strict_provider=asked.strict_provider,
        task_ids=asked.task_ids,
        split=asked.split,
        index=asked.index,
        rubric=asked.rubric,
        repeats=manifest.repeats,
        seed=manifest.seed,
        concurrency=concurrency,
        limit=manifest.limit,
        executor=manifest.executor,
        feedback=manifest.feedback or program.settings.feedback,
    )
    return _planned_where(program, registry, evaluation, manifest.server)


def _planned_where(program: Program, registry: Registry, evaluation: Evaluation, server: str | None) -> PlannedRun:
    if server is None:
        return plan(evaluation, registry)
    from supportbench.evaluation.servers import Server, plan_on_server  # takes a quarter of a second

    return asyncio.run(plan_on_server(evaluation, registry, Server.from_environ(server, program.environ)))


def _refuse_with_resume() -> None:
    """Refuse options that say what to play, which the run to be resumed says already."""
    context = click.get_current_context()
    for parameter in context.command.params:
        given = context.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE
        if given and parameter.name not in _WITH_RESUME:
            raise click.UsageError(
                f"{parameter.opts[0]} does not go with --resume: the run says what is played, and how."
            )


def _refuse_with_env(option: str, is_given: bool, reason: str) -> None:
    if is_given:
        raise click.UsageError(f"{option} does not go with --env: {reason}.")


async def _evaluated(
    planned: PlannedRun, folder: Path, run_id: str, resumed: Resumption | None
) -> tuple[Stop, Results | None]:
    """Return the results, or None after a signal: what is under way is given up then, what is finished is kept."""
    stop = Stop()
    behind = 0 if resumed is None else len(resumed.played)
    with stop.on_signals(), _progress(planned.total_episodes, behind) as advance:
        run = evaluate(planned, folder, run_id=run_id, resumed=resumed, on_episode=advance)
        return stop, await stop.unless(run)


@contextmanager
def _progress(total: int, behind: int) -> Iterator[Callable[[Episode], None]]:
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
        task = bar.add_task("playing", total=total, completed=behind)

        def advance(episode: Episode) -> None:
            nonlocal errors
            errors += len(episode.errors)
            bar.update(task, advance=1, description=f"playing, {errors} errors" if errors else "playing")

        yield advance
