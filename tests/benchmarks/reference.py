"""The reference: OpenEnv's own server around an environment of the same kind, with the same tickets.

`stock` is the shape of OpenEnv's template, whose steps run in a thread of each session; `tuned` has asynchronous
methods, the fastest shape that its server offers. Both grade by looking for substrings, with the first phrase of each
concept, which is less work than any of our rubrics with concepts does.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, Final, Literal

from openenv.core.env_server import (  # type: ignore[import-untyped, unused-ignore]
    Action,
    Environment,
    Observation,
    State,
    create_app,
)
from pydantic import BaseModel, ConfigDict, Field

from tests.benchmarks.tickets import DISPOSITIONS, PRIORITIES, QUEUES, read_tasks

_CAPACITY: Final = 20_000
_TASKS: Final = tuple(read_tasks())
_WEIGHTS: Final = {"priority": 0.30, "queue": 0.25, "disposition": 0.20, "summary": 0.15, "response": 0.10}


class SupportAction(Action):  # type: ignore[misc]
    """An agent's triage of one ticket."""

    priority: Literal["P1", "P2", "P3", "P4"]
    queue: Literal["billing", "security", "technical", "success", "trust_safety"]
    disposition: Literal["respond", "request_info", "escalate", "close"]
    summary: str
    response: str
    confidence: float = Field(ge=0.0, le=1.0)


class Ticket(BaseModel):
    """One customer's request."""

    model_config = ConfigDict(extra="forbid")
    ticket_id: str
    subject: str
    body: str
    customer_tier: str
    product_area: str
    sla_hours: int
    recent_events: list[str]


class SupportObservation(Observation):  # type: ignore[misc]
    """What the agent sees."""

    task_id: str
    task_title: str
    difficulty: str
    instructions: str
    current_index: int
    total_tickets: int
    ticket: Ticket | None = None
    allowed_priorities: list[str]
    allowed_queues: list[str]
    allowed_dispositions: list[str]
    scoring_weights: dict[str, float]
    last_feedback: dict[str, Any] = Field(default_factory=dict)
    cumulative_reward: float = 0.0
    info: dict[str, Any] = Field(default_factory=dict)


class SupportState(State):  # type: ignore[misc]
    """Where the episode stands."""

    task_id: str | None = None
    current_index: int = 0
    total_tickets: int = 0
    cumulative_reward: float = 0.0
    done: bool = False


def grade(key: Mapping[str, Any], action: SupportAction) -> tuple[float, dict[str, Any]]:
    """Return the reward and the scores that it comes from."""
    summary, response = action.summary.lower(), action.response.lower()
    scores: dict[str, Any] = {name: float(getattr(action, name) == key[name]) for name in list(_WEIGHTS)[:3]}
    for name, text in (("summary", summary), ("response", response)):
        concepts = key[f"{name}_concepts"]
        scores[name] = sum(concept[0].lower() in text for concept in concepts) / len(concepts)
    reward = sum(weight * scores[name] for name, weight in _WEIGHTS.items())
    scores["unsafe"] = [phrase for phrase in key["unsafe_phrases"] if phrase in response]
    return round(min(1.0, max(0.0, reward - 0.10 * bool(scores["unsafe"]))), 6), scores


class SupportEnvironment(Environment):  # type: ignore[misc]
    """Works through a task's tickets; a step before any reset begins the first task, as HTTP needs it there."""

    SUPPORTS_CONCURRENT_SESSIONS = True

    def __init__(self) -> None:
        super().__init__()
        self._task = _TASKS[0]
        self._state = SupportState(total_tickets=len(self._task["cases"]))

    def reset(self, seed: int | None = None, episode_id: str | None = None, **unused: Any) -> SupportObservation:
        """Begin the task that the seed chooses."""
        self._task = _TASKS[(seed or 0) % len(_TASKS)]
        self._state = SupportState(
            episode_id=episode_id or str(uuid.uuid4()),
            task_id=self._task["task_id"],
            total_tickets=len(self._task["cases"]),
        )
        return self._observe(None, {})

    def step(self, action: SupportAction, timeout_s: float | None = None, **unused: Any) -> SupportObservation:
        """Grade the action and go on to the next ticket."""
        state = self._state
        if state.done:
            raise RuntimeError("the episode is done")
        reward, feedback = grade(self._task["cases"][state.current_index]["answer_key"], action)
        state.step_count += 1
        state.current_index += 1
        state.cumulative_reward += reward
        state.done = state.current_index >= state.total_tickets
        return self._observe(reward, feedback)

    @property
    def state(self) -> SupportState:
        """Where the episode stands."""
        return self._state

    def _observe(self, reward: float | None, feedback: dict[str, Any]) -> SupportObservation:
        state, task = self._state, self._task
        return SupportObservation(
            done=state.done,
            reward=reward,
            task_id=task["task_id"],
            task_title=task["title"],
            difficulty=task["difficulty"],
            instructions=task["instructions"],
            current_index=state.current_index,
            total_tickets=state.total_tickets,
            ticket=None if state.done else Ticket(**task["cases"][state.current_index]["ticket"]),
            allowed_priorities=list(PRIORITIES),
            allowed_queues=list(QUEUES),
            allowed_dispositions=list(DISPOSITIONS),
            scoring_weights=_WEIGHTS,
            last_feedback=feedback,
            cumulative_reward=state.cumulative_reward,
            info={"step_count": state.step_count},
        )


class AsyncSupportEnvironment(SupportEnvironment):
    """The same with asynchronous methods, which OpenEnv awaits where it stands instead of handing them to a thread."""

    async def reset_async(
        self, seed: int | None = None, episode_id: str | None = None, **more: Any
    ) -> SupportObservation:
        """Begin the task that the seed chooses."""
        return self.reset(seed, episode_id, **more)

    async def step_async(
        self, action: SupportAction, timeout_s: float | None = None, **more: Any
    ) -> SupportObservation:
        """Grade the action and go on to the next ticket."""
        return self.step(action, timeout_s, **more)


def stock() -> Any:
    """Return the application as the template makes it."""
    return _application(SupportEnvironment)


def tuned() -> Any:
    """Return the application with the asynchronous environment."""
    return _application(AsyncSupportEnvironment)


def _application(environment: type[SupportEnvironment]) -> Any:
    return create_app(
        environment,
        SupportAction,
        SupportObservation,
        env_name="reference",
        max_concurrent_envs=_CAPACITY,
        state_cls=SupportState,
    )
