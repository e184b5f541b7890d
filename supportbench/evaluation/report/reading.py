"""Runs read for a report: what they came to, and what became of each ticket."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias

import attrs

from supportbench import codec
from supportbench.errors import DecodeError, RunError
from supportbench.evaluation.journal import JOURNAL, RESULTS, read_run
from supportbench.evaluation.manifests import read_manifest
from supportbench.evaluation.report.marking import Piece, marked
from supportbench.evaluation.report.records import Reply, Revealed, RunView
from supportbench.evaluation.report.revealing import Revealer
from supportbench.evaluation.report.tasks import FoundTask, TaskFinder
from supportbench.evaluation.results import Results, summarize
from supportbench.evaluation.statistics.facts import TaskFacts, facts_of
from supportbench.evaluation.statistics.observations import Observations
from supportbench.models import Case, Episode, EpisodeStep
from supportbench.offers import closing
from supportbench.registry import Registry

logger: Final = logging.getLogger("supportbench.evaluation")

TicketPlace: TypeAlias = tuple[str, str, str, str]
"""Provider, task, the task's fingerprint, ticket: what is one ticket in several runs."""


@attrs.define
class TicketReplies:
    """A ticket while runs are read: its case where it was found, and by run and repeat what became of it."""

    task_title: str
    case: Case | None
    steps: dict[int, dict[int, tuple[EpisodeStep, Mapping[str, Revealed]]]] = attrs.field(factory=dict)

    def replies_of(self, run: int) -> tuple[Reply, ...]:
        """Return the run's replies; repeats that are alike are one."""
        kinds: list[tuple[list[int], EpisodeStep, EpisodeStep, Mapping[str, Revealed]]] = []
        for repeat, (step, revealed) in sorted(self.steps.get(run, {}).items()):
            essence = _essence(step)
            for repeats, other, _, _ in kinds:
                if other == essence:
                    repeats.append(repeat)
                    break
            else:
                kinds.append(([repeat], essence, step, revealed))
        return tuple(
            Reply(repeats=tuple(repeats), step=step, pieces=_pieces(step), revealed=revealed)
            for repeats, _, step, revealed in kinds
        )


async def read_run_view(
    folder: Path,
    *,
    label: str,
    place: int,
    registry: Registry,
    tickets: dict[TicketPlace, TicketReplies],
    reveals: bool,
    on_episode: Callable[[int], None],
) -> RunView:
    """Return a run's view, and put what became of its tickets into `tickets` under the run's place among the runs.

    `on_episode` is called with a 1 for each episode that was read.

    Raises:
        RunError: the folder is no run's, or cannot be read.
    """
    manifest = read_manifest(folder)
    finder = TaskFinder(registry)
    revealer = Revealer(registry, None if manifest.asked is None else manifest.asked.rubric) if reveals else None
    without_mail: dict[str, str] = {}
    facts: dict[tuple[str, str, int], TaskFacts] = {}
    played = 0
    try:
        async with closing(() if revealer is None else revealer.offers()):
            for episode in read_run(folder):
                found = finder.of(episode)
                if found.task is None:
                    without_mail[episode.task_id] = found.why_not
                else:
                    facts.setdefault((episode.provider, episode.split, episode.index), facts_of(found.task))
                revealed: Sequence[Mapping[str, Revealed]] = [{}] * len(episode.steps)
                if revealer is not None and found.task is not None:
                    revealed = await revealer.reveal(episode, found.task)
                _collect(episode, found, revealed, place=place, tickets=tickets, reveals=reveals)
                played += 1
                on_episode(1)
        summary = summarize(read_run(folder))
        results = _results_of(folder)
        if results is not None and results.statistics is not None and results.tasks == summary.tasks:
            summary = attrs.evolve(summary, statistics=results.statistics)
        elif played:
            summary = summarize(read_run(folder), Observations(facts))
    except OSError as error:
        raise RunError(f"Cannot read {folder / JOURNAL}: {error.strerror}") from error
    return RunView(
        label=label,
        name=str(folder),
        manifest=manifest,
        summary=summary,
        planned=manifest.planned_episodes,
        played=played,
        without_mail=without_mail,
        without_concepts={} if revealer is None else revealer.problems,
    )


def _collect(
    episode: Episode,
    found: FoundTask,
    revealed: Sequence[Mapping[str, Revealed]],
    *,
    place: int,
    tickets: dict[TicketPlace, TicketReplies],
    reveals: bool,
) -> None:
    for step, told in zip(episode.steps, revealed, strict=True):
        key = (episode.provider, episode.task_id, episode.task_fingerprint, step.ticket_id)
        ticket = tickets.get(key)
        if ticket is None:
            ticket = tickets[key] = TicketReplies(task_title=episode.task_title, case=found.cases.get(step.ticket_id))
        kept = step if reveals else _without_notes(step)
        ticket.steps.setdefault(place, {})[episode.repeat] = kept, told


def _without_notes(step: EpisodeStep) -> EpisodeStep:
    """Return the step without the words of graders, which may say what was expected: as feedback `scores` has it."""
    grade = step.grade
    if grade is None or not (
        any(part.note for part in grade.components.values()) or any(finding.note for finding in grade.findings)
    ):
        return step
    components = {name: attrs.evolve(part, note="", details={}) for name, part in grade.components.items()}
    findings = tuple(attrs.evolve(finding, note="") for finding in grade.findings)
    return attrs.evolve(step, grade=attrs.evolve(grade, components=components, findings=findings))


def _essence(step: EpisodeStep) -> EpisodeStep:
    """Return the step without what differs between repeats that are alike."""
    grade = None if step.grade is None else attrs.evolve(step.grade, usage=None)
    return attrs.evolve(step, grade=grade, usage=None, judge_usage=None, latency_s=0.0)


def _pieces(step: EpisodeStep) -> tuple[Piece, ...]:
    if step.action is None:
        return ()
    return marked(step.action.response, () if step.grade is None else step.grade.findings)


def _results_of(folder: Path) -> Results | None:
    """Return the run's results as they were written, None where it has not ended, or where nobody can read them."""
    try:
        return codec.decode((folder / RESULTS).read_bytes(), Results)
    except FileNotFoundError:
        return None
    except (OSError, DecodeError) as error:
        logger.warning("Cannot read %s, so its figures are computed anew: %s", folder / RESULTS, error)
        return None
