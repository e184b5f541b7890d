"""Runs read for a comparison: a reward a reply, and whether tasks and rubrics are the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias

import attrs

from supportbench.errors import RunError
from supportbench.evaluation.environments import REMOTE
from supportbench.evaluation.journal import JOURNAL, read_run
from supportbench.evaluation.manifests import RunManifest, TaskManifest, read_manifest
from supportbench.evaluation.statistics.comparison import ComparedRun
from supportbench.wording import shown

_MOST_TOLD: Final = 5

ReplyKey: TypeAlias = tuple[str, str, str, int]
"""Which reply: provider, task, ticket and repeat."""


@attrs.frozen(kw_only=True)
class RunReplies:
    """A run's rewards by reply, None where the ticket ended in an error or was not reached."""

    card: ComparedRun
    manifest: RunManifest
    rewards: Mapping[ReplyKey, float | None]


def read_replies(folder: Path) -> RunReplies:
    """Return a run's rewards; raises `RunError` where the folder is no run's, or cannot be read."""
    manifest = read_manifest(folder)
    rewards: dict[ReplyKey, float | None] = {}
    errors = unreached = played = 0
    try:
        for episode in read_run(folder):
            played += 1
            for step in episode.steps:
                errors += step.status == "error"
                unreached += step.status == "unreached"
                key = (episode.provider, episode.task_id, step.ticket_id, episode.repeat)
                rewards[key] = None if step.grade is None else step.grade.reward
    except OSError as error:
        raise RunError(f"Cannot read {folder / JOURNAL}: {error.strerror}") from error
    card = ComparedRun(
        run=str(folder),
        run_id=manifest.run_id,
        agent=manifest.agent,
        model=manifest.model,
        graded=sum(reward is not None for reward in rewards.values()),
        errors=errors,
        unreached=unreached,
        unplayed=max(0, manifest.planned_episodes - played),
    )
    return RunReplies(card=card, manifest=manifest, rewards=rewards)


def check_alike(runs: Sequence[RunReplies], *, forced: bool, what: str = "compare") -> tuple[str, ...]:
    """Return what makes other runs differ from the first, each line with the run; none where all compare.

    Raises:
        RunError: there is something, and nothing is `forced`; the message says `what` with --force lets it pass.
    """
    first, *others = runs
    different: list[str] = []
    for other in others:
        found = list(differences(first.manifest, other.manifest))
        if found and not forced:
            more = f"; and {len(found) - _MOST_TOLD} more" if len(found) > _MOST_TOLD else ""
            raise RunError(
                f"{other.card.run} does not compare with {first.card.run}: {'; '.join(found[:_MOST_TOLD])}{more}. "
                f"To {what} all the same: --force"
            )
        different += [f"{other.card.run}: {told}" for told in found]
    return tuple(different)


def differences(first: RunManifest, other: RunManifest) -> Iterator[str]:
    """Yield which of the tasks that both runs have are graded otherwise or are others, in words.

    What was played on a server is never the same: nobody told what it was.
    """
    tasks = {(task.provider, task.task_id): task for task in first.tasks}
    for task in other.tasks:
        if (then := tasks.get((task.provider, task.task_id))) is not None:
            yield from _differences(then, task)


def _differences(first: TaskManifest, other: TaskManifest) -> Iterator[str]:
    named = f"task {shown(first.task_id)}"
    if REMOTE in (first.fingerprint, other.fingerprint):
        yield f"{named} was played on a server, which does not tell what is in it, nor its rubric"
        return
    if first.fingerprint != other.fingerprint:
        yield f"{named} is not the same task"
    if first.rubric.fingerprint != other.rubric.fingerprint:
        yield f"{named} is graded by rubric {shown(first.rubric.name)} and by {_other_rubric(first, other)}"


def _other_rubric(first: TaskManifest, other: TaskManifest) -> str:
    same_name = first.rubric.name == other.rubric.name
    return "another one of that name" if same_name else shown(other.rubric.name)
