"""Tasks from files: a TOML file holds one task, a JSON Lines file holds tickets with their answer keys."""

from __future__ import annotations

from pathlib import Path

import attrs
from attrs import field
from attrs.validators import optional

from supportbench import codec
from supportbench.errors import DecodeError, RunError
from supportbench.interfaces import StaticTasks
from supportbench.models import AnswerKey, Case, Task, Ticket, fields

PROVIDER = "file"
SPLIT = "test"
_INSTRUCTIONS = (
    "Triage the ticket. Choose the priority (the first of the allowed ones is the most urgent), the queue that owns "
    "the matter and the disposition. Write an internal summary: the matter, what is known, the next step; and "
    "a reply to the customer that promises nothing uncertain and asks for no secrets."
)


def read_task(path: str | Path) -> Task:
    """Return the task in a TOML file whose keys are the fields of `Task`; raises `RunError` naming file and place."""
    try:
        return codec.decode_toml(text_of_file(path), Task)
    except DecodeError as error:
        raise RunError(f"Task file {Path(path).name}: " + "; ".join(map(str, error.faults))) from error


def read_tickets(path: str | Path) -> StaticTasks:
    """Return the tasks in a file with one ticket a line: lines that share a `task_id` are one task.

    Raises:
        RunError: the file cannot be read, has no ticket, or a line is wrong; the message names the line and the field.
    """
    return parse_tickets(text_of_file(path), str(path))


def parse_tickets(text: str, path: str) -> StaticTasks:
    """Return the tasks in the text of a file of tickets; `path` is what errors call it, which are those above."""
    lines_of: dict[str, list[_TicketLine]] = {}
    seen: dict[str, int] = {}
    for number, line_text in enumerate(text.split("\n"), start=1):
        if not line_text.strip():
            continue
        try:
            line = codec.decode(line_text, _TicketLine)
            _task_of([line])
        except DecodeError as error:
            raise RunError(f"{path}, line {number}: " + "; ".join(map(str, error.faults))) from error
        except ValueError as error:
            raise RunError(f"{path}, line {number}: {error}") from error
        if line.ticket_id in seen:
            raise RunError(f"{path}, line {number}: ticket id {line.ticket_id!r} stands in line {seen[line.ticket_id]}")
        seen[line.ticket_id] = number
        task_id = line.task_id or line.ticket_id
        lines = lines_of.setdefault(task_id, [])
        if lines and None in (line.task_id, lines[0].task_id):
            raise RunError(f"{path}, line {number}: {task_id!r} is both a task_id and the id of a ticket without one")
        lines.append(line)
    if not lines_of:
        raise RunError(f"{path} has no tickets.")
    try:
        return StaticTasks(name=PROVIDER, splits={SPLIT: [_task_of(lines) for lines in lines_of.values()]})
    except ValueError as error:
        raise RunError(f"{path}: {error}") from error


@attrs.frozen(kw_only=True)
class _TicketLine(Ticket):
    answer_key: AnswerKey
    task_id: str | None = field(default=None, validator=optional(fields.name))


def _task_of(lines: list[_TicketLine]) -> Task:
    first = lines[0]
    return Task(
        task_id=first.task_id or first.ticket_id,
        title=first.task_id or first.subject,
        difficulty="unrated",
        description="",
        instructions=_INSTRUCTIONS,
        cases=[Case(ticket=_ticket_of(line), answer_key=line.answer_key) for line in lines],
    )


def _ticket_of(line: _TicketLine) -> Ticket:
    return Ticket(**{name.name: getattr(line, name.name) for name in attrs.fields(Ticket)})


def text_of_file(path: str | Path) -> str:
    """Return the text of a file that somebody named; raises `RunError` where it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8-sig")  # some editors begin a file with a mark
    except UnicodeDecodeError as error:
        raise RunError(f"Cannot read {path}: it is no UTF-8 text ({error.reason})") from error
    except (OSError, ValueError) as error:  # a ValueError: the path has a null character in it
        told = error.strerror if isinstance(error, OSError) else str(error)
        raise RunError(f"Cannot read {path}: {told}") from error
