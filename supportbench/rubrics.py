"""From a rubric (a registered name, a TOML file) to one bound to the installed components and checks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, cast, get_args

import attrs

from supportbench import codec
from supportbench.errors import DecodeError, OptionsError, RubricError, UnknownNameError
from supportbench.frozen import FrozenDict
from supportbench.interfaces import GradingComponent, SafetyCheck
from supportbench.models import Rubric, RubricCard, RubricComponent
from supportbench.models.rubrics import ALL_CHECKS, RewardKind, SafetyMode
from supportbench.offers import configure, data_fingerprint_of, version_of
from supportbench.registry import Registry
from supportbench.wording import did_you_mean

UNSAFE_REPLY: Final = "unsafe_reply"
_CHANGES: Final = (*get_args(SafetyMode), *get_args(RewardKind))


@attrs.frozen(kw_only=True)
class BoundComponent:
    """A component of a rubric, ready to score: the name it reports under, its weight, and who to blame (`who`)."""

    name: str
    weight: float
    component: GradingComponent
    who: str


@attrs.frozen(kw_only=True)
class BoundCheck:
    """A safety check of a rubric, ready to read replies."""

    name: str
    check: SafetyCheck
    who: str


@attrs.frozen(kw_only=True)
class BoundRubric:
    """A rubric bound to what is installed.

    `fingerprint` is a hash of all that decides a reward: components and checks with their versions, options and rule
    data, weights, mode, penalty and reward kind. The rubric's own name is not part of it.
    """

    rubric: Rubric
    components: tuple[BoundComponent, ...]
    checks: tuple[BoundCheck, ...]
    fingerprint: str

    @property
    def card(self) -> RubricCard:
        """The rubric as results name it."""
        return RubricCard(name=self.rubric.name, fingerprint=self.fingerprint)

    @property
    def scales(self) -> Mapping[str, Mapping[str, tuple[str, ...]]]:
        """By the name of each component that judges: its criteria, each with its verdicts, the worst first.

        A component judges that says so by its `scales`, whatever it asks and whether or not it counts what that takes.
        """
        told = {part.name: getattr(part.component, "scales", None) or {} for part in self.components}
        return FrozenDict(
            {
                name: FrozenDict({criterion: tuple(scale) for criterion, scale in scales.items()})
                for name, scales in told.items()
                if scales
            }
        )

    @property
    def scoring_weights(self) -> Mapping[str, float]:
        """What an agent may know of the reward: each component's weight, and what an unsafe reply costs.

        That is all (1.0) in safety mode `gate` and with the reward `binary`.
        """
        safety = self.rubric.safety
        weights = {component.name: component.weight for component in self.components}
        if self.checks:
            costs_all = safety.mode == "gate" or self.rubric.reward == "binary"
            weights[UNSAFE_REPLY] = -1.0 if costs_all else 0.0 - safety.penalty
        return FrozenDict(weights)


def read_rubric(path: Path) -> Rubric:
    """Return the rubric in a TOML file; raises `RubricError` that names the file and the place in it."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise RubricError(f"Cannot read rubric file {path}: it is no UTF-8 text ({error.reason})") from error
    except (OSError, ValueError) as error:  # a ValueError: the path has a null character in it
        told = error.strerror if isinstance(error, OSError) else str(error)
        raise RubricError(f"Cannot read rubric file {path}: {told}. What is installed: supportbench rubrics") from error
    try:
        return codec.decode_toml(text, Rubric)
    except DecodeError as error:
        raise RubricError(f"Rubric file {path}: " + "; ".join(str(fault) for fault in error.faults)) from error


def resolve_rubric(registry: Registry, name: str) -> Rubric:
    """Return the rubric that a person means: the path of a `.toml` file, or a registered name.

    Words behind colons change it: `default:gate`, `mine.toml:penalty:binary`. It is then called so in results, too.

    Raises:
        RubricError: the file is no rubric, or there is nothing to be changed.
        UnknownNameError: nothing is called so.
    """
    if name in registry.rubrics:
        return registry.rubrics[name]
    source, colon, word = name.rpartition(":")
    if not colon or _is_file(name):
        return _rubric_at(registry, name)
    if word not in _CHANGES:
        if source.partition(":")[0] in registry.rubrics or _is_file(source.partition(":")[0]):
            raise RubricError(
                f"There is no rubric {name!r}: {word!r} does not change one. {did_you_mean(word, _CHANGES)}"
            )
        return _rubric_at(registry, name)
    return changed(resolve_rubric(registry, source), word)


