"""How many requests an endpoint is sent at once, where it says with 429 that it is sent too many."""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Final

logger: Final = logging.getLogger("supportbench.endpoint")

_SHORTEST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 8.0
LONGEST_WAIT_S: Final = 60.0
"""Who asks for a longer wait is not asked again: whoever reads that can decide when to come back."""


class Throttle:
    """Lets requests through, each in an `async with` block: all that come, until one is `refused`.

    Then half of those that were under way may be at once, and one more for each such number that is answered: additive
    increase and multiplicative decrease, which finds what the endpoint takes (Chiu and Jain, "Analysis of the Increase
    and Decrease Algorithms for Congestion Avoidance in Computer Networks", 1989). All wait as long as the endpoint
    asks, or for a pause that doubles.

    What was sent before the last halving says nothing new. After `patience` halvings with no answer between them there
    is nothing to wait for, and every refusal is final, until an answer comes.
    """

    def __init__(self, url: str, *, patience: int) -> None:
        self._url = url
        self._patience = patience
        self._places = math.inf
        self._under_way = 0
        self._fruitless = 0
        self._halved_at = self._resumes_at = -math.inf
        self._freed = asyncio.Condition()

    async def __aenter__(self) -> float:
        """Wait for a place and for the end of a pause; return the moment from which the request counts as sent."""
        if self._under_way >= self._places:
            async with self._freed:
                await self._freed.wait_for(lambda: self._under_way < self._places)
        self._under_way += 1
        try:
            await self._pause()
        except BaseException:
            await self._free()
            raise
        return time.monotonic()

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._free()

    def answered(self) -> None:
        """Count an answer."""
        self._fruitless = 0
        self._places += 1 / self._places

    def refused(self, sent_at: float, asked_s: float | None) -> bool:
        """Count a refusal of what was sent then, with the wait that the endpoint asks for; return whether to try again.

        Whoever tries again enters once more, which waits.
        """
        if asked_s is not None and asked_s > LONGEST_WAIT_S:
            return False
        now = time.monotonic()
        if sent_at >= self._halved_at:
            if self._places == math.inf:
                logger.warning("%s answers 429: fewer requests at once from now on, as it takes them", self._url)
            self._halved_at = now
            self._places = max(1, self._under_way // 2)
            self._fruitless += 1
            logger.info("%s answered 429: at most %d requests at once", self._url, self._places)
            if asked_s is None:
                longest = min(_LONGEST_PAUSE_S, _SHORTEST_PAUSE_S * 2 ** (self._fruitless - 1))
                asked_s = longest * random.uniform(0.75, 1)  # noqa: S311 - so that two programs do not come as one
        if self._fruitless > self._patience:
            return False
        if asked_s is not None:
            self._resumes_at = max(self._resumes_at, now + asked_s)
        return True

    async def _pause(self) -> None:
        left_s = self._resumes_at - time.monotonic()
        if left_s > 0:
            await asyncio.sleep(left_s)
            await self._pause()  # others may have prolonged it

    async def _free(self) -> None:
        self._under_way -= 1
        if self._places < math.inf:
            async with self._freed:
                self._freed.notify_all()


def asked_wait_s(headers: Mapping[str, str]) -> float | None:
    """Return how many seconds a response asks to wait, by `Retry-After-Ms` or `Retry-After` (RFC 9110, 10.2.3)."""
    with suppress(KeyError, ValueError):
        return _usable(float(headers["retry-after-ms"]) / 1000)
    text = headers.get("retry-after", "")
    with suppress(ValueError):
        return _usable(float(text))
    with suppress(ValueError, TypeError):
        date = parsedate_to_datetime(text)
        return _usable((date - datetime.now(date.tzinfo or UTC)).total_seconds())
    return None


def _usable(seconds: float) -> float | None:
    return max(0.0, seconds) if math.isfinite(seconds) else None
