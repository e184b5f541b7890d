"""The boundary around plugin code."""

from __future__ import annotations

import asyncio
from types import TracebackType

from supportbench.errors.field import FieldError
from supportbench.errors.kinds import PluginCallError
from supportbench.errors.texts import text_of


class boundary:  # noqa: N801 - reads as the statement that it is: `with boundary(GradingError, …):`
    """Turn whatever plugin code raises into a typed error that names the plugin and what it was doing.

    `with boundary(GradingError, "component 'fuzzy' of plugin 'acme'", "ticket 'A-1'"): …`. An error of that very type
    passes as it is, so that a plugin can raise one with words of its own; so do Ctrl-C and the cancellation of the task
    that runs the plugin. Everything else that a plugin raises, `sys.exit` among it, is an error like any other.
    """

    __slots__ = ("_error", "_subject", "_who")

    def __init__(self, error: type[PluginCallError], who: str, subject: str = "") -> None:
        self._error = error
        self._who = who
        self._subject = subject

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if exc is None or isinstance(exc, self._error) or not _is_a_fault(exc):
            return
        what = type(exc).__name__
        if self._error.text_is_public:
            what = f"{what}: {text_of(exc)}"
        elif type(exc) is FieldError:  # our own words, of the plugin's answer; a ValueError of its own may say a key
            what = f"{what}: {exc.field!r} {exc.public}"
        at = f" at {self._subject}" if self._subject else ""
        raise self._error(f"{self._who} failed{at}: {what}") from exc


def _is_a_fault(exc: BaseException) -> bool:
    if isinstance(exc, asyncio.CancelledError):
        try:
            task = asyncio.current_task()
        except RuntimeError:  # no event loop: nothing here could have been cancelled by mistake
            return False
        return task is not None and not task.cancelling()
    return not isinstance(exc, KeyboardInterrupt | GeneratorExit)
