"""Play the tasks with a language model, or with the heuristic agent where there is no key, and log it line by line.

Standard output has these three kinds of line and nothing else, each flushed as it happens:

    [START] task=easy_inbox_cleanup env=supportbench model=gpt-4o-mini
    [STEP] step=1 action={"priority":"P3",…} reward=1.00 done=false error=null
    [END] success=true steps=2 score=1.00 rewards=1.00,1.00

What a program that reads them can build on:

- Every task has one START and one END, whatever happens: also the tasks that the deadline or Ctrl-C left no time for.
  Where nothing could begin (wrong usage or no server, exit code 2, or a signal before that), there is no line at all.
- A ticket without a grade ends its task. Its STEP has `reward=0.00 done=true` and says in `error` what happened; where
  it is the agent that failed, the action is `{}`. Such a ticket is in `steps`, but in neither `rewards` nor `score`.
- `score` is the mean of the rewards, 0.00 where there are none; `success` means a score of at least 0.80 and no error.
- `action` is a JSON object, `error` is null or a JSON string. All is ASCII, and "=" and "[" inside of texts are escaped
  too: no text, whoever wrote it, can look like a field or a line of this log. `task` and `model` have no blanks.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TextIO

import attrs
import click

from supportbench.cli import Program
from supportbench.cli.options import block_option, rubric_option
from supportbench.errors import PluginCallError, SettingsError, SupportbenchError
from supportbench.evaluation.agents import ChosenAgent, choose_agent
from supportbench.evaluation.environments import PlannedTask
from supportbench.evaluation.episode import EpisodePlayer
from supportbench.evaluation.journal import check_writable, write_json
from supportbench.evaluation.planning import Evaluation, PlannedRun, plan
from supportbench.evaluation.results import TaskResult, summarize
from supportbench.evaluation.run import new_run_id, results_of
from supportbench.evaluation.servers import Server, plan_on_server, started
from supportbench.evaluation.stopping import Stop
from supportbench.interfaces import EpisodeSpec
from supportbench.models import Episode, EpisodeStep, SupportQueueAction
from supportbench.offers import closing
from supportbench.registry import Registry
from supportbench.rubrics import resolve_rubric
from supportbench.settings import DEFAULT_AGENT, Settings
from supportbench.watchdog import watch

DEFAULT_MODEL: Final = "gpt-4o-mini"
KEY_VARIABLES: Final = ("API_KEY", "HF_TOKEN", "OPENAI_API_KEY")
IMAGE_VARIABLES: Final = ("LOCAL_IMAGE_NAME", "IMAGE_NAME")
URL_VARIABLE: Final = "ENV_BASE_URL"
ACTION_KEYS: Final = ("priority", "queue", "disposition", "summary", "response", "confidence")
START_GRACE_S: Final = 60.0
"""How long docker may take to remove a container that is no longer wanted while it starts."""

logger: Final = logging.getLogger("inference")


@click.command(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Example: API_KEY=… MODEL_NAME=gpt-4o-mini python inference.py --deadline 600",
)
@click.option("--task", "task_ids", multiple=True, metavar="ID", help="Play this task only; may be repeated.")
@click.option(
    "--deadline",
    type=click.IntRange(min=1, max=86_400),
    default=1080,
    show_default=True,
    metavar="SECONDS",
    help="After so many seconds what is unfinished ends with an error.",
)
@rubric_option
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    default="inference_results.json",
    show_default=True,
    help="Where the results go.",
)
@block_option
def command(task_ids: tuple[str, ...], deadline: int, rubric: str | None, out: Path, block: tuple[str, ...]) -> None:
    """Play the tasks with a language model and log every step to standard output.

    \b
    API_BASE_URL   an OpenAI-compatible endpoint (default: https://api.openai.com/v1)
    MODEL_NAME     the model (default: gpt-4o-mini)
    API_KEY        the endpoint's key; else HF_TOKEN, else OPENAI_API_KEY;
                   with none of them the heuristic agent plays
    LOCAL_IMAGE_NAME (or IMAGE_NAME)
                   play on a server in a docker container of this image, which is
                   started for it and removed in the end, however that comes
    ENV_BASE_URL   play on the server at this URL; with neither of them the
                   environment runs in here
    SUPPORTBENCH_TOKEN
                   the token that the server wants, or that the container gets

    Exits 0 when it finished, 1 when a task had an error, 2 when it could not start, 130 after Ctrl-C and 143 after
    SIGTERM; the results are written all the same.
    """
    begun = time.monotonic()
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    stdout = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):  # whatever a plugin prints is no line of the log
        try:
            asked = Asked.from_environ(os.environ, task_ids, rubric, block)
            check_writable(out)
            code = asyncio.run(played(asked, stdout, out, deadline=deadline, begun=begun))
        except SupportbenchError as error:
            click.echo(f"Error: {error.detail if isinstance(error, PluginCallError) else error}", err=True)
            code = 2
        except KeyboardInterrupt:
            code = 128 + signal.SIGINT
    sys.exit(code)


@attrs.frozen(kw_only=True)
class Asked:
    """What is to be played, and the server to play it on, which may have to be started; None is in this process."""

    evaluation: Evaluation
    registry: Registry
    server: AbstractAsyncContextManager[Server] | None

    @classmethod
    def from_environ(
        cls, environ: Mapping[str, str], task_ids: tuple[str, ...], rubric: str | None, block: tuple[str, ...]
    ) -> Asked:
        """Return what options and variables ask for; raises `SupportbenchError` where it cannot be had."""
        server = server_of(environ, rubric)
        program = Program(environ=environ, settings=Settings.from_environ(environ))
        registry = program.load_plugins(block)
        rubric = rubric or program.settings.rubric
        evaluation = Evaluation(
            agent=agent_for(environ, registry),
            provider=program.settings.provider,
            task_ids=task_ids,
            rubric=None if rubric is None or server is not None else resolve_rubric(registry, rubric),
            feedback=program.settings.feedback,
        )
        return cls(evaluation=evaluation, registry=registry, server=server)

    async def planned(self, open_until_the_end: AsyncExitStack) -> PlannedRun:
        """Return the run, its server up; raises `SupportbenchError` where it cannot be played as asked."""
        if self.server is None:
            return plan(self.evaluation, self.registry)
        server = await open_until_the_end.enter_async_context(self.server)
        return await plan_on_server(self.evaluation, self.registry, server)


def server_of(environ: Mapping[str, str], rubric: str | None) -> AbstractAsyncContextManager[Server] | None:
    """Return the server that the variables name, None if they name none; one that is started here takes the rubric."""
    images = [environ[name].strip() for name in IMAGE_VARIABLES if environ.get(name, "").strip()]
    url = environ.get(URL_VARIABLE, "").strip()
    if images and url:
        raise SettingsError("LOCAL_IMAGE_NAME (or IMAGE_NAME) and ENV_BASE_URL both say where to play. Unset one.")
    if images:
        return started(images[0], environ if rubric is None else {**environ, "SUPPORTBENCH_RUBRIC": rubric})
    if url and rubric is not None:
        raise SettingsError(f"--rubric does not go with {URL_VARIABLE}: start that server with the rubric.")
    return nullcontext(Server.from_environ(url, environ)) if url else None


def agent_for(environ: Mapping[str, str], registry: Registry) -> ChosenAgent:
    """Return the model's agent where there is a key (it finds key and endpoint itself), else the heuristic."""
    if any(environ.get(name, "").strip() for name in KEY_VARIABLES):
        return choose_agent(registry, f"openai:{environ.get('MODEL_NAME', '').strip() or DEFAULT_MODEL}")
    click.echo(f"No key in {', '.join(KEY_VARIABLES)}: the {DEFAULT_AGENT} agent plays, no model is asked.", err=True)
    return choose_agent(registry, DEFAULT_AGENT)


# -- playing --------------------------------------------------------------------------------------------------------


async def played(asked: Asked, stdout: TextIO, out: Path, *, deadline: int, begun: float) -> int:
    """Play what is asked, with its server up for as long as that takes, and return the exit code."""
    stop = Stop()
    seconds_left = begun + deadline - time.monotonic()
    asyncio.get_running_loop().call_later(seconds_left, stop.request, f"the deadline of {deadline} s was reached")
    with stop.on_signals():
        async with AsyncExitStack() as open_until_the_end:
            planned = await stop.unless(asked.planned(open_until_the_end), grace_s=START_GRACE_S)
            if planned is None:
                click.echo(f"Error: nothing could be played: {stop.reason}", err=True)
                return max(stop.exit_code, 2)
            return await play_tasks(planned, stdout, out, stop, begun=begun)


async def play_tasks(planned: PlannedRun, stdout: TextIO, out: Path, stop: Stop, *, begun: float) -> int:
    """Play the tasks one after another, write the results, and return the exit code."""
    registry, agent = planned.registry, planned.evaluation.agent
    player = EpisodePlayer(registry=registry, environments=planned.environments, agent=agent)
    async with closing((*registry.offers(), agent.agent, *planned.environments.offers())), watch(registry):
        episodes = []
        for spec, task in zip(planned.specs(), planned.tasks, strict=True):
            log = TaskLog(writer(stdout, stop), task, agent.model or agent.label)
            episodes.append(await play_task(player, spec, task, log, stop))
        summary = summarize(episodes)
        results = results_of(planned, summary, run_id=new_run_id(), duration_s=time.monotonic() - begun)
        code = stop.exit_code if stop.reason else int(any(task.errors for task in summary.tasks))
        try:
            write_json(out, results)
        except OSError as error:
            click.echo(f"Error: cannot write {out}: {error.strerror}", err=True)
            return code or 1
    average = summary.average_score
    click.echo(f"Average score: {'none' if average is None else f'{average:.2f}'}. Results: {out}", err=True)
    return code


async def play_task(player: EpisodePlayer, spec: EpisodeSpec, task: PlannedTask, log: TaskLog, stop: Stop) -> Episode:
    """Play and log one task; whatever happens comes back as an episode."""
    started_at, episode, problem = datetime.now(UTC), None, ""
    try:
        if stop.reason is None:
            episode = await stop.unless(log.listening(player).play(spec))
    except SupportbenchError as error:
        logger.warning("%s", error.detail if isinstance(error, PluginCallError) else error)
        problem = str(error)
    except Exception as error:  # a bug of ours; its text may say what an answer key holds
        logger.exception("Task %s", spec.task_id)
        problem = f"{type(error).__name__}, see the log"
    except asyncio.CancelledError:  # a second Ctrl-C; this program ends by itself when all is logged
        stop.request("interrupted", 128 + signal.SIGINT)
    finally:
        if episode is None:
            reason = problem or stop.reason or "broken off"
            episode = player.broken_off(spec, task, log.steps, reason, started_at=started_at)
            for step in episode.steps[len(log.steps) :]:
                if step.status == "error":
                    log.step(step)
        log.end(summarize([episode]).tasks[0])
    return episode


# -- what is written ------------------------------------------------------------------------------------------------


class TaskLog:
    """The lines of one task, from its START on; `steps` are those that were logged."""

    def __init__(self, write: Callable[[str], None], task: PlannedTask, model: str) -> None:
        self.steps: list[EpisodeStep] = []
        self._write = write
        self._tickets = len(task.ticket_ids)
        self._ended = False
        write(f"[START] task={word(task.task_id)} env=supportbench model={word(model)}")

    def listening(self, player: EpisodePlayer) -> EpisodePlayer:
        """Return the player that tells this log of its steps."""
        return attrs.evolve(player, on_step=lambda spec, step: self.step(step))

    def step(self, step: EpisodeStep) -> None:
        """Log a ticket that was graded or failed."""
        if self._ended:  # an agent that would not be cancelled
            return
        self.steps.append(step)
        reward = 0.0 if step.grade is None else step.grade.reward
        done = step.grade is None or len(self.steps) == self._tickets
        self._write(
            f"[STEP] step={len(self.steps)} action={action_json(step.action)} reward={reward:.2f} "
            f"done={one_line(done)} error={one_line(step.error)}"
        )

    def end(self, result: TaskResult) -> None:
        """Log what the task came to."""
        self._ended = True
        rewards = ",".join(f"{reward:.2f}" for reward in result.rewards)
        self._write(
            f"[END] success={one_line(result.success)} steps={result.steps} score={result.score or 0.0:.2f} "
            f"rewards={rewards}"
        )


def writer(stream: TextIO, stop: Stop) -> Callable[[str], None]:
    """Return what writes a line to the stream at once; where that is impossible, it asks for the end."""

    def write(line: str) -> None:
        try:
            stream.write(f"{line}\n")
            stream.flush()
        except OSError as error:
            stop.request(f"standard output cannot be written: {error.strerror}")
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # or Python would stumble over it once more

    return write


def action_json(action: SupportQueueAction | None) -> str:
    """Return the action on one line, `{}` where there is none."""
    return one_line({} if action is None else {key: getattr(action, key) for key in ACTION_KEYS})


def one_line(value: object) -> str:
    """Return the value, which holds no list, as compact JSON on one line: ASCII, without `=` and `[`."""
    text = json.dumps(value, separators=(",", ":"))
    return text.replace("=", "\\u003d").replace("[", "\\u005b")


def word(name: str) -> str:
    """Return the name as it is, with blanks and whatever else is no part of a word escaped as in JSON."""
    return one_line(name)[1:-1].replace(" ", "\\u0020")


if __name__ == "__main__":
    command(prog_name="inference.py")
