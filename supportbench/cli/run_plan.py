"""From the options of `supportbench run`, or from what an earlier run says of itself, to the plan of a run."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from supportbench.cli import Program
from supportbench.errors import RunError
from supportbench.evaluation.agents import choose_agent
from supportbench.evaluation.limits import Limits
from supportbench.evaluation.manifests import RunManifest
from supportbench.evaluation.planning import Evaluation, PlannedRun, plan
from supportbench.interfaces import LOCAL_EXECUTOR
from supportbench.registry import Registry
from supportbench.rubrics import resolve_rubric
from supportbench.task_files import read_tickets


def planned(
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
    executor: str | None,
    keeps_answers: bool,
    **rest: Any,
) -> PlannedRun:
    """Return the plan that the command's options ask for; raises `click.UsageError` where two of them disagree."""
    if task_ids and (split is not None or index is not None):
        raise click.UsageError("Give either --task, or --split and --index: they say the same thing twice.")
    if tickets is not None and provider is not None:
        raise click.UsageError("Give either --tickets or --provider.")
    if server is not None:
        _refuse_with_env("--rubric", rubric is not None, "it is the server that grades; start it with that rubric")
        _refuse_with_env("--tickets", tickets is not None, "the tasks are the server's")
        elsewhere = executor not in (None, LOCAL_EXECUTOR)
        _refuse_with_env("--executor", elsewhere, "the episodes are played on the server")
        _refuse_with_env("--executor-option", bool(rest["executor_options"]), "the episodes are played on the server")
    program = program.keeping_answers() if keeps_answers else program
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
        executor=executor or LOCAL_EXECUTOR,
        feedback=settings.feedback,
        keeps_answers=keeps_answers,
        **rest,
    )
    return _planned_where(program, registry, evaluation, server)


def planned_again(
    program: Program,
    folder: Path,
    manifest: RunManifest,
    *,
    concurrency: int,
    executor: str | None,
    executor_options: Mapping[str, Any],
    tickets: Path | None,
    limits: Limits,
    keeps_answers: bool,
) -> PlannedRun:
    """Return the plan that the manifest's run had.

    Its executor, its file of tickets and its limits hold, where nothing else is named.
    """
    asked = manifest.asked
    if asked is None:
        why = "its actions are another run's" if manifest.origin else "it was made before runs could be"
        raise RunError(f"{folder} cannot be resumed: {why}. Begin a new run.")
    if tickets is not None and asked.tickets is None:
        raise click.UsageError("--tickets goes with --resume where the run was begun with it, and the file has moved.")
    file = tickets or asked.tickets
    keeps_answers |= asked.keeps_answers
    program = program.keeping_answers() if keeps_answers else program
    registry = program.load_plugins(manifest.blocked)
    if file is not None:
        registry = registry.with_provider(read_tickets(file))
    evaluation = Evaluation(
        agent=choose_agent(registry, manifest.agent, asked.agent_options),
        agent_options=asked.agent_options,
        tickets=None if file is None else Path(file),
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
        executor=executor or manifest.executor,
        executor_options={**asked.executor_options, **executor_options} if executor is None else executor_options,
        feedback=manifest.feedback or program.settings.feedback,
        limits=Limits(
            max_tokens=limits.max_tokens or asked.limits.max_tokens,
            max_cost_usd=limits.max_cost_usd or asked.limits.max_cost_usd,
            timeout_s=limits.timeout_s or asked.limits.timeout_s,
        ),
        keeps_answers=keeps_answers,
    )
    return _planned_where(program, registry, evaluation, manifest.server)


def _planned_where(program: Program, registry: Registry, evaluation: Evaluation, server: str | None) -> PlannedRun:
    if server is None:
        return plan(evaluation, registry, program.environ)
    from supportbench.evaluation.servers import Server, plan_on_server  # takes a quarter of a second

    return asyncio.run(plan_on_server(evaluation, registry, Server.from_environ(server, program.environ)))


def refuse_with_resume(allowed: Collection[str]) -> None:
    """Refuse options that say what to play, which the run to be resumed says already."""
    context = click.get_current_context()
    for parameter in context.command.params:
        given = context.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE
        if given and parameter.name not in allowed:
            raise click.UsageError(
                f"{parameter.opts[0]} does not go with --resume: the run says what is played, and how."
            )


def _refuse_with_env(option: str, is_given: bool, reason: str) -> None:
    if is_given:
        raise click.UsageError(f"{option} does not go with --env: {reason}.")
