"""`supportbench run`: evaluate an agent."""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
import threading
from collections.abc import Callable, Coroutine
from contextlib import redirect_stdout
from functools import partial
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
    positive,
    print_json,
    rubric_option,
)
from supportbench.cli.run_options import RunCommand
from supportbench.cli.run_plan import planned, planned_again, refuse_with_resume
from supportbench.cli.run_progress import progress_of_run
from supportbench.cli.run_table import print_results
from supportbench.errors import RunError
from supportbench.evaluation.limits import Limits, RunStoppedError
from supportbench.evaluation.manifests import read_manifest
from supportbench.evaluation.results import Results
from supportbench.evaluation.run import Resumption, evaluate, new_run_id
from supportbench.evaluation.stopping import Stop
from supportbench.garbage import collected_seldom
from supportbench.wording import counted

_PLAYED_BY = ("concurrency", "executor", "executor_options", "tickets")
_LAST_GRACE_S = 5.0
_LIMITS = ("max_tokens", "max_cost", "timeout", "deadline")
_WITH_RESUME = ("resume", "retry_errors", "cache", "as_json", *_PLAYED_BY, *_LIMITS)


@click.command(
    name="run",
    cls=RunCommand,
    epilog="Example: supportbench run --agent openai:gpt-4o-mini --task easy_inbox_cleanup --repeats 3",
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
    "--executor",
    metavar="NAME[:ARGUMENT]",
    help="Where the episodes are played: local (default) is this process; ray or an installed plugin's.",
)
@click.option(
    "--executor-option",
    "executor_options",
    multiple=True,
    metavar="KEY=VALUE",
    callback=key_values,
    help="Set one of the executor's options; may be repeated. Shorter: --NAME-KEY VALUE, such as --ray-address URL.",
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
@click.option(
    "--max-tokens", type=click.IntRange(min=1), metavar="N", help="Begin no episode once so many tokens are used."
)
@click.option(
    "--max-cost",
    type=positive,
    metavar="USD",
    help="Begin no episode once so many US dollars are used, by the prices that are known (SUPPORTBENCH_PRICES).",
)
@click.option(
    "--cache",
    is_flag=True,
    help="Keep the answers of the agent's model, and ask it for none twice (SUPPORTBENCH_CACHE_DIR says where).",
)
@click.option("--timeout", type=positive, metavar="SECONDS", help="An answer that takes longer is an error.")
@click.option("--deadline", type=positive, metavar="SECONDS", help="End the run after so long, whatever is under way.")
@json_option
@block_option
@click.pass_obj
def command(
    program: Program,
    /,
    *,
    as_json: bool,
    out: Path | None,
    resume: Path | None,
    retry_errors: bool,
    max_tokens: int | None,
    max_cost: float | None,
    timeout: float | None,
    deadline: float | None,
    cache: bool,
    **asked: Any,
) -> None:
    """Evaluate an agent on tasks and write a results folder.

    A run that was interrupted, by whatever, or that reached a limit, goes on with --resume and comes to the same
    results. Limits of tokens and dollars are those of the whole run, judges included; they, --timeout and --cache hold
    when it goes on, unless something else is said.

    Exits 0 when every ticket was graded, 1 when any ended in an error or a limit ended the run, 2 when it could not
    start, and as after a signal (130 for Ctrl-C, 143 for SIGTERM) when it was interrupted.
    """
    limits = Limits(max_tokens=max_tokens, max_cost_usd=max_cost, timeout_s=timeout)
    if resume is not None:
        refuse_with_resume(_WITH_RESUME)
        folder, manifest = resume, read_manifest(resume)
        again = {name: asked[name] for name in _PLAYED_BY}
        plan = planned_again(program, folder, manifest, limits=limits, keeps_answers=cache, **again)
        resumed = Resumption.of(plan, folder, manifest, retry_errors=retry_errors)
        left = plan.total_episodes - len(resumed.played)
        click.echo(f"{counted(left, 'episode')} of {plan.total_episodes} left to play.", err=True)
        run_id = manifest.run_id
    elif retry_errors:
        raise click.UsageError("--retry-errors goes with --resume RUN.")
    else:
        plan, resumed = planned(program, limits=limits, keeps_answers=cache, **asked), None
        run_id = new_run_id()
        folder = out or Path("runs") / run_id
    evaluated = partial(evaluate, plan, folder, run_id=run_id, resumed=resumed)
    quoted = shlex.quote(str(folder))
    kept = f"Finished episodes are kept. Go on: supportbench run --resume {quoted}{' --retry-errors' * retry_errors}"
    try:
        with redirect_stdout(sys.stderr), collected_seldom():  # what plugins print is no data of ours
            behind = 0 if resumed is None else len(resumed.played)
            with progress_of_run(plan.total_episodes, behind) as advance:
                ending = _Ending(kept)
                stop, results = asyncio.run(_until(deadline, lambda: evaluated(on_episode=advance), ending))
    except RunStoppedError as error:
        wider = f" {error.wider} MORE" if error.wider else ""
        click.echo(f"The run was {error}. {kept}{wider}", err=True)
        sys.exit(1)
    except SystemExit as error:
        raise RunError(f"A plugin ended the program. {kept}") from error
    except KeyboardInterrupt:
        click.echo(f"Interrupted. {kept}", err=True)
        sys.exit(INTERRUPTED)
    if results is None:
        ending.tell(stop)
        sys.exit(stop.exit_code)
    if as_json:
        print_json(codec.unstructure(results))
    else:
        print_results(results)
    click.echo(f"Results: {folder}", err=as_json)
    if results.error_count:
        click.echo(
            f"To play the episodes with errors again: supportbench run --resume {quoted} --retry-errors", err=True
        )
        sys.exit(1)


class _Ending:
    """The end of a run that was stopped, which threads and tasks that do not end cannot put off for ever."""

    def __init__(self, kept: str) -> None:
        self._kept = kept
        self._told = threading.Lock()

    def tell(self, stop: Stop) -> None:
        """Tell the person, once."""
        if self._told.acquire(blocking=False):
            click.echo(f"The run was {stop.reason}. {self._kept}", err=True)

    def at_the_latest(self, stop: Stop) -> None:
        """End the process after `_LAST_GRACE_S`, unless it has ended by then: the interpreter waits for all threads."""

        def end() -> None:
            self.tell(stop)
            os._exit(stop.exit_code)

        timer = threading.Timer(_LAST_GRACE_S, end)
        timer.daemon = True
        timer.start()


async def _until(
    deadline_s: float | None, run: Callable[[], Coroutine[Any, Any, Results]], ending: _Ending
) -> tuple[Stop, Results | None]:
    """Return the results, or None after a signal or at the deadline: what is under way is given up then."""
    stop = Stop()
    if deadline_s is not None:
        reason = f"stopped at its deadline of {deadline_s:g} s"
        asyncio.get_running_loop().call_later(deadline_s, stop.request, reason)
    with stop.on_signals():
        results = await stop.unless(run())
    if results is None:
        ending.at_the_latest(stop)
    return stop, results
