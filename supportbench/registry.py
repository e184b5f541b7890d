"""What is offered under which name: one frozen catalogue a kind, built from the hooks, each entry with its origin."""

from __future__ import annotations

import inspect
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any, Final, Generic, TypeVar

import attrs
from frozendict import frozendict

from supportbench import codec
from supportbench.errors import (
    DecodeError,
    HookError,
    PluginFailure,
    PluginLoadError,
    RubricError,
    UnknownNameError,
    boundary,
    did_you_mean,
)
from supportbench.interfaces import Agent, Executor, GradingComponent, SafetyCheck, TaskProvider
from supportbench.models import Rubric
from supportbench.plugins import Plugin, PluginSet, discover, new_plugin_manager

T = TypeVar("T")

logger: Final = logging.getLogger("supportbench.registry")

# Names that the server uses as the first part of a path: a provider is a path segment there (OpenEnv's Task API).
ROUTES: Final = frozenset(
    (
        *("docs", "health", "list_environments", "mcp", "metadata", "metrics", "openapi.json", "plugins"),
        *("reset", "rubrics", "schema", "state", "step", "tasks", "web", "ws"),
    )
)


@attrs.frozen(kw_only=True)
class Entry(Generic[T]):
    """One offer: its name, the value, and the plugin that it comes from."""

    name: str
    value: T
    plugin: Plugin


@attrs.frozen
class Catalogue(Generic[T]):
    """The offers of one kind, sorted by name."""

    kind: str
    entries: Mapping[str, Entry[T]]

    def __getitem__(self, name: str) -> T:
        """Return the value of that name; raises `UnknownNameError` with the nearest one and all that are known."""
        return self.entry(name).value

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def __contains__(self, name: object) -> bool:
        return name in self.entries

    def entry(self, name: str) -> Entry[T]:
        """Return the offer of that name; raises `UnknownNameError`."""
        try:
            return self.entries[name]
        except KeyError:
            raise UnknownNameError(f"There is no {self.kind} {name!r}. {did_you_mean(name, self.entries)}") from None

    def values(self) -> Iterator[T]:
        """Yield the values in the order of their names."""
        return (entry.value for entry in self.entries.values())


@attrs.frozen(kw_only=True)
class Registry:
    """Everything that the loaded plugins offer, and whatever went wrong while they were asked."""

    providers: Catalogue[TaskProvider]
    components: Catalogue[GradingComponent]
    checks: Catalogue[SafetyCheck]
    rubrics: Catalogue[Rubric]
    agents: Catalogue[Agent]
    executors: Catalogue[Executor]
    listeners: tuple[tuple[Plugin, Callable[..., Any]], ...] = ()
    plugins: tuple[Plugin, ...] = ()
    failures: tuple[PluginFailure, ...] = ()
    blocked: tuple[str, ...] = ()

    @classmethod
    def from_plugins(cls, found: PluginSet, environ: Mapping[str, str]) -> Registry:
        """Ask every plugin for what it offers; never raises, `failures` has what went wrong."""
        failures = list(found.failures)
        offers: dict[str, dict[str, Entry[Any]]] = {kind: {} for kind in _KINDS}
        listeners: list[tuple[Plugin, Callable[..., Any]]] = []
        for plugin in found.plugins:
            manager = new_plugin_manager()
            manager.register(plugin.module, plugin.name)
            for kind, (hook, problem_of) in _KINDS.items():
                try:
                    with boundary(HookError, f"hook {hook}"):
                        values = _asked(getattr(manager.hook, hook)(environ=environ), hook)
                except HookError as error:
                    failures.append(PluginFailure(plugin.name, plugin.origin, error.detail))
                    continue
                for value in values:
                    problem = _added(offers[kind], value, kind, plugin, problem_of)
                    if problem is not None:
                        failures.append(PluginFailure(plugin.name, plugin.origin, f"{hook}: {problem}"))
            listeners.extend(
                (plugin, implementation.function)
                for implementation in manager.hook.supportbench_episode_finished.get_hookimpls()
            )
        catalogues = {
            kind: Catalogue(_SPOKEN[kind], frozendict(sorted(entries.items()))) for kind, entries in offers.items()
        }
        return cls(
            **catalogues,
            listeners=tuple(listeners),
            plugins=found.plugins,
            failures=tuple(failures),
            blocked=found.blocked,
        )

    def check(self) -> Registry:
        """Return the registry itself when every plugin loaded; raises `PluginLoadError` with all failures otherwise."""
        if self.failures:
            raise PluginLoadError(self.failures)
        return self

    def with_provider(self, provider: TaskProvider) -> Registry:
        """Return the registry with one more provider, which comes from a file rather than from a plugin."""
        itself = Plugin(name="supportbench", distribution="supportbench", version=version("supportbench"), module=codec)
        entry = Entry(name=provider.name, value=provider, plugin=itself)
        entries = frozendict({**self.providers.entries, provider.name: entry})
        return attrs.evolve(self, providers=Catalogue(self.providers.kind, entries))

    def offers(self) -> Iterator[object]:
        """Yield everything that is offered."""
        for catalogue in (self.providers, self.components, self.checks, self.agents, self.executors):
            yield from catalogue.values()


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
                        await aclose()
                except HookError as error:
                    logger.error("%s", error.detail)  # noqa: TRY400 - who it was is said; the traceback is not ours


