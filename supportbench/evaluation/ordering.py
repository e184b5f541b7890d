"""Several things under way at once, and their answers in the order of the questions."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from typing import TypeVar

Q = TypeVar("Q")
A = TypeVar("A")


async def in_order(
    ask: Callable[[Q], Awaitable[A]], questions: Iterable[Q], *, concurrency: int
) -> AsyncGenerator[A, None]:
    """Yield the answer to each question, in the order of the questions, at most `concurrency` of them under way.

    Questions are drawn as places fall free. Raises what `ask` raises, when its turn comes; on leaving early, what is
    under way is cancelled.
    """
    if concurrency == 1:
        for question in questions:
            yield await ask(question)
        return
    ahead: deque[asyncio.Future[A]] = deque()
    try:
        for question in questions:
            ahead.append(asyncio.ensure_future(ask(question)))
            if len(ahead) == concurrency:
                yield await ahead.popleft()
        while ahead:
            yield await ahead.popleft()
    finally:
        for task in ahead:
            task.cancel()
        await asyncio.gather(*ahead, return_exceptions=True)
