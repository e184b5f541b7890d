"""Playing one episode: reset, act, step, until the task is done or an error ends it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

import attrs

from supportbench.errors import (
    ActionError,
    AgentError,
    ClientError,
    EpisodeError,
    GradingError,
    HookError,
    PluginCallError,
    RefusedMessageError,
    SupportbenchError,
    UnscoredError,
    boundary,
)
from supportbench.evaluation.agents import ChosenAgent, ask
from supportbench.evaluation.environments import Environments, PlannedTask, PlayedEnvironment
from supportbench.interfaces import EpisodeSpec
from supportbench.models import AgentReply, Episode, EpisodeStep, ErrorKind, Grade
from supportbench.registry import Registry

logger: Final = logging.getLogger("supportbench.evaluation")


@attrs.frozen(kw_only=True)
class EpisodePlayer:
    """Plays any episode of a run with one agent, in one kind of environment.

    `on_step` is told of each ticket as it is graded or ends in an error, not of unreached ones; it must not raise. The
    agent may take `timeout_s` for a ticket; None is for ever.
    """

    registry: Registry
    environments: Environments
    agent: ChosenAgent
    on_step: Callable[[EpisodeSpec, EpisodeStep], None] = lambda spec, step: None
    timeout_s: float | None = None

    async def play(self, spec: EpisodeSpec) -> Episode:
        """Return the finished episode.

        An error of the agent or of a grader ends it: that ticket counts as `error`, later ones as `unreached`.

        Raises:
            EpisodeError, ProviderError: the episode could not even begin.
        """
        started_at, begun = datetime.now(UTC), time.perf_counter()
        environment = self.environments.open(spec)
        try:
            steps = await self._steps(environment, spec)
        finally:
            await environment.aclose()
        episode = self._record(spec, environment.task, steps, started_at, time.perf_counter() - begun)
        await notify_episode_finished(self.registry, episode)
        return episode

    def broken_off(
        self, spec: EpisodeSpec, task: PlannedTask, steps: Sequence[EpisodeStep], reason: str, *, started_at: datetime
    ) -> Episode:
        """Return the record of an episode whose `play` was cancelled or raised, after the steps that `on_step` saw.

        The next ticket counts as `error` with the reason, later ones as `unreached`. Nobody is notified.
        """
        tickets = task.ticket_ids[: spec.max_tickets]
        ended = list(steps)
        if len(ended) < len(tickets) and not any(step.status == "error" for step in ended):
            ended.append(EpisodeStep(ticket_id=tickets[len(ended)], status="error", error=reason))
        ended.extend(_unreached(tickets[len(ended) :]))
        duration_s = max(0.0, (datetime.now(UTC) - started_at).total_seconds())
        return self._record(spec, task, ended, started_at, duration_s)

    def _record(
        self,
        spec: EpisodeSpec,
        task: PlannedTask,
        steps: Sequence[EpisodeStep],
        started_at: datetime,
        duration_s: float,
    ) -> Episode:
        return Episode(
            episode_id=f"{spec.provider}:{spec.task_id}:{spec.repeat}",
            provider=spec.provider,
            split=spec.split,
            index=spec.index,
            task_id=task.task_id,
            task_title=task.title,
            difficulty=task.difficulty,
            task_fingerprint=task.fingerprint,
            rubric=task.rubric,
            agent=self.agent.label,
            model=self.agent.model,
            seed=spec.seed,
            repeat=spec.repeat,
            steps=tuple(steps),
            started_at=started_at.isoformat(timespec="milliseconds"),
            duration_s=round(duration_s, 6),
        )

    async def _steps(self, environment: PlayedEnvironment, spec: EpisodeSpec) -> list[EpisodeStep]:
        tickets = environment.task.ticket_ids[: spec.max_tickets]
        steps: list[EpisodeStep] = []
        begun = time.perf_counter()
        try:
            observation = await environment.reset(spec.seed)
        except ClientError as error:  # of a server; in this process, there is then nothing to play at all
            steps.append(self._failed(tickets[0], error, begun))
            self.on_step(spec, steps[0])
            return [*steps, *_unreached(tickets[1:])]
        agent = None
        for planned_id in tickets:
            ticket_id = planned_id if observation.ticket is None else observation.ticket.ticket_id
            begun = time.perf_counter()
            reply = None
            try:
                if agent is None:
                    agent = self.agent.for_episode(spec.seed)
                reply = await ask(agent, self.agent.label, observation, timeout_s=self.timeout_s)
                latency_s = round(time.perf_counter() - begun, 6)
                observation, grade = await environment.step(reply.action)
            except (PluginCallError, EpisodeError, ClientError) as error:
                step = self._failed(ticket_id, error, begun, reply)
            else:
                step = EpisodeStep(
                    ticket_id=ticket_id,
                    status="graded",
                    action=reply.action,
                    grade=without_details(grade),
                    usage=reply.usage,
                    latency_s=latency_s,
                )
            steps.append(step)
            self.on_step(spec, step)
            if step.status == "error":
                break
        return [*steps, *_unreached(tickets[len(steps) :])]

    def _failed(
        self, ticket_id: str, error: SupportbenchError, begun: float, reply: AgentReply | None = None
    ) -> EpisodeStep:
        message = str(error)
        if reply is not None and isinstance(error, ActionError | RefusedMessageError):  # which do not say whose fault
            message = f"agent {self.agent.label!r} failed at ticket {ticket_id!r}: {message}"
        # Whoever left a ticket unscored has warned of it, in words that agents may not read.
        logger.log(logging.INFO if isinstance(error, UnscoredError) else logging.WARNING, "%s", message)
        # With a grader's own words, which may have an answer key in them.
        private = isinstance(error, PluginCallError) and not error.text_is_public
        logger.log(logging.DEBUG if private else logging.INFO, "where it came from:", exc_info=error)
        usage = None if reply is None else reply.usage
        return EpisodeStep(
            ticket_id=ticket_id,
            status="error",
            action=None if reply is None else reply.action,
            error=message,
            error_kind=kind_of(error),
            usage=usage or (error.usage if isinstance(error, AgentError) else None),
            judge_usage=error.usage if isinstance(error, UnscoredError) else None,
            latency_s=round(time.perf_counter() - begun, 6),
        )


def kind_of(error: SupportbenchError) -> ErrorKind:
    """Return whose error it is that ended an episode."""
    if isinstance(error, AgentError | ActionError | RefusedMessageError):
        return "agent"
    if isinstance(error, GradingError):
        return "grader"
    return "server" if isinstance(error, ClientError) else "task"


def _unreached(tickets: Iterable[str]) -> Iterator[EpisodeStep]:
    return (EpisodeStep(ticket_id=ticket_id, status="unreached") for ticket_id in tickets)


def without_details(grade: Grade) -> Grade:
    """Return the grade without the details that may say what an answer key holds."""
    if not any(part.details for part in grade.components.values()):
        return grade
    components = {
        name: attrs.evolve(part, details={}) if part.details else part for name, part in grade.components.items()
    }
    return attrs.evolve(grade, components=components)


async def notify_episode_finished(registry: Registry, episode: Episode) -> None:
    """Tell every plugin that listens that an episode has ended; what one of them raises is logged, no more."""
    for plugin, listener in registry.listeners:
        try:
            with boundary(HookError, f"supportbench_episode_finished of plugin {plugin.name!r}"):
                await listener(episode=episode)
        except HookError as error:
            logger.error("%s", error.detail)  # noqa: TRY400 - the plugin is named; its traceback is not ours
