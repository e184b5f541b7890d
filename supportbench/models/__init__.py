"""The values that everything speaks in: frozen, keyword-only, checked when they are made.

A change is a new value (`attrs.evolve`). What is refused raises `ValueError` or `TypeError` naming the field; data from
outside comes through `supportbench.codec`, which turns these into a `DecodeError` with the path.
"""

from supportbench.models.actions import AgentReply, SupportQueueAction, SupportQueueObservation, Usage
from supportbench.models.episodes import Episode, EpisodeStep, ErrorKind, StepStatus, SupportQueueState
from supportbench.models.grades import (
    ComponentGrade,
    ComponentScore,
    Grade,
    SafetyFinding,
    SafetyPair,
    Severity,
    Submission,
)
from supportbench.models.rubrics import RewardKind, Rubric, RubricCard, RubricComponent, SafetyMode, SafetyPolicy
from supportbench.models.tickets import AnswerKey, Case, Concept, Task, TaskCard, Taxonomy, Ticket

__all__ = [
    "AgentReply",
    "AnswerKey",
    "Case",
    "ComponentGrade",
    "ComponentScore",
    "Concept",
    "Episode",
    "EpisodeStep",
    "ErrorKind",
    "Grade",
    "RewardKind",
    "Rubric",
    "RubricCard",
    "RubricComponent",
    "SafetyFinding",
    "SafetyMode",
    "SafetyPair",
    "SafetyPolicy",
    "Severity",
    "StepStatus",
    "Submission",
    "SupportQueueAction",
    "SupportQueueObservation",
    "SupportQueueState",
    "Task",
    "TaskCard",
    "Taxonomy",
    "Ticket",
    "Usage",
]
