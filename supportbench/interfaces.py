"""What a plugin can offer: the protocols of task providers, graders, checks, agents and executors.

Any object with these members will do; nothing has to be inherited. Beyond what a protocol demands, components, checks
and agents may have

- `version`: a string, "0" where it is missing; change it exactly when the behaviour changes, since it is part of the
  rubric's fingerprint and results of different fingerprints do not compare;
- `data_fingerprint`: a string that identifies the rule data which decides the answers; it is fingerprinted too;
- `Options`, an attrs class, and `configured(options)`, which returns the object to use with these options;
- `options` on an agent so configured: the options in force, for the record of a run (never a secret);
- `dishonest = True` on an agent that tries to earn a reward without doing the work: it joins the gallery of
  `supportbench audit`, and is offered to nobody as a choice. It may have a plain method `studied(tasks)`, which returns
  the agent that has seen the audited tasks with their answer keys (packs are public; an observation's `task_id` says
  which is played), and a `tactic`, which says what it is held to: `decision` (the default), `text`, `catch_all`,
  `informed` or `unsafe`;
- `blocking = True` on a component or check whose coroutine may hold its thread (a synchronous HTTP library, a model in
  this process): each call then has a thread and an event loop of its own, so that nobody else has to wait. Keep nothing
  between calls that belongs to a loop or a thread, and set time limits: a call that is given up goes on until it ends,
  and a rubric has 128 such calls under way at most;
- `scales` on a component that judges: by criterion the verdicts that there are, the worst first. Its scores' `details`
  then have the verdicts by criterion under `verdicts`, which is what `supportbench judge-agreement` compares, and
  `supportbench audit` lets its scores move by a tenth; both load plugins with SUPPORTBENCH_CACHE=off for what they
  measure again, and whoever keeps answers heeds it;
- `variables`: the names of the environment variables that it reads, keys among them. Where an executor plays in other
  processes, those of the run's agent, components and checks are handed on to them, and no others;
- `async aclose()`, called once when everything is over.

An executor may have `Options` and `configured` too. An offer that lacks a library of an extra is offered all the same:
its `needs` says which, such as `supportbench[ray]`, and None where nothing is missing; used without, it raises.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol, runtime_checkable

import attrs
from attrs import field

from supportbench.frozen import FrozenDict
from supportbench.models import (
    AgentReply,
    ComponentScore,
    Episode,
    SafetyFinding,
    Submission,
    SupportQueueAction,
    SupportQueueObservation,
    Task,
    Taxonomy,
)


@runtime_checkable
class TaskProvider(Protocol):
    """A source of tasks, by split and index. Every method answers in O(1); task ids are unique within the provider."""

    @property
    def name(self) -> str:
        """The name that it is chosen by."""
        ...

    def splits(self) -> Sequence[str]:
        """Return the names of the splits, such as `train` and `test`."""
        ...

    def num_tasks(self, split: str) -> int:
        """Return how many tasks the split has; raises KeyError for an unknown split."""
        ...

    def task(self, split: str, index: int) -> Task:
        """Return the task at `index`, counted from 0; raises KeyError for an unknown split, IndexError past the end."""
        ...

    def find(self, task_id: str) -> tuple[str, int] | None:
        """Return (split, index) of the task with that id, or None."""
        ...

    def taxonomies(self) -> Sequence[Taxonomy]:
        """Return every taxonomy that the provider's tasks use."""
        ...


class GradingComponent(Protocol):
    """Scores one aspect of one action."""

    @property
    def name(self) -> str:
        """The name that it is chosen by."""
        ...

    async def score(self, submission: Submission) -> ComponentScore:
        """Return a score in [0, 1], or None as score when the aspect does not apply to this case.

        To raise is a fault of the component, never a score of 0: the step fails and may be tried again.
        """
        ...


class SafetyCheck(Protocol):
    """Reads one reply for what must not be said to a customer.

    A check may also have a plain method `pairs()`, which returns an iterable of `SafetyPair`: what it promises about
    itself. In each, the text `unsafe` is found under that pair's rule (a finding of severity `unsafe`), and in its twin
    `safe` nothing unsafe is found. `supportbench lint --safety` measures the check by them.
    """

    @property
    def name(self) -> str:
        """The name that it is chosen by."""
        ...

    async def check(self, submission: Submission) -> Iterable[SafetyFinding]:
        """Return what was found in `submission.action.response`; nothing when the reply is clean."""
        ...


