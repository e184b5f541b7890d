"""What an offer of a plugin must be like, and how an offer is used: its options, its version, its end."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, TypeVar

import attrs

from supportbench import codec
from supportbench.errors import DecodeError, HookError, OptionsError, PluginError, UnknownNameError, boundary
from supportbench.frozen import FrozenDict
from supportbench.interfaces import LOCAL_EXECUTOR
from supportbench.models import Rubric
from supportbench.task_files import PROVIDER as TICKET_FILE
from supportbench.wording import shown

T = TypeVar("T")

logger: Final = logging.getLogger("supportbench.offers")
CLOSING_LIMIT_S: Final = 10.0
_ASYNC_METHODS: Final = ("score", "check", "act")

# Names that the server uses as the first part of a path: a provider is a path segment there (OpenEnv's Task API).
ROUTES: Final = frozenset(
    (
        *("docs", "health", "list_environments", "mcp", "metadata", "metrics", "openapi.json", "plugins"),
        *("reset", "rubrics", "schema", "state", "step", "tasks", "web", "ws"),
    )
)


def version_of(offer: object) -> str:
    """Return the version of a component, check or agent: "0" when it declares none."""
    return str(getattr(offer, "version", "0"))


def data_fingerprint_of(offer: object) -> str | None:
    """Return what identifies the rule data that decides the offer's answers, None when it declares none."""
    data = getattr(offer, "data_fingerprint", None)
    return None if data is None else str(data)


def is_dishonest(agent: object) -> bool:
    """Return whether an agent says that it is dishonest: it plays in audits, and is no choice for an evaluation."""
    return getattr(agent, "dishonest", False) is True


def configure(offer: T, options: Mapping[str, Any], what: str) -> tuple[T, Mapping[str, Any]]:
    """Return the offer set up with these options, and the options with their defaults filled in.

    Raises:
        OptionsError: it takes no options, or not these; `what` names it in the message.
        PluginError: it lacks a library.
        HookError: it failed for another reason.
    """
    if missing := missing_of(offer):
        raise PluginError(f"{_capital(what)} needs {missing}: pip install '{missing}'")
    kind = getattr(offer, "Options", None)
    if kind is None:
        if options:
            raise OptionsError(f"{what} takes no options, but is given {', '.join(sorted(options))}")
        return offer, FrozenDict()
    try:
        decoded = codec.structure(options, kind)
        with boundary(HookError, f"configuring {what}"):
            configured: T = offer.configured(decoded)  # type: ignore[attr-defined]
    except DecodeError as error:
        raise OptionsError(f"The options of {what} are wrong: {error}") from error
    except HookError as error:
        if isinstance(
            error.__cause__, ValueError
        ):  # its way of saying that these options, or its variables, will not do
            raise OptionsError(f"{what} cannot be set up: {error.__cause__}") from error
        raise
    for method in _ASYNC_METHODS:
        if hasattr(offer, method) and not inspect.iscoroutinefunction(getattr(configured, method, None)):
            raise HookError(f"configuring {what} gave {type(configured).__name__}, which has no async {method}")
    return configured, codec.unstructure(decoded)


def options_given(
    offer: object, name: str, argument: str | None, options: Mapping[str, Any], what: str
) -> Mapping[str, Any]:
    """Return the options of `NAME:ARGUMENT`: the argument fills the first field; `what` is how a message names it all.

    Raises:
        UnknownNameError: it takes no argument.
        OptionsError: an option is given twice, or lacks.
    """
    kind = getattr(offer, "Options", None)
    first = next(iter(attrs.fields(kind)), None) if kind is not None else None
    if argument is None:
        if first is not None and first.default is attrs.NOTHING and first.name not in options:
            raise OptionsError(f"{_capital(what)} needs its {first.name}: {name}:{first.name.upper()}")
        return options
    if first is None:
        raise UnknownNameError(f"{_capital(what)} takes no argument, but is given {argument!r}.")
    if first.name in options:
        raise OptionsError(f"{_capital(what)} is given its {first.name} twice: behind the colon and as an option.")
    return {**options, first.name: argument}


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def missing_of(offer: object) -> str | None:
    """Return what has to be installed before the offer can be used, such as `supportbench[ray]`; None for nothing."""
    missing = getattr(offer, "needs", None)
    return None if missing is None else str(missing)


