"""What is offered under which name: one frozen catalogue a kind, built from the hooks, each entry with its origin."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import version
from typing import Any, Final, Generic, TypeVar

import attrs

from supportbench import codec
from supportbench.errors import (
    HookError,
    PluginFailure,
    PluginLoadError,
    SettingsError,
    UnknownNameError,
    boundary,
    text_of,
)
from supportbench.frozen import FrozenDict
from supportbench.interfaces import Agent, Executor, GradingComponent, SafetyCheck, TaskProvider
from supportbench.models import Rubric
from supportbench.offers import problem_with_executor, problem_with_methods, problem_with_provider, problem_with_rubric
from supportbench.plugins import Plugin, PluginSet, discover, new_plugin_manager
from supportbench.wording import did_you_mean

T = TypeVar("T")


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
    entries: Mapping[str, Entry[T]] = attrs.field(repr=False)

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
                        caller = getattr(manager.hook, hook)
                        values = _asked(caller(environ=environ), hook, implemented=bool(caller.get_hookimpls()))
                except HookError as error:
                    of_setting = isinstance(error.__cause__, SettingsError)
                    reason = str(error.__cause__) if of_setting else error.detail
                    failures.append(PluginFailure(plugin.name, plugin.origin, reason, of_setting))
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
            kind: Catalogue(_SPOKEN[kind], FrozenDict(sorted(entries.items()))) for kind, entries in offers.items()
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
        entries = FrozenDict({**self.providers.entries, provider.name: entry})
        return attrs.evolve(self, providers=Catalogue(self.providers.kind, entries))

    def offers(self) -> Iterator[object]:
        """Yield everything that is offered."""
        for catalogue in (self.providers, self.components, self.checks, self.agents, self.executors):
            yield from catalogue.values()


def load_registry(environ: Mapping[str, str], block: Iterable[str] = ()) -> Registry:
    """Discover the installed plugins and return what they offer, failures included (see `Registry.check`)."""
    return Registry.from_plugins(discover(block), environ)


# -- asking one plugin --------------------------------------------------------------------------------------------


def _asked(results: list[Iterable[Any]], hook: str, *, implemented: bool) -> list[Any]:
    if implemented and not results:  # pluggy leaves out what returns None
        raise HookError(f"{hook} must return an iterable, it returned None; use yield")
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
        return f"looking at the offered {type(value).__name__} raised {type(error).__name__}: {text_of(error)}"
    if problem is not None:
        return f"the offered {type(value).__name__} {problem}"
    rival = entries.get(value.name)
    if rival is not None:
        return (
            f"{_SPOKEN[kind]} {value.name!r} is offered twice: by plugin {rival.plugin.name!r} ({rival.plugin.origin}) "
            f"and by plugin {plugin.name!r} ({plugin.origin}); go on without one of them: "
            f"--block {rival.plugin.name} or --block {plugin.name}"
        )
    entries[value.name] = Entry(name=value.name, value=value, plugin=plugin)
    return None


_KINDS: Final[Mapping[str, tuple[str, Callable[[Any], str | None]]]] = {
    "providers": ("supportbench_task_providers", problem_with_provider),
    "components": (
        "supportbench_grading_components",
        lambda value: problem_with_methods(value, ("score",), is_async=True),
    ),
    "checks": ("supportbench_safety_checks", lambda value: problem_with_methods(value, ("check",), is_async=True)),
    "rubrics": ("supportbench_rubrics", problem_with_rubric),
    "agents": ("supportbench_agents", lambda value: problem_with_methods(value, ("act",), is_async=True)),
    "executors": ("supportbench_executors", problem_with_executor),
}
_SPOKEN: Final = {
    "providers": "task provider",
    "components": "grading component",
    "checks": "safety check",
    "rubrics": "rubric",
    "agents": "agent",
    "executors": "executor",
}
