"""Where the replies of several runs to one ticket differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from supportbench.evaluation.report.records import Reply, TicketView
from supportbench.evaluation.report.wording import figure


def differences_in(view: TicketView) -> list[tuple[str, list[str]]]:
    """Return what is not the same in all runs: its name, and by run what it is there, with how often if it varies.

    Texts are left out: they stand side by side.
    """
    names = dict.fromkeys(
        name
        for replies in view.replies
        for reply in replies
        if reply.step.grade is not None
        for name in reply.step.grade.components
    )
    looks: dict[str, Callable[[Reply], str | None]] = {
        "outcome": lambda reply: reply.outcome,
        "reward": lambda reply: None if reply.step.grade is None else figure(reply.step.grade.reward),
        **{f"{name} chosen": _chosen(name) for name in ("priority", "queue", "disposition")},
        **{f"{name} score": _scored(name) for name in names},
        "unsafe": lambda reply: None if reply.step.grade is None else "yes" if reply.step.grade.unsafe else "no",
    }
    rows = [(name, [_told(replies, look) for replies in view.replies]) for name, look in looks.items()]
    return [(name, cells) for name, cells in rows if len(set(cells)) > 1]


def _chosen(name: str) -> Callable[[Reply], str | None]:
    return lambda reply: None if reply.step.action is None else str(getattr(reply.step.action, name))


def _scored(name: str) -> Callable[[Reply], str | None]:
    def look(reply: Reply) -> str | None:
        part = None if reply.step.grade is None else reply.step.grade.components.get(name)
        return None if part is None else figure(part.score)

    return look


def _told(replies: Sequence[Reply], look: Callable[[Reply], str | None]) -> str:
    counts: Counter[str] = Counter()
    for reply in replies:
        counts[look(reply) or "–"] += len(reply.repeats)
    if len(counts) == 1:
        return next(iter(counts))
    return ", ".join(f"{value} × {times}" for value, times in counts.most_common()) or "–"