def load_registry(environ: Mapping[str, str], block: Iterable[str] = ()) -> Registry:
    """Discover the installed plugins and return what they offer, failures included (see `Registry.check`)."""
    return Registry.from_plugins(discover(block), environ)


def version_of(offer: object) -> str:
    """Return the version of a component, check or agent: "0" when it declares none."""
    return str(getattr(offer, "version", "0"))


def data_fingerprint_of(offer: object) -> str | None:
    """Return what identifies the rule data that decides the offer's answers, None when it declares none."""
    data = getattr(offer, "data_fingerprint", None)
    return None if data is None else str(data)


def configure(offer: T, options: Mapping[str, Any], what: str) -> tuple[T, Mapping[str, Any]]:
    """Return the offer set up with these options, and the options with their defaults filled in.

    Raises:
        RubricError: it takes no options, or not these; `what` names it in the message.
    """
    kind = getattr(offer, "Options", None)
    if kind is None:
        if options:
            raise RubricError(f"{what} takes no options, but is given {', '.join(sorted(options))}")
        return offer, frozendict()
    try:
        decoded = codec.structure(options, kind)
    except DecodeError as error:
        raise RubricError(f"The options of {what} are wrong: {error}") from error
    with boundary(HookError, f"configuring {what}"):
        try:
            return offer.configured(decoded), codec.unstructure(decoded)  # type: ignore[attr-defined]
        except ValueError as error:
            raise RubricError(f"The options of {what} are wrong: {error}") from error


# -- asking one plugin --------------------------------------------------------------------------------------------


def _asked(results: list[Iterable[Any]], hook: str) -> list[Any]:
    values: list[Any] = []
    for result in results:
        if not isinstance(result, Iterable) or isinstance(result, str | bytes | Mapping):
            raise HookError(f"{hook} must return an iterable, it returned {type(result).__name__}; use yield")
        values.extend(result)
    return values


def _added(
    entries: dict[str, Entry[Any]], value: Any, kind: str, plugin: Plugin, problem_of: Callable[[Any], str | None]
) -> str | None:
    """Add an offer to the entries of its kind; return the problem where it cannot be added."""
    try:
        problem = problem_of(value)
    except Exception as error:  # a property of the offer may raise
        return f"looking at the offered {type(value).__name__} raised {type(error).__name__}: {error}"
    if problem is not None:
        return f"the offered {type(value).__name__} {problem}"
    rival = entries.get(value.name)
    if rival is not None:
        return (
            f"{_SPOKEN[kind]} {value.name!r} is offered twice: by plugin {rival.plugin.name!r} ({rival.plugin.origin}) "
            f"and by plugin {plugin.name!r} ({plugin.origin})"
        )
    entries[value.name] = Entry(name=value.name, value=value, plugin=plugin)
    return None


def _problem_with_name(value: Any) -> str | None:
    name = getattr(value, "name", None)
    if not isinstance(name, str) or not name.strip():
        return "has no 'name' (a string)"
    if any(char in name for char in ":,/") or name != name.strip() or not name.isprintable():
        return f"has the name {name!r}; a name has no blanks around it and none of : , /"
    return None


def _problem_with_methods(value: Any, methods: Iterable[str], *, is_async: bool) -> str | None:
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
    options = getattr(value, "Options", None)
    if options is not None and not (isinstance(options, type) and attrs.has(options)):
        return f"{value.name!r} has 'Options' that are no attrs class"
    if options is not None and not callable(getattr(value, "configured", None)):
        return f"{value.name!r} has 'Options' but no method 'configured'"
    return None


def _problem_with_provider(value: Any) -> str | None:
    problem = _problem_with_methods(value, ("splits", "num_tasks", "task", "find", "taxonomies"), is_async=False)
    if problem is None and value.name.casefold() in ROUTES:
        return f"is named {value.name!r}, which is a path of the server; choose another name"
    return problem


def _problem_with_rubric(value: Any) -> str | None:
    return None if isinstance(value, Rubric) else "is no Rubric"


_KINDS: Final[Mapping[str, tuple[str, Callable[[Any], str | None]]]] = {
    "providers": ("supportbench_task_providers", _problem_with_provider),
    "components": (
        "supportbench_grading_components",
        lambda value: _problem_with_methods(value, ("score",), is_async=True),
    ),
    "checks": ("supportbench_safety_checks", lambda value: _problem_with_methods(value, ("check",), is_async=True)),
    "rubrics": ("supportbench_rubrics", _problem_with_rubric),
    "agents": ("supportbench_agents", lambda value: _problem_with_methods(value, ("act",), is_async=True)),
    "executors": ("supportbench_executors", lambda value: _problem_with_methods(value, ("run",), is_async=False)),
}
_SPOKEN: Final = {
    "providers": "task provider",
    "components": "grading component",
    "checks": "safety check",
    "rubrics": "rubric",
    "agents": "agent",
    "executors": "executor",
}