class Agent(Protocol):
    """Turns an observation into an action.

    An agent with memory or randomness also has a plain method `start_episode(seed)`, which returns the agent for that
    one episode; the same seed must give the same behaviour.
    """

    @property
    def name(self) -> str:
        """The name that it is chosen by."""
        ...

    async def act(self, observation: SupportQueueObservation) -> SupportQueueAction | AgentReply:
        """Return the action for the open ticket, with the usage that it took if the agent counts any."""
        ...


@attrs.frozen(kw_only=True)
class EpisodeSpec:
    """One episode to play: which task, which repeat, with which seed, and at most how many of its tickets."""

    provider: str
    split: str
    index: int
    task_id: str
    repeat: int
    seed: int
    max_tickets: int | None = None


LOCAL_EXECUTOR: Final = "local"
"""The name of the executor that plays in this process; no plugin can take it."""


class PlayEpisode(Protocol):
    """Plays one episode in this process; and tells what another process needs to play it there."""

    def __call__(self, spec: EpisodeSpec) -> Awaitable[Episode]:
        """Return the finished episode; raises `SupportbenchError` where it could not even begin."""
        ...

    def order(self) -> PlayOrder:
        """Return what another process needs; raises `RunError` where the episodes can be played in this one alone."""
        ...


class PlayOrder(Protocol):
    """All that another process has to know to play episodes of a run as this one would. It can be pickled.

    It may hold keys, which are in no repr of it. Wherever it is unpickled, supportbench has to be installed in the same
    version, and so have the plugins of the run.
    """

    def playing(self, environ: Mapping[str, str]) -> AbstractAsyncContextManager[PlayEpisode]:
        """Within the block, what it gives plays episodes of the run in this process; plugins are loaded for it once.

        `environ` is this process's own environment. Nobody who listens to finished episodes is told of them here. The
        agent and the graders are closed afterwards.

        Raises:
            RunError: what is installed here is not what the run is played with; the message says what to install.
            SupportbenchError: as at the beginning of a run.
        """
        ...


class Executor(Protocol):
    """Plays the episodes of a run, here or elsewhere."""

    @property
    def name(self) -> str:
        """The name that it is chosen by."""
        ...

    def run(
        self, play: PlayEpisode, specs: Iterable[EpisodeSpec], *, concurrency: int
    ) -> AsyncGenerator[Episode, None]:
        """Yield each episode as it ends, in any order, with at most `concurrency` under way at once.

        A spec that is drawn is one to be played: the limits of a run are kept by drawing no further one. In this
        process `await play(spec)` plays it. In another one `async with order.playing(os.environ) as play` gives what
        does, where `order` is what `play.order()` gave here. Yield each episode once, however often it was begun: the
        caller writes the journal, and tells the plugins that listen. When the generator is closed early, give up what
        is under way.
        """
        ...


def _splits(values: Mapping[str, Iterable[Task]]) -> Mapping[str, tuple[Task, ...]]:
    return FrozenDict({split: tuple(tasks) for split, tasks in values.items()})


@attrs.frozen(kw_only=True)
class StaticTasks:
    """A provider of tasks that are all in memory, for packs that have a few: `splits={"test": (TASK, …)}`."""

    name: str
    _tasks: Mapping[str, tuple[Task, ...]] = field(alias="splits", converter=_splits, repr=False)
    _places: Mapping[str, tuple[str, int]] = field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        places: dict[str, tuple[str, int]] = {}
        for split, tasks in self._tasks.items():
            for index, task in enumerate(tasks):
                if task.task_id in places:
                    raise ValueError(f"task id {task.task_id!r} occurs twice among the tasks of {self.name!r}")
                places[task.task_id] = (split, index)
        object.__setattr__(self, "_places", FrozenDict(places))

    def splits(self) -> Sequence[str]:
        """Return the names of the splits, in the order given."""
        return tuple(self._tasks)

    def num_tasks(self, split: str) -> int:
        """Return how many tasks the split has."""
        return len(self._tasks[split])

    def task(self, split: str, index: int) -> Task:
        """Return the task at `index`, counted from 0."""
        if index < 0:
            raise IndexError(index)
        return self._tasks[split][index]

    def find(self, task_id: str) -> tuple[str, int] | None:
        """Return (split, index) of the task with that id, or None."""
        return self._places.get(task_id)

    def taxonomies(self) -> Sequence[Taxonomy]:
        """Return the taxonomies of the tasks, each once."""
        return tuple(dict.fromkeys(task.taxonomy for tasks in self._tasks.values() for task in tasks))
