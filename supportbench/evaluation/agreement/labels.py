"""Labels: what people said of the texts that a judge is to read, one answer to a ticket a line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs
from attrs import field
from attrs.validators import optional

from supportbench import codec
from supportbench.choosing import TaskChooser
from supportbench.errors import DecodeError, ResetError, RunError, UnknownNameError
from supportbench.models import AnswerKey, Case, Submission, SupportQueueAction, Task, Ticket, fields
from supportbench.wording import did_you_mean, shown


@attrs.frozen(kw_only=True)
class LabelledTicket(Ticket):
    """A ticket that stands in the line itself."""

    answer_key: AnswerKey


@attrs.frozen(kw_only=True)
class LabelLine:
    """A line of a file of labels: whose ticket (in the line itself, or in an installed task), the action, the verdicts.

    `labels` has by component and criterion the verdict that a person gave.
    """

    action: SupportQueueAction
    labels: Mapping[str, Mapping[str, str]]
    ticket: LabelledTicket | None = None
    ticket_id: str | None = field(default=None, validator=optional(fields.name))
    task_id: str | None = field(default=None, validator=optional(fields.name))
    provider: str | None = field(default=None, validator=optional(fields.name))

    def __attrs_post_init__(self) -> None:
        by_name = (self.task_id is not None, self.ticket_id is not None)
        if (self.ticket is None) != all(by_name) or (self.ticket is not None and (any(by_name) or self.provider)):
            raise ValueError("give either ticket, with its answer_key, or task_id and ticket_id")
        if not any(self.labels.values()):
            raise ValueError("it has no labels")


@attrs.frozen(kw_only=True)
class Labelled:
    """What a person judged: where it stands, what graders are given, and the verdicts by component and criterion."""

    where: str
    submission: Submission
    verdicts: Mapping[tuple[str, str], str]


def read_labels(
    path: Path, chooser: TaskChooser, scales: Mapping[tuple[str, str], tuple[str, ...]]
) -> tuple[Labelled, ...]:
    """Return the labels of a file; `scales` has every (component, criterion) that can be labelled, with its verdicts.

    Raises:
        RunError: the file cannot be read or has no labels, or a line is wrong; the message names the line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f"Cannot read {path}: {error}") from error
    labelled = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            labelled.append(_labelled(codec.decode(line, LabelLine), where, chooser, scales))
        except DecodeError as error:
            raise RunError(f"{where}: " + "; ".join(map(str, error.faults))) from error
        except (ResetError, UnknownNameError, ValueError) as error:
            raise RunError(f"{where}: {error}") from error
    if not labelled:
        raise RunError(f"{path} has no labels.")
    return tuple(labelled)


def _labelled(
    line: LabelLine, where: str, chooser: TaskChooser, scales: Mapping[tuple[str, str], tuple[str, ...]]
) -> Labelled:
    task, case = _case_of(line, chooser)
    return Labelled(
        where=where,
        submission=Submission(task=task, case=case, action=line.action),
        verdicts=dict(_verdicts(line, scales)),
    )


def _case_of(line: LabelLine, chooser: TaskChooser) -> tuple[Task, Case]:
    if line.ticket is not None:
        ticket = Ticket(**{each.name: getattr(line.ticket, each.name) for each in attrs.fields(Ticket)})
        case = Case(ticket=ticket, answer_key=line.ticket.answer_key)
        return _task_around(case), case
    task = chooser.find(line.task_id or "", line.provider).task
    cases = {case.ticket.ticket_id: case for case in task.cases}
    ticket_id = line.ticket_id or ""
    if ticket_id not in cases:
        raise UnknownNameError(
            f"there is no ticket {shown(ticket_id)} in task {task.task_id!r}. {did_you_mean(ticket_id, cases)}"
        )
    return task, cases[ticket_id]


def _task_around(case: Case) -> Task:
    return Task(
        task_id=case.ticket.ticket_id,
        title=case.ticket.subject,
        difficulty="unrated",
        description="",
        instructions="Triage the ticket.",
        cases=(case,),
    )


def _verdicts(
    line: LabelLine, scales: Mapping[tuple[str, str], tuple[str, ...]]
) -> Iterator[tuple[tuple[str, str], str]]:
    for component, by_criterion in line.labels.items():
        for criterion, verdict in by_criterion.items():
            place = (component, criterion)
            if place not in scales:
                known = (f"{component}.{criterion}" for component, criterion in scales)
                raise ValueError(
                    f"labels: the rubric judges no {component}.{criterion}. "
                    f"{did_you_mean(f'{component}.{criterion}', known)}"
                )
            if verdict not in scales[place]:
                raise ValueError(
                    f"labels.{component}.{criterion}: {shown(verdict)} is no verdict. "
                    f"From the worst: {', '.join(map(repr, scales[place]))}"
                )
            yield place, verdict
