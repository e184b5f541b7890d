"""From run folders to a report."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from supportbench.errors import RunError
from supportbench.evaluation.report.reading import TicketPlace, TicketReplies, read_run_view
from supportbench.evaluation.report.records import Reply, Report, RunView, TicketView
from supportbench.evaluation.statistics.comparison import CompareReport
from supportbench.evaluation.statistics.extra import INSTALL, why_missing
from supportbench.evaluation.statistics.pairing import RunReplies, check_alike, read_replies
from supportbench.evaluation.statistics.records import succeeded
from supportbench.registry import Registry

LABELS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
"""What runs are called: a report of more would have no use for anybody."""


async def gather(
    folders: Sequence[Path],
    registries: Sequence[Registry],
    *,
    reveals: bool = False,
    forced: bool = False,
    on_episode: Callable[[int], None] = lambda episodes: None,
) -> Report:
    """Return the report of the runs in these folders; each has a registry, in which its tasks are looked for.

    `on_episode` is called with a 1 for each episode that was read.

    Raises:
        RunError: a folder is no run's, has no episode, or does not compare with the first and nothing is `forced`.
    """
    if len(folders) > len(LABELS):
        raise RunError(f"A report is of {len(LABELS)} runs at most, not of {len(folders)}.")
    comparison, differences, uncompared = _compared(folders, forced=forced)
    tickets: dict[TicketPlace, TicketReplies] = {}
    runs = [
        await read_run_view(
            folder,
            label=label,
            place=place,
            registry=registry,
            tickets=tickets,
            reveals=reveals,
            on_episode=on_episode,
        )
        for place, (label, folder, registry) in enumerate(zip(LABELS, folders, registries, strict=False))
    ]
    for run in runs:
        if not run.played:
            raise RunError(f"{run.name} has no finished episode: there is nothing to report.")
    return Report(
        version=version("supportbench"),
        reveals=reveals,
        runs=tuple(runs),
        tickets=tuple(
            _view(number, place, replies, len(runs), reveals=reveals)
            for number, (place, replies) in enumerate(_in_order(tickets, runs), 1)
        ),
        differences=differences,
        comparison=comparison,
        uncompared=uncompared,
    )


def _compared(folders: Sequence[Path], *, forced: bool) -> tuple[CompareReport | None, tuple[str, ...], str | None]:
    """Return the comparison, what is not the same in it, and why there is none where several runs have none."""
    if len(folders) < 2:
        return None, (), None
    read = [read_replies(folder) for folder in folders]
    differences = (*check_alike(read, forced=forced, what="report"), *_strangers(read, forced=forced))
    if (missing := why_missing()) is not None:
        return None, differences, f"To compare needs supportbench[stats]: {INSTALL} ({missing})"
    from supportbench.evaluation.statistics.comparing import compare_runs  # noqa: PLC0415 - takes a second, as scipy does

    try:
        return compare_runs(read, differences=differences, forced=forced), differences, None
    except RunError as error:
        return None, differences, str(error)


def _strangers(runs: Sequence[RunReplies], *, forced: bool) -> Iterator[str]:
    """Yield which other runs have no task of the first; raises `RunError` where nothing is `forced`."""
    first, *others = [(run.card.run, {(task.provider, task.task_id) for task in run.manifest.tasks}) for run in runs]
    for name, tasks in others:
        if tasks.isdisjoint(first[1]):
            told = f"{name} has no task in common with {first[0]}"
            if not forced:
                raise RunError(f"{told}. To report them all the same: --force")
            yield told


def _in_order(
    tickets: Mapping[TicketPlace, TicketReplies], runs: Iterable[RunView]
) -> list[tuple[TicketPlace, TicketReplies]]:
    """Return the tickets by task in the order of the runs, and within one as they were played."""
    order: dict[tuple[str, str], int] = {}
    for run in runs:
        for task in run.manifest.tasks:
            order.setdefault((task.provider, task.task_id), len(order))
    return sorted(tickets.items(), key=lambda each: order.get(each[0][:2], len(order)))


def _view(number: int, place: TicketPlace, read: TicketReplies, runs: int, *, reveals: bool) -> TicketView:
    provider, task_id, _, ticket_id = place
    replies = tuple(read.replies_of(run) for run in range(runs))
    return TicketView(
        number=number,
        provider=provider,
        task_id=task_id,
        task_title=read.task_title,
        ticket_id=ticket_id,
        ticket=None if read.case is None else read.case.ticket,
        key=read.case.answer_key if reveals and read.case is not None else None,
        replies=replies,
        flipped=_flipped(replies),
    )


def _flipped(replies: Sequence[Sequence[Reply]]) -> bool:
    """Return whether the ticket was a success in one run and not in another, in the same repeat."""
    seen: dict[int, bool] = {}
    return any(
        seen.setdefault(repeat, succeeded(reply.step.grade.reward)) != succeeded(reply.step.grade.reward)
        for of_run in replies
        for reply in of_run
        if reply.step.grade is not None
        for repeat in reply.repeats
    )