def changed(rubric: Rubric, word: str) -> Rubric:
    """Return the rubric with that safety mode (`penalty`, `gate`) or kind of reward (`weighted`, `binary`).

    Where that is another one, the word is added to its name. Raises `RubricError` for a safety mode without checks.
    """
    if word in get_args(RewardKind):
        other = attrs.evolve(rubric, reward=cast(RewardKind, word))
    elif not rubric.safety.checks:
        raise RubricError(
            f"Rubric {rubric.name!r} asks for no safety check, so that {word!r} would change nothing. "
            "Leave it out, or give the rubric checks."
        )
    else:
        other = attrs.evolve(rubric, safety=attrs.evolve(rubric.safety, mode=cast(SafetyMode, word)))
    return rubric if other == rubric else attrs.evolve(other, name=f"{rubric.name}:{word}")


def _is_file(name: str) -> bool:
    return name.lower().endswith(".toml")


def _rubric_at(registry: Registry, name: str) -> Rubric:
    if _is_file(name):
        return read_rubric(Path(name))
    try:
        return registry.rubrics[name]
    except UnknownNameError as error:
        if Path(name).name != name or Path(name).exists():
            raise UnknownNameError(f"{error} If it is a file: the name of a rubric file ends in .toml.") from None
        raise


def bind(rubric: Rubric, registry: Registry) -> BoundRubric:
    """Bind a rubric to the registry's components and checks.

    Raises:
        RubricError: it uses what is not installed, or gives a component or check options that it does not take.
    """
    components, used = [], []
    for line in rubric.components:
        bound, record = _bound_component(rubric, line, registry)
        components.append(bound)
        used.append(record)
    checks, read = [], []
    for name in checks_of(rubric, registry):
        check, record = _bound_check(rubric, name, registry)
        checks.append(check)
        read.append(record)
    decisive = {
        "components": sorted(used, key=lambda record: str(record["as"])),
        "checks": read,
        "mode": rubric.safety.mode,
        "penalty": float(rubric.safety.penalty),
        "reward": rubric.reward,
    }
    return BoundRubric(
        rubric=rubric,
        components=tuple(components),
        checks=tuple(checks),
        fingerprint=codec.fingerprint(decisive),
    )


def _bound_component(
    rubric: Rubric, line: RubricComponent, registry: Registry
) -> tuple[BoundComponent, dict[str, Any]]:
    try:
        entry = registry.components.entry(line.use)
    except UnknownNameError as error:
        raise RubricError(f"Rubric {rubric.name!r} uses component {line.use!r}. {error}") from None
    try:
        component, options = configure(entry.value, line.options, f"component {line.use!r}")
    except OptionsError as error:
        raise RubricError(f"Rubric {rubric.name!r}, component {line.as_!r}: {error}") from error
    record = {
        "use": line.use,
        "as": line.as_,
        "weight": float(line.weight),
        "version": version_of(entry.value),
        "options": options,
        "data": data_fingerprint_of(component),
    }
    who = f"component {line.use!r} of plugin {entry.plugin.name!r}"
    return BoundComponent(name=line.as_, weight=line.weight, component=component, who=who), record


def _bound_check(rubric: Rubric, name: str, registry: Registry) -> tuple[BoundCheck, dict[str, Any]]:
    try:
        entry = registry.checks.entry(name)
    except UnknownNameError as error:
        raise RubricError(f"Rubric {rubric.name!r} asks for safety check {name!r}. {error}") from None
    try:
        check, options = configure(entry.value, rubric.safety.options.get(name, {}), f"safety check {name!r}")
    except OptionsError as error:
        raise RubricError(f"Rubric {rubric.name!r}: {error}") from error
    record: dict[str, Any] = {
        "name": name,
        "version": version_of(check),
        "data": data_fingerprint_of(check),
    }
    if options:  # a check that takes none is fingerprinted as it was before checks had any
        record["options"] = options
    return BoundCheck(name=name, check=check, who=f"safety check {name!r} of plugin {entry.plugin.name!r}"), record


def checks_of(rubric: Rubric, registry: Registry) -> list[str]:
    """Return the names of the checks that the rubric asks for, `"*"` expanded, sorted.

    Raises:
        RubricError: it has options for a check that is not installed.
    """
    named = rubric.safety.checks
    if ALL_CHECKS not in named:
        return sorted(named)
    for name in rubric.safety.options:
        if name not in registry.checks:
            told = did_you_mean(name, registry.checks)
            raise RubricError(
                f"Rubric {rubric.name!r} has options for safety check {name!r}, which is not installed. {told}"
            )
    return sorted({*registry.checks, *named} - {ALL_CHECKS})
