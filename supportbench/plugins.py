"""Discovering plugins: entry points in, modules and failures out; nothing is skipped in silence."""

from __future__ import annotations

import importlib.metadata
import inspect
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Any, Final

import attrs
import pluggy

from supportbench import hookspecs
from supportbench.errors import PluginFailure, UnknownNameError, text_of
from supportbench.hookspecs import API_VERSION, ENTRY_POINT_GROUP
from supportbench.wording import did_you_mean

_HOOK_PREFIX: Final = "supportbench_"
_API_ATTRIBUTE: Final = "supportbench_api"


@attrs.frozen(kw_only=True)
class Plugin:
    """One installed plugin: its entry-point name, its distribution and version, and its module."""

    name: str
    distribution: str
    version: str
    module: ModuleType = attrs.field(repr=False)

    @property
    def origin(self) -> str:
        """The distribution with its version."""
        return f"{self.distribution} {self.version}"


@attrs.frozen(kw_only=True)
class PluginSet:
    """What was found: the plugins that loaded, sorted by name, those that failed, and those that were blocked."""

    plugins: tuple[Plugin, ...] = ()
    failures: tuple[PluginFailure, ...] = ()
    blocked: tuple[str, ...] = ()


def discover(block: Iterable[str] = ()) -> PluginSet:
    """Load every installed plugin but the blocked ones.

    Raises:
        UnknownNameError: a blocked name is no installed plugin's (a misspelt block would let the plugin in).
    """
    entry_points = sorted(
        importlib.metadata.entry_points(group=ENTRY_POINT_GROUP), key=lambda entry: (entry.name, entry.value)
    )
    blocked = tuple(dict.fromkeys(block))
    installed = {entry.name for entry in entry_points}
    for name in blocked:
        if name not in installed:
            raise UnknownNameError(f"Cannot block {name!r}: no such plugin. {did_you_mean(name, installed)}")
    wanted = [entry for entry in entry_points if entry.name not in blocked]
    times = Counter(entry.name for entry in wanted)
    plugins: list[Plugin] = []
    failures: list[PluginFailure] = []
    for entry in wanted:
        if times[entry.name] > 1:
            rivals = ", ".join(sorted(_origin(other) for other in wanted if other.name == entry.name))
            reason = f"several distributions have a plugin of this name: {rivals}; uninstall all but one"
        else:
            loaded = _load(entry)
            if isinstance(loaded, Plugin):
                plugins.append(loaded)
                continue
            reason = loaded
        failures.append(PluginFailure(entry.name, _origin(entry), reason))
    return PluginSet(plugins=tuple(plugins), failures=tuple(failures), blocked=blocked)


def installed_names() -> frozenset[str]:
    """Return the names of all plugins that are installed, whether they load or not."""
    return frozenset(entry.name for entry in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP))


def new_plugin_manager() -> pluggy.PluginManager:
    """Return a pluggy manager that knows our hooks and no plugin."""
    manager = pluggy.PluginManager("supportbench")
    manager.add_hookspecs(hookspecs)
    return manager


def _origin(entry: importlib.metadata.EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else "an unknown distribution"


def _load(entry: importlib.metadata.EntryPoint) -> Plugin | str:
    try:
        module = entry.load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return f"importing {entry.value!r} raised {type(error).__name__}: {text_of(error)}"
    problem = _problem_of(entry.name, module)
    if problem is not None:
        return problem
    name, version = (entry.dist.name, entry.dist.version) if entry.dist else ("unknown", "unknown")
    return Plugin(name=entry.name, distribution=name, version=version, module=module)


def _problem_of(name: str, module: object) -> str | None:
    """Return what is wrong with a plugin module as such, or None."""
    if not isinstance(module, ModuleType):
        return f"the entry point must name a module, it names a {type(module).__name__}"
    version = getattr(module, _API_ATTRIBUTE, None)
    if version is None:
        return f"it does not declare its API version; add the line: {_API_ATTRIBUTE} = {API_VERSION}"
    if version != API_VERSION:
        return (
            f"it is written for plugin API {version!r}, this supportbench speaks {API_VERSION}; "
            "install versions of both that agree"
        )
    manager = new_plugin_manager()
    try:
        manager.register(module, name)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        return _told_plainly(error, module)
    implemented = {
        hook.name: implementation.function
        for hook in manager.get_hookcallers(module) or ()
        for implementation in hook.get_hookimpls()
    }
    if not implemented:
        bare = sorted(member for member in vars(module) if member.startswith(_HOOK_PREFIX) and member != _API_ATTRIBUTE)
        hint = f"; put @hookimpl on {', '.join(bare)}" if bare else ""
        return f"it implements no hook{hint}"
    return _problem_of_hooks(module, implemented)


def _problem_of_hooks(module: ModuleType, implemented: Mapping[str, Callable[..., Any]]) -> str | None:
    for member, value in vars(module).items():
        if member.startswith(_HOOK_PREFIX) and inspect.isfunction(value) and value not in implemented.values():
            return f"{member} looks like a hook, but has no @hookimpl"
    for hook, function in implemented.items():
        must_be_async = inspect.iscoroutinefunction(getattr(hookspecs, hook))
        if inspect.iscoroutinefunction(function) != must_be_async:
            return f"{hook} must {'be' if must_be_async else 'not be'} a coroutine function (async def)"
        if must_be_async and "episode" not in inspect.signature(function).parameters:
            return f"{hook} must take the argument 'episode'"
    return None


def _told_plainly(error: pluggy.PluginValidationError, module: ModuleType) -> str:
    known = [name for name in vars(hookspecs) if name.startswith(_HOOK_PREFIX)]
    for member, value in vars(module).items():
        marked = inspect.isfunction(value) and hasattr(value, "supportbench_impl")
        if marked and member.startswith(_HOOK_PREFIX) and member not in known:
            return f"there is no hook {member!r}. {did_you_mean(member, known)}"
    return " ".join(str(error).split())
