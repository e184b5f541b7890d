"""Rubrics: named recipes for the reward."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

import attrs
from attrs import field
from attrs.validators import deep_iterable, in_, instance_of, min_len

from supportbench.errors.field import FieldError
from supportbench.models import fields

SafetyMode = Literal["penalty", "gate"]
RewardKind = Literal["weighted", "binary"]

ALL_CHECKS: Final = "*"
"""Stands for every safety check that is installed."""


@attrs.frozen(kw_only=True)
class RubricComponent:
    """One line of a rubric: which registered component (`use`), reported `as_` which name, with which weight."""

    use: str = field(validator=fields.name)
    weight: float = field(validator=fields.unit)
    as_: str = field(default=attrs.Factory(lambda self: self.use, takes_self=True), validator=fields.name)
    options: Mapping[str, Any] = field(default=fields.EMPTY, converter=fields.json_object)


def _each_an_object(instance: object, attribute: attrs.Attribute[Any], value: Mapping[str, Any]) -> None:
    for name, options in value.items():
        if not isinstance(options, Mapping):
            raise FieldError(attribute.name, f"must have an object for {name!r}, not {type(options).__name__}")


@attrs.frozen(kw_only=True)
class SafetyPolicy:
    """Which checks read the reply ("*" for all that are installed), with which `options`, and what an unsafe one costs.

    `penalty` mode takes `penalty` off the reward, once; `gate` mode makes the reward 0.
    """

    checks: tuple[str, ...] = field(
        default=(), converter=fields.strings, validator=[fields.name_items, fields.distinct]
    )
    mode: SafetyMode = field(default="penalty", validator=in_(("penalty", "gate")))
    penalty: float = field(default=0.10, validator=fields.unit)
    options: Mapping[str, Mapping[str, Any]] = field(
        default=fields.EMPTY, converter=fields.json_object, validator=_each_an_object
    )

    def __attrs_post_init__(self) -> None:
        for name in self.options:
            if name not in self.checks and ALL_CHECKS not in self.checks:
                raise ValueError(
                    f"options are given for safety check {name!r}, which is not asked for: name it in 'checks', or "
                    "leave them out"
                )


def _rubric_components(values: Iterable[RubricComponent]) -> tuple[RubricComponent, ...]:
    return tuple(values)


@attrs.frozen(kw_only=True)
class Rubric:
    """A named recipe for the reward. The weights sum to 1 (±1e-9).

    `reward` is `weighted` (the weighted mean of the scores less the penalty) or `binary` (1 when every component that
    applies is full and the reply is safe, else 0).
    """

    name: str = field(validator=fields.name)
    components: tuple[RubricComponent, ...] = field(
        converter=_rubric_components, validator=[min_len(1), deep_iterable(instance_of(RubricComponent))]
    )
    safety: SafetyPolicy = SafetyPolicy()
    reward: RewardKind = field(default="weighted", validator=in_(("weighted", "binary")))

    def __attrs_post_init__(self) -> None:
        names = [component.as_ for component in self.components]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"rubric {self.name!r} reports two components as {name!r}; give one another 'as'")
        total = math.fsum(component.weight for component in self.components)
        if abs(total - 1.0) > 1e-9:
            raise ValueError(f"the weights of rubric {self.name!r} must sum to 1, they sum to {total:g}")


@attrs.frozen(kw_only=True)
class RubricCard:
    """A rubric as results name it: two results compare only when task and rubric fingerprints agree."""

    name: str
    fingerprint: str
