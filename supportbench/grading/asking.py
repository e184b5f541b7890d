"""Asking components and checks: where they stand, as tasks, or on threads when they block."""

from __future__ import annotations

import asyncio
import contextvars
import dis
import inspect
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any, Final, TypeAlias
from weakref import WeakKeyDictionary

from supportbench.errors import GradingError, RubricError, boundary
from supportbench.models import Submission
from supportbench.wording import shown

Call: TypeAlias = Callable[[Submission], Awaitable[Any]]
Part: TypeAlias = tuple[int, Call, str]
"""Whom to ask: the place of its answer, its method, and who to blame."""

_WAITING: Final = "SEND"  # the instruction in every await, async for and async with (CPython 3.11 and later)


def may_suspend(function: Callable[..., Any]) -> bool:
    """Return whether a coroutine function can ever wait, that is, whether its code awaits; unknown counts as yes."""
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    if not inspect.iscode(code):
        return True
    return any(instruction.opname == _WAITING for instruction in dis.get_instructions(code))


def blocks(grader: object, who: str) -> bool:
    """Return whether a component or check declares that it may hold its thread.

    Raises:
        RubricError: it declares neither True nor False.
        GradingError: its declaration raises.
    """
    with boundary(GradingError, who, "its attribute 'blocking'"):
        blocking = getattr(grader, "blocking", False)
    if not isinstance(blocking, bool):
        raise RubricError(f"{who} has blocking = {shown(blocking)}; it must be True (it may hold its thread) or False")
    return blocking


def subject_of(submission: Submission) -> str:
    """Return what is being graded, for the message of an error."""
    return f"ticket {submission.case.ticket.ticket_id!r} of task {submission.task.task_id!r}"


async def ask(part: Part, submission: Submission, answers: list[Any]) -> None:
    """Put the part's answer in its place; raises `GradingError` naming whose fault it is."""
    place, call, who = part
    with boundary(GradingError, who, subject_of(submission)):
        answers[place] = await call(submission)


async def ask_all(parts: Iterable[Part], submission: Submission, answers: list[Any]) -> None:
    """Ask all at once; the first fault cancels the others and is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            for part in parts:
                group.create_task(ask(part, submission, answers))
    except BaseExceptionGroup as faults:
        raise faults.exceptions[0] from faults.exceptions[0].__cause__


class Threads:
    """Runs calls that hold their thread, each on a thread and an event loop of its own, `most` at once.

    Not anyio's threads: there a call that nobody waits for any more gives up its place while it is still at work, so
    that such calls could pile up without limit, and one that never ends keeps the process from ending.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._places: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()

    async def run(self, call: Call, submission: Submission) -> Any:
        """Return what the call returns, or raise what it raises.

        Whoever is cancelled while waiting goes on at once; the call keeps its thread and its place until it ends.
        """
        loop = asyncio.get_running_loop()
        places = self._places.setdefault(loop, asyncio.Semaphore(self._most))
        await places.acquire()
        answer: asyncio.Future[Any] = loop.create_future()

        def end(tell: Callable[[], None]) -> None:
            places.release()
            if not answer.done():
                tell()

        def work() -> None:
            try:
                tell = partial(answer.set_result, asyncio.run(_in_full(call, submission)))
            except BaseException as error:  # whatever it is, it belongs to whoever waits for the answer
                tell = partial(answer.set_exception, error)
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(end, tell)

        thread = threading.Thread(target=contextvars.copy_context().run, args=(work,), name="grader", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # there is no room for another thread
            places.release()
            raise
        return await answer


async def _in_full(call: Call, submission: Submission) -> Any:
    """Return the call's answer; findings that are made one by one as they are read are made here, not on the loop."""
    answer = await call(submission)
    return tuple(answer) if isinstance(answer, Iterator) else answer
