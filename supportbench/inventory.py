"""What is installed: each plugin with what it provides, broken and blocked ones included."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, Literal

import attrs

from supportbench.offers import is_dishonest, missing_of
from supportbench.plugins import Plugin
from supportbench.registry import Registry

PluginStatus = Literal["ok", "broken", "blocked"]

_KINDS: Final = ("providers", "components", "checks", "rubrics", "agents", "executors")


@attrs.frozen(kw_only=True)
class InstalledPlugin:
    """A plugin: where it comes from, what it `provides` (kind → names), and, if it is broken, why.

    Its dishonest agents are listed apart, as `cheats`: they play in audits, and are no choice for an evaluation.
    `listens` says whether it is told of finished episodes. `needs` has the extras that lack before all that it
    provides can be used, such as `supportbench[ray]`. Of a blocked one no more than the name is known.
    """

    name: str
    distribution: str = ""
    version: str = ""
    status: PluginStatus = "ok"
    provides: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict)
    listens: bool = False
    problems: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()


def installed_plugins(registry: Registry) -> tuple[InstalledPlugin, ...]:
    """Return every plugin that was found, sorted by name."""
    found = {plugin.name: plugin for plugin in (*_loaded(registry), *_blocked(registry))}
    for plugin in _lost(registry):
        found.setdefault(plugin.name, plugin)
    return tuple(plugin for _, plugin in sorted(found.items()))


def _loaded(registry: Registry) -> Iterator[InstalledPlugin]:
    problems = _problems(registry)
    listening = {plugin.name for plugin, _ in registry.listeners}
    for plugin in registry.plugins:
        provides: dict[str, tuple[str, ...]] = {kind: tuple(_names(registry, kind, plugin)) for kind in _KINDS}
        provides["cheats"] = tuple(name for name in provides["agents"] if is_dishonest(registry.agents[name]))
        provides["agents"] = tuple(name for name in provides["agents"] if name not in provides["cheats"])
        yield InstalledPlugin(
            name=plugin.name,
            distribution=plugin.distribution,
            version=plugin.version,
            status="broken" if plugin.name in problems else "ok",
            provides={kind: names for kind, names in provides.items() if names},
            listens=plugin.name in listening,
            problems=problems.get(plugin.name, ()),
            needs=tuple(sorted({missing for missing in map(missing_of, _offers(registry, plugin)) if missing})),
        )


def _offers(registry: Registry, plugin: Plugin) -> Iterator[object]:
    for kind in _KINDS:
        yield from (getattr(registry, kind)[name] for name in _names(registry, kind, plugin))


def _names(registry: Registry, kind: str, plugin: Plugin) -> Iterator[str]:
    entries = getattr(registry, kind).entries.values()
    return (entry.name for entry in entries if entry.plugin.name == plugin.name)


def _lost(registry: Registry) -> Iterator[InstalledPlugin]:
    """Yield the plugins that could not even be imported."""
    problems = _problems(registry)
    for failure in registry.failures:
        distribution, _, version = failure.distribution.rpartition(" ")
        yield InstalledPlugin(
            name=failure.plugin,
            distribution=distribution,
            version=version,
            status="broken",
            problems=problems[failure.plugin],
        )


def _blocked(registry: Registry) -> Iterator[InstalledPlugin]:
    return (InstalledPlugin(name=name, status="blocked") for name in registry.blocked)


def _problems(registry: Registry) -> Mapping[str, tuple[str, ...]]:
    problems: dict[str, tuple[str, ...]] = {}
    for failure in registry.failures:
        problems[failure.plugin] = (*problems.get(failure.plugin, ()), failure.reason)
    return problems
