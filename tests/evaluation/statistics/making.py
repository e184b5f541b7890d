"""Episodes made for a test of statistics: a reward a ticket, and whatever else matters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from supportbench import (
    ComponentGrade,
    Episode,
    EpisodeStep,
    Grade,
    RubricCard,
    SafetyFinding,
    SupportQueueAction,
    Usage,
)
from supportbench.evaluation.statistics.computing import compute
from supportbench.evaluation.statistics.facts import NOTHING, Facts
from supportbench.evaluation.statistics.observations import Observations
from supportbench.evaluation.statistics.records import Statistics

CARD = RubricCard(name="default", fingerprint="sha256:rubric")
UNSAFE = SafetyFinding(rule="secret", start=0, end=1)


def a_step(
    ticket_id: str,
    reward: float | None,
    *,
    confidence: float = 0.5,
    unsafe: bool = False,
    queue: str = "billing",
    priority: str = "P1",
    disposition: str = "respond",
    latency_s: float = 1.0,
    usage: Usage | None = None,
    score: float | None = None,
) -> EpisodeStep:
    """A graded ticket with one component; a reward of None makes it an error."""
    if reward is None:
        return EpisodeStep(ticket_id=ticket_id, status="error", error="no answer", latency_s=99.0, usage=usage)
    score = reward if score is None else score
    return EpisodeStep(
        ticket_id=ticket_id,
        status="graded",
        action=SupportQueueAction(
            priority=priority,
            queue=queue,
            disposition=disposition,
            summary="s",
            response="r",
            confidence=confidence,
        ),
        grade=Grade(
            ticket_id=ticket_id,
            reward=reward,
            components={"queue": ComponentGrade(score=score, weight=1.0, contribution=score)},
            findings=(UNSAFE,) if unsafe else (),
        ),
        usage=usage,
        latency_s=latency_s,
    )


def an_episode(task_id: str, steps: Sequence[EpisodeStep], *, repeat: int = 0, index: int = 0) -> Episode:
    return Episode(
        episode_id=f"house:{task_id}:{repeat}",
        provider="house",
        split="test",
        index=index,
        task_id=task_id,
        task_title=task_id,
        difficulty="easy",
        task_fingerprint=f"sha256:{task_id}",
        rubric=CARD,
        agent="acts",
        repeat=repeat,
        steps=tuple(steps),
        started_at="2026-01-01T00:00:00.000+00:00",
        duration_s=1.0,
    )


def rewarded(*rewards: float | None, task_id: str = "t", repeat: int = 0, index: int = 0) -> Episode:
    """An episode whose tickets have those rewards."""
    steps = [a_step(f"{task_id}-{number}", reward) for number, reward in enumerate(rewards)]
    return an_episode(task_id, steps, repeat=repeat, index=index)


def statistics_of(episodes: Iterable[Episode], facts: Facts = NOTHING) -> Statistics:
    observed = Observations(facts)
    for episode in episodes:
        observed.add(episode)
    return compute(observed)
