"""What a report says, as values: its runs, and its tickets with the replies of each run.

Nothing of an answer key is in them unless the report reveals: the mails are public, of grades the numbers and findings
are taken, and the words of graders (notes, matched and missed concepts) are left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import attrs

from supportbench.evaluation.manifests import RunManifest
from supportbench.evaluation.report.marking import Piece
from supportbench.evaluation.results import Summary
from supportbench.evaluation.statistics.comparison import CompareReport
from supportbench.models import AnswerKey, EpisodeStep, Ticket


@attrs.frozen(kw_only=True)
class Revealed:
    """What a component has seen in a reply: the concepts that it matched and missed, by their first phrases."""

    matched: tuple[str, ...]
    missed: tuple[str, ...]


@attrs.frozen(kw_only=True)
class Reply:
    """What became of a ticket in these repeats, which are alike but for what they used and how long they took.

    `pieces` is the reply with its findings marked; `revealed` is by component, empty unless the report reveals.
    """

    repeats: tuple[int, ...]
    step: EpisodeStep
    pieces: tuple[Piece, ...]
    revealed: Mapping[str, Revealed]

    @property
    def outcome(self) -> str:
        """`graded`, `error`, `unscored` (there is an action, whose grading failed) or `unreached`."""
        return "unscored" if self.step.error_kind == "grader" else self.step.status


@attrs.frozen(kw_only=True)
class TicketView:
    """A ticket, its mail where it was found, and by run the replies to it: none where a run has not come to it.

    `flipped` says whether it was a success in one run and not in another, in the same repeat. `key` is None unless the
    report reveals.
    """

    number: int
    provider: str
    task_id: str
    task_title: str
    ticket_id: str
    ticket: Ticket | None
    key: AnswerKey | None
    replies: tuple[tuple[Reply, ...], ...]
    flipped: bool

    @property
    def scores(self) -> tuple[float | None, ...]:
        """By run, the mean reward of the graded replies, None where there is none."""
        return tuple(map(_score, self.replies))

    @property
    def difference(self) -> float | None:
        """How much more the last run has than the first, None where one of them has no score."""
        first, last = self.scores[0], self.scores[-1]
        return None if first is None or last is None else last - first

    @property
    def unsafe(self) -> int:
        """How many replies were found unsafe, over all runs and repeats."""
        return sum(
            len(reply.repeats)
            for replies in self.replies
            for reply in replies
            if reply.step.grade is not None and reply.step.grade.unsafe
        )

    @property
    def outcomes(self) -> tuple[str, ...]:
        """What became of it, each outcome once; empty where no run has come to it."""
        return tuple(dict.fromkeys(reply.outcome for replies in self.replies for reply in replies))


@attrs.frozen(kw_only=True)
class RunView:
    """A run under a short `label` and the `name` that was given for it, with its sum.

    `planned` episodes were asked for, `played` are in its journal; `without_mail` says by task why the mails of its
    tickets are not there, `without_concepts` likewise why the report cannot tell what a rubric has matched.
    """

    label: str
    name: str
    manifest: RunManifest
    summary: Summary
    planned: int
    played: int
    without_mail: Mapping[str, str]
    without_concepts: Mapping[str, str]

    @property
    def errors(self) -> int:
        """How many tickets ended in an error."""
        return sum(len(task.errors) for task in self.summary.tasks)

    @property
    def unscored(self) -> int:
        """How many of them have an action whose grading failed."""
        return sum(task.unscored for task in self.summary.tasks)

    @property
    def unreached(self) -> int:
        """How many tickets were not reached, in episodes that ended early."""
        return sum(task.unreached for task in self.summary.tasks)

    @property
    def graded(self) -> int:
        """How many replies have a grade."""
        return sum(len(task.rewards) for task in self.summary.tasks)

    @property
    def unsafe(self) -> int | None:
        """How many replies are unsafe, None where a server told its rewards alone."""
        counts = [task.unsafe_replies for task in self.summary.tasks]
        return None if None in counts else sum(count for count in counts if count is not None)


@attrs.frozen(kw_only=True)
class Report:
    """Runs, the first one first, and their tickets.

    `differences` are what `--force` lets pass; `comparison` is None for a single run, and where it could not be made:
    `uncompared` says why.
    """

    version: str
    reveals: bool
    runs: tuple[RunView, ...]
    tickets: tuple[TicketView, ...]
    differences: tuple[str, ...]
    comparison: CompareReport | None
    uncompared: str | None


def _score(replies: tuple[Reply, ...]) -> float | None:
    rewards = [(reply.step.grade.reward, len(reply.repeats)) for reply in replies if reply.step.grade is not None]
    number = sum(times for _, times in rewards)
    return math.fsum(reward * times for reward, times in rewards) / number if number else None
