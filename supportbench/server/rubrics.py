"""Rubrics as a client may know them: what counts how much; never a rule, a phrase or an expected value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any

import attrs

from supportbench.errors import SupportbenchError
from supportbench.frozen import FrozenDict
from supportbench.models import Rubric
from supportbench.models.rubrics import ALL_CHECKS, RewardKind, SafetyMode
from supportbench.offers import version_of
from supportbench.registry import Catalogue, Registry
from supportbench.rubrics import BoundRubric, bind


@attrs.frozen(kw_only=True)
class ComponentCard:
    """A line of a rubric: which registered component (`use`) is reported under which name, and what it weighs.

    `plugin` and `version` are null where it is not installed.
    """

    name: str
    use: str
    weight: float
    options: Mapping[str, Any]
    plugin: str | None
    version: str | None


@attrs.frozen(kw_only=True)
class CheckCard:
    """A safety check of a rubric, with the options that it gives; `plugin` and `version` are null if not installed."""

    name: str
    options: Mapping[str, Any]
    plugin: str | None
    version: str | None


@attrs.frozen(kw_only=True)
class RubricDescription:
    """A rubric as it is applied here; `scoring_weights` are those that observations show.

    `plugin` is the one that offers it, null for a rubric from a file and for one that words behind its name change.

    `fingerprint` identifies all that decides a reward: results compare only where it agrees. Both are missing where the
    rubric does not fit what is installed: then `problem` says why.
    """

    name: str
    plugin: str | None
    fingerprint: str | None
    reward: RewardKind
    mode: SafetyMode
    penalty: float
    components: tuple[ComponentCard, ...]
    checks: tuple[CheckCard, ...]
    scoring_weights: Mapping[str, float]
    problem: str | None


@attrs.frozen(kw_only=True)
class Rubrics:
    """The rubrics of a server; `override` is the one that grades every task, null where each task has its own."""

    override: RubricDescription | None
    rubrics: tuple[RubricDescription, ...]

    @property
    def sound(self) -> bool:
        """Whether all of them fit what is installed."""
        return all(rubric.problem is None for rubric in self.rubrics)


def describe_rubrics(
    registry: Registry, override: Rubric | None, known: MutableMapping[str | None, RubricDescription] | None = None
) -> Rubrics:
    """Return what there is to know of the registry's rubrics, and of the one that overrides them.

    Those without a problem are put among the `known` ones (by name, the override under None) and taken from there:
    binding a rubric can take a tenth of a second.
    """
    found = {} if known is None else known

    def described(name: str | None, rubric: Rubric) -> RubricDescription:
        description = found.get(name) or describe_rubric(registry, rubric)
        if description.problem is None:
            found[name] = description
        return description

    return Rubrics(
        override=None if override is None else described(None, override),
        rubrics=tuple(described(rubric.name, rubric) for rubric in registry.rubrics.values()),
    )


def describe_rubric(registry: Registry, rubric: Rubric) -> RubricDescription:
    """Return what there is to know of a rubric; one that does not fit what is installed has a `problem`."""
    bound: BoundRubric | None = None
    problem = None
    try:
        bound = bind(rubric, registry)
    except SupportbenchError as error:
        problem = str(error)
    safety = rubric.safety
    checks: Iterable[str] = sorted(registry.checks if ALL_CHECKS in safety.checks else safety.checks)
    offered = registry.rubrics.entries.get(rubric.name)
    return RubricDescription(
        name=rubric.name,
        plugin=offered.plugin.name if offered is not None and offered.value == rubric else None,
        fingerprint=None if bound is None else bound.fingerprint,
        reward=rubric.reward,
        mode=safety.mode,
        penalty=safety.penalty,
        components=tuple(
            ComponentCard(
                name=line.as_,
                use=line.use,
                weight=line.weight,
                options=line.options,
                **_origin(registry.components, line.use),
            )
            for line in rubric.components
        ),
        checks=tuple(
            CheckCard(name=name, options=safety.options.get(name, {}), **_origin(registry.checks, name))
            for name in checks
        ),
        scoring_weights=FrozenDict() if bound is None else bound.scoring_weights,
        problem=problem,
    )


def _origin(offers: Catalogue[Any], name: str) -> dict[str, str | None]:
    if name not in offers:
        return {"plugin": None, "version": None}
    entry = offers.entry(name)
    return {"plugin": entry.plugin.name, "version": version_of(entry.value)}