def variables_of(offer: object) -> tuple[str, ...]:
    """Return the environment variables that the offer says it reads."""
    return tuple(getattr(offer, "variables", ()))


@asynccontextmanager
async def closing(offers: Iterable[object]) -> AsyncIterator[None]:
    """On leaving the block, close every one of the offers that has an `aclose`, each once.

    What one of them raises is logged: it ends neither the program nor the closing of the others.
    """
    try:
        yield
    finally:
        for offer in {id(offer): offer for offer in offers}.values():
            aclose = getattr(offer, "aclose", None)
            if aclose is not None:
                try:
                    with boundary(HookError, f"closing {getattr(offer, 'name', type(offer).__name__)!r}"):
                        async with asyncio.timeout(CLOSING_LIMIT_S):
                            await aclose()
                except HookError as error:
                    logger.error("%s", error.detail)  # noqa: TRY400 - who it was is said; the traceback is not ours


# -- what is wrong with an offer, or None --------------------------------------------------------------------------


def problem_with_methods(value: Any, methods: Iterable[str], *, is_async: bool) -> str | None:
    """Return what keeps the value from being a named object with these methods."""
    if isinstance(value, type):
        return "is a class; offer an instance of it"
    problem = _problem_with_name(value)
    if problem is not None:
        return problem
    for method in methods:
        function = getattr(value, method, None)
        if not callable(function):
            return f"{value.name!r} has no method {method!r}"
        if is_async and not inspect.iscoroutinefunction(function):
            return f"{value.name!r} has a plain method {method!r}; it must be a coroutine function (async def {method})"
    if inspect.iscoroutinefunction(getattr(value, "start_episode", None)):
        return f"{value.name!r} has an async start_episode; it must be a plain method"
    if inspect.iscoroutinefunction(getattr(value, "studied", None)):
        return f"{value.name!r} has an async studied; it must be a plain method"
    if not isinstance(dishonest := getattr(value, "dishonest", False), bool):
        return f"{value.name!r} has dishonest = {shown(dishonest)}; it must be True or False"
    if inspect.iscoroutinefunction(pairs := getattr(value, "pairs", None)) or inspect.isasyncgenfunction(pairs):
        return f"{value.name!r} has async pairs; it must be a plain method"
    options = getattr(value, "Options", None)
    if options is not None and not (isinstance(options, type) and attrs.has(options)):
        return f"{value.name!r} has 'Options' that are no attrs class"
    if options is not None and not callable(getattr(value, "configured", None)):
        return f"{value.name!r} has 'Options' but no method 'configured'"
    version_of(value), data_fingerprint_of(value)  # properties that raise had better do so now
    if options is not None:
        with suppress(DecodeError):  # an option may be required; that their types can be read is all that matters here
            codec.structure({}, options)
    return None


def problem_with_provider(value: Any) -> str | None:
    """Return what keeps the value from being a task provider."""
    problem = problem_with_methods(value, ("splits", "num_tasks", "task", "find", "taxonomies"), is_async=False)
    if problem is None and value.name.casefold() in ROUTES:
        return f"is named {value.name!r}, which is a path of the server; choose another name"
    if problem is None and value.name == TICKET_FILE:
        return f"is named {value.name!r}, which stands for a file of tickets; choose another name"
    return problem


def problem_with_executor(value: Any) -> str | None:
    """Return what keeps the value from being an executor."""
    problem = problem_with_methods(value, ("run",), is_async=False)
    if problem is None and value.name == LOCAL_EXECUTOR:
        return f"is named {value.name!r}, which stands for playing in this process; choose another name"
    return problem


def problem_with_rubric(value: Any) -> str | None:
    """Return what keeps the value from being a rubric."""
    return None if isinstance(value, Rubric) else "is no Rubric"


def _problem_with_name(value: Any) -> str | None:
    name = getattr(value, "name", None)
    if not isinstance(name, str) or not name.strip():
        return "has no 'name' (a string)"
    if any(char in name for char in ":,/") or name != name.strip() or not name.isprintable():
        return f"has the name {name!r}; a name has no blanks around it and none of : , /"
    return None
