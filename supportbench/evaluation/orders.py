"""Playing a run's episodes: in this process, or in another one by an order that says all that it has to know."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

import attrs

from supportbench import codec
from supportbench.errors import RunError
from supportbench.evaluation.agents import ChosenAgent, choose_agent
from supportbench.evaluation.environments import LocalEnvironments, PlannedTask
from supportbench.evaluation.episode import EpisodePlayer, notify_episode_finished
from supportbench.evaluation.journal import Place, place_of
from supportbench.evaluation.planning import PlannedRun
from supportbench.graders import Graders
from supportbench.interfaces import EpisodeSpec, PlayEpisode, PlayOrder
from supportbench.models import Episode, Rubric
from supportbench.offers import closing, variables_of
from supportbench.plugins import Plugin, installed_names
from supportbench.registry import Registry, load_registry
from supportbench.settings import Feedback
from supportbench.task_files import parse_tickets, text_of_file
from supportbench.watchdog import watch
from supportbench.wording import shown


class RunPlay:
    """Plays the episodes of a planned run in this process, and hears of those that were played in another one."""

    def __init__(self, planned: PlannedRun, *, timeout_s: float | None) -> None:
        self._planned = planned
        self._timeout_s = timeout_s
        self._player = EpisodePlayer(
            registry=planned.registry,
            environments=planned.environments,
            agent=planned.evaluation.agent,
            timeout_s=timeout_s,
        )
        self._played_here: set[Place] = set()
        self._tasks: dict[tuple[str, str, int], PlannedTask] = {}
        limited = planned.specs() if planned.evaluation.limit is not None else ()
        self._most_tickets = {place_of(spec): spec.max_tickets for spec in limited if spec.max_tickets is not None}

    async def __call__(self, spec: EpisodeSpec) -> Episode:
        """Return the finished episode; whoever listens has been told of it."""
        episode = await self._player.play(spec)
        self._played_here.add(place_of(spec))
        return episode

    def order(self) -> RunOrder:
        """Return what another process needs to play these episodes.

        Raises:
            RunError: the episodes are on a server, or the tickets' file cannot be read any more.
        """
        planned = self._planned
        if planned.environments.server is not None:
            raise RunError(f"The episodes are played on {planned.environments.server}, and only from this process.")
        evaluation, environ = planned.evaluation, planned.environ
        agent = evaluation.agent
        read = dict.fromkeys(variable for offer in planned.offers() for variable in variables_of(offer))
        return RunOrder(
            supportbench=version("supportbench"),
            plugins=tuple(map(_named, planned.registry.plugins)),
            agent=agent.label,
            agent_version=agent.version,
            agent_options=dict(evaluation.agent_options),
            agent_options_in_force=dict(agent.options),
            agent_data=agent.data_fingerprint,
            rubric=evaluation.rubric,
            feedback=evaluation.feedback,
            tickets=None if evaluation.tickets is None else text_of_file(evaluation.tickets),
            timeout_s=self._timeout_s,
            environ={variable: environ[variable] for variable in read if variable in environ},
        )

    async def arrived(self, episode: Episode) -> None:
        """Tell whoever listens of an episode, unless it was played here and they know of it.

        Raises:
            RunError: it was played elsewhere, and of another task or by another rubric than was planned.
        """
        place = place_of(episode)
        if not self._tasks:
            self._tasks = {(task.provider, task.split, task.index): task for task in self._planned.tasks}
        task = self._tasks[episode.provider, episode.split, episode.index]
        self._check_asked(task, episode)
        if place in self._played_here:
            self._played_here.remove(place)
            return
        for what, here, there in (
            ("task", task.fingerprint, episode.task_fingerprint),
            ("rubric", task.rubric, episode.rubric),
        ):
            if here != there:
                raise RunError(
                    f"Executor {self._planned.executor.name!r} played task {shown(task.task_id)} with another {what} "
                    "than the one here. Install the same plugins there, in the same versions."
                )
        await notify_episode_finished(self._planned.registry, episode)

    def _check_asked(self, task: PlannedTask, episode: Episode) -> None:
        """Raise `RunError` unless it is an episode of that task, by this agent, with all tickets asked for."""
        tickets = task.ticket_ids[: self._most_tickets.get(place_of(episode))]
        told = tuple(step.ticket_id for step in episode.steps)
        if self._planned.environments.server is not None:  # which tells a ticket's id when it is played
            tickets = told if len(told) == len(tickets) else tickets
        for what, asked, given in (
            ("another task", task.task_id, episode.task_id),
            ("another agent", self._planned.evaluation.agent.label, episode.agent),
            ("other tickets", tickets, told),
        ):
            if asked != given:
                who = f"Executor {self._planned.executor.name!r}"
                raise RunError(f"{who} gave an episode of task {shown(task.task_id)} with {what} than was asked for.")


@attrs.frozen(kw_only=True)
class RunOrder:
    """The `PlayOrder` of a run: plain data.

    The agent is named by its label, with the options that were given; its version, its data and the options then in
    force have to come out the same. `rubric` takes the place of the tasks' own. `tickets` is the text of a file of the
    person's own. `plugins` has (name, distribution, version) of each. `environ` has the variables that the agent and
    the graders declare, keys among them.
    """

    supportbench: str
    plugins: tuple[tuple[str, str, str], ...]
    agent: str
    agent_version: str
    agent_options: Mapping[str, Any] = attrs.field(repr=False)
    agent_options_in_force: Mapping[str, Any] = attrs.field(repr=False)
    agent_data: str | None
    rubric: Rubric | None
    feedback: Feedback
    tickets: str | None = attrs.field(repr=False)
    timeout_s: float | None
    environ: Mapping[str, str] = attrs.field(repr=False)

    @asynccontextmanager
    async def playing(self, environ: Mapping[str, str]) -> AsyncIterator[PlayEpisode]:
        """Within the block, play episodes of the run in this process; see `PlayOrder`."""
        registry = _registry_for(self, environ)
        agent = choose_agent(registry, self.agent, self.agent_options)
        if different := list(_differences(self, agent)):
            raise RunError(f"agent {self.agent!r} is another one here: {'; '.join(different)}")
        graders = Graders(registry, self.rubric)
        environments = LocalEnvironments(registry=registry, graders=graders, feedback=self.feedback)
        player = EpisodePlayer(registry=registry, environments=environments, agent=agent, timeout_s=self.timeout_s)
        async with closing(_Opened(registry, agent, graders)), watch(registry):
            yield _OrderedPlay(player, self)


@attrs.frozen
class _OrderedPlay:
    _player: EpisodePlayer
    _order: RunOrder

    async def __call__(self, spec: EpisodeSpec) -> Episode:
        return await self._player.play(spec)

    def order(self) -> PlayOrder:
        return self._order


@attrs.frozen
class _Opened:
    """What is to be closed: which graders were bound is known at the end."""

    _registry: Registry
    _agent: ChosenAgent
    _graders: Graders

    def __iter__(self) -> Iterator[object]:
        yield from self._registry.offers()
        yield self._agent.agent
        yield from self._graders.offers()


def _registry_for(order: RunOrder, environ: Mapping[str, str]) -> Registry:
    """Return the plugins of the run and no others; raises `RunError` where they are not installed here."""
    here = version("supportbench")
    if here != order.supportbench:
        raise RunError(
            f"supportbench {here} is installed here, and the run is played with {order.supportbench}: "
            f"pip install supportbench=={order.supportbench}"
        )
    wanted = {name for name, _, _ in order.plugins}
    installed = installed_names()
    registry = load_registry({**environ, **order.environ}, installed - wanted)
    if lacking := _lacking(order, registry, installed):
        raise RunError("; ".join(lacking))
    registry = attrs.evolve(registry.check(), listeners=())
    return registry if order.tickets is None else registry.with_provider(parse_tickets(order.tickets, "the tickets"))


def _lacking(order: RunOrder, registry: Registry, installed: frozenset[str]) -> Sequence[str]:
    loaded = {name: (distribution, number) for name, distribution, number in map(_named, registry.plugins)}
    lacking: list[str] = []
    for name, distribution, number in order.plugins:
        if name not in installed:
            lacking.append(f"plugin {name!r} is not installed here: pip install {distribution}=={number}")
        elif name in loaded and loaded[name] != (distribution, number):
            told = " ".join(loaded[name])
            lacking.append(f"plugin {name!r} is {told} here, not {number}: pip install {distribution}=={number}")
    return lacking


def _differences(order: RunOrder, agent: ChosenAgent) -> Iterator[str]:
    """Yield what would have the agent play otherwise than in the process that ordered it; never an option's value."""
    if agent.version != order.agent_version:
        yield f"its version is {agent.version} and not {order.agent_version}"
    if agent.data_fingerprint != order.agent_data:
        yield "its rules or prompts differ"
    here, there = codec.unstructure(dict(agent.options)), codec.unstructure(dict(order.agent_options_in_force))
    names = [name for name in sorted({*here, *there}) if here.get(name) != there.get(name)]
    if names:
        yield (
            f"its options {', '.join(names)} have other values, which come from environment variables that it does not "
            "declare; set the same here"
        )


def _named(plugin: Plugin) -> tuple[str, str, str]:
    return plugin.name, plugin.distribution, plugin.version
