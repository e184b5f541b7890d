"""Tasks for audits: honest ones, and some with a fault each."""

from __future__ import annotations

from typing import Any, Final

from supportbench import AnswerKey, Case, Task, Ticket

_MATTERS: Final[tuple[tuple[str, str, dict[str, Any], list[list[str]], list[list[str]]], ...]] = (
    (
        "The invoice again",
        "Twelve euros too many were taken for May. Kindly look at it and tell me what becomes of them.",
        {"priority": "P2", "queue": "billing", "disposition": "respond"},
        [["overcharge", "wrong amount"], ["reimbursement", "credit note"]],
        [["bookkeeping", "accounts department"], ["written notice", "letter"]],
    ),
    (
        "Nothing loads",
        "Since nine o'clock the board stays white wherever we look, and the phones do not stop ringing.",
        {"priority": "P1", "queue": "technical", "disposition": "escalate"},
        [["blank screen", "white page"], ["whole office", "every desk"]],
        [["engineer", "developer"], ["progress report", "bulletin"]],
    ),
    (
        "May we have two more places?",
        "We grow a little in autumn. What would two more places cost us, and from when could we have them?",
        {"priority": "P4", "queue": "success", "disposition": "respond"},
        [["additional seats", "expansion"], ["autumn", "september"]],
        [["price list", "quotation"], ["start date", "beginning of the month"]],
    ),
    (
        "Who is Mr Blum?",
        "A Mr Blum is in our list of members since Sunday. Nobody has invited him and nobody knows him.",
        {"priority": "P3", "queue": "security", "disposition": "request_info"},
        [["unknown member", "stranger"], ["invitation", "guest list"]],
        [["suspension", "withdrawal"], ["access history", "protocol"]],
    ),
)


def a_case(number: int, **changes: Any) -> Case:
    """Return one of four cases, from 0, with changes to its ticket."""
    subject, body, decision, about, told = _MATTERS[number % len(_MATTERS)]
    ticket: dict[str, Any] = {"ticket_id": f"A-{number}", "subject": subject, "body": body, **changes}
    key = AnswerKey(**decision, summary_concepts=about, response_concepts=told, unsafe_phrases=["never mind the rules"])
    return Case(ticket=Ticket(**ticket), answer_key=key)


def a_task(task_id: str = "monday", *cases: Case, rubric: str = "made", **changes: Any) -> Task:
    """Return a task of these cases, or of all four."""
    usual: dict[str, Any] = {
        "title": task_id.title(),
        "difficulty": "unrated",
        "description": "Four tickets.",
        "instructions": "Decide, sum up and reply.",
    }
    return Task(task_id=task_id, cases=cases or tuple(map(a_case, range(4))), rubric=rubric, **{**usual, **changes})
