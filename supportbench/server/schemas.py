"""JSON Schemas (2020-12) of what the wire carries: the codec's, with limits, descriptions and the installed vocabulary.

A property's limits come from the validator of its field, so that they cannot differ from what is accepted; what no
validator says stands in `schemas.toml`.
"""

from __future__ import annotations

import inspect
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from importlib.resources import files
from typing import Any, Final, get_args, get_type_hints

import attrs

from supportbench import codec
from supportbench.errors import ProviderError, boundary
from supportbench.models import SupportQueueAction, SupportQueueObservation, SupportQueueState, Taxonomy, fields
from supportbench.registry import Registry

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_DEFS: Final = "#/$defs/"
_COMPONENTS: Final = "#/components/schemas/"
_ITSELF: Final = ""
"""The key of `schemas.toml` that describes a class itself."""

_LIMITS: Final[Mapping[Any, Mapping[str, Any]]] = {
    fields.name: {"minLength": 1, "maxLength": 255, "pattern": r"\S"},
    fields.count: {"minimum": 0, "maximum": fields.LARGEST},
    fields.unit: {"minimum": 0, "maximum": 1},
    fields.amount: {"minimum": 0},
}


@attrs.frozen(kw_only=True)
class EnvironmentSchemas:
    """The answer of `GET /schema`: each a JSON Schema (2020-12) that refers to nothing outside itself."""

    action: Mapping[str, Any]
    observation: Mapping[str, Any]
    state: Mapping[str, Any]
    reset_observation: Mapping[str, Any]


class Schemas:
    """The schemas of a server with this registry; made when they are first asked for, and then kept.

    An action's priority, queue and disposition are those of any installed taxonomy. As long as a provider fails to name
    its taxonomies, everything here that concerns actions raises `ProviderError`.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    @cached_property
    def of_environment(self) -> EnvironmentSchemas:
        """What OpenEnv's `GET /schema` answers; an observation is as clients put it together, with reward and done."""
        observation = self.alone(SupportQueueObservation)
        return EnvironmentSchemas(
            action=self.alone(SupportQueueAction),
            observation=observation,
            state=self.alone(SupportQueueState),
            reset_observation=observation,
        )

    def alone(self, kind: type[Any]) -> dict[str, Any]:
        """Return the schema of an attrs class, with everything that it refers to in its `$defs`."""
        definitions = self._definitions(kind)
        itself = definitions.pop(kind.__name__)
        return {"$schema": DIALECT, **itself, **({"$defs": definitions} if definitions else {})}

    def component(self, kind: Any, components: dict[str, Any]) -> dict[str, Any]:
        """Return the schema of any type the way OpenAPI has it; what it refers to is added to the components."""
        if kind is Any:
            return {}
        for name, definition in self._definitions(kind).items():
            components[name] = _referring(definition, _COMPONENTS)
        schema = {key: value for key, value in codec.json_schema(kind).items() if key != "$defs"}
        referring: dict[str, Any] = _referring(schema, _COMPONENTS)
        return referring

    def properties(self, kind: type[Any]) -> Mapping[str, Any]:
        """Return the schemas of an attrs class's fields."""
        properties: Mapping[str, Any] = self._definitions(kind)[kind.__name__]["properties"]
        return properties

    @cached_property
    def _vocabulary(self) -> Mapping[str, tuple[str, ...]]:
        """What any installed taxonomy allows in an action's fields, in the order of providers."""
        taxonomies = [taxonomy for provider in self._registry.providers.values() for taxonomy in _taxonomies(provider)]
        named = {"priority": "priorities", "queue": "queues", "disposition": "dispositions"}
        return {
            field: tuple(dict.fromkeys(value for taxonomy in taxonomies for value in getattr(taxonomy, plural)))
            for field, plural in named.items()
        }

    def _definitions(self, kind: Any) -> dict[str, Any]:
        classes = {found.__name__: found for found in _attrs_classes(kind, set())}
        definitions = codec.json_schema(kind)["$defs"]
        return {name: self._enriched(definition, classes[name]) for name, definition in definitions.items()}

    def _enriched(self, definition: dict[str, Any], kind: type[Any]) -> dict[str, Any]:
        told = _told().get(kind.__name__, {})
        properties = {}
        for field in attrs.fields(kind):
            schema = _limited(definition["properties"][field.name], _limits_of(field))
            more = told.get(field.name, {})
            schema = _limited(schema, {key: value for key, value in more.items() if key != "description"})
            if kind is SupportQueueAction and self._vocabulary.get(field.name):
                schema = {**schema, "enum": list(self._vocabulary[field.name])}
            properties[field.name] = {**schema, **({"description": more["description"]} if more else {})}
        docstring = {"description": inspect.cleandoc(kind.__doc__ or "")}
        return {**definition, **docstring, **told.get(_ITSELF, {}), "properties": properties}


@cache
def _told() -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
    """What `schemas.toml` says, class → field → keywords."""
    table = tomllib.loads((files("supportbench.server") / "schemas.toml").read_text(encoding="utf-8"))
    return {
        kind: {name: {"description": more} if isinstance(more, str) else more for name, more in told.items()}
        for kind, told in table.items()
    }


def _taxonomies(provider: Any) -> tuple[Taxonomy, ...]:
    with boundary(ProviderError, f"task provider {provider.name!r}", "its taxonomies"):
        taxonomies = tuple(provider.taxonomies())
        for taxonomy in taxonomies:
            if not isinstance(taxonomy, Taxonomy):
                told = type(taxonomy).__name__
                raise ProviderError(f"Task provider {provider.name!r} must give each Taxonomy, not a {told}")
    return taxonomies


def _attrs_classes(kind: Any, seen: set[type[Any]]) -> Iterator[type[Any]]:
    if isinstance(kind, type) and attrs.has(kind) and kind not in seen:
        seen.add(kind)
        yield kind
        for inner in get_type_hints(kind).values():
            yield from _attrs_classes(inner, seen)
    for argument in get_args(kind):
        yield from _attrs_classes(argument, seen)


def _limits_of(field: attrs.Attribute[Any]) -> Mapping[str, Any]:
    validator = getattr(field.validator, "validator", field.validator)  # what `optional` wraps
    return _LIMITS.get(validator, {})


def _limited(schema: Mapping[str, Any], limits: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema with these keywords, within that branch which is not null."""
    if not limits or "anyOf" not in schema:
        return {**schema, **limits}
    branches = [branch if branch == {"type": "null"} else {**branch, **limits} for branch in schema["anyOf"]]
    return {**schema, "anyOf": branches}


def _referring(schema: Any, where: str) -> Any:
    """Return the schema with its references pointing there."""
    if isinstance(schema, Mapping):
        return {
            key: f"{where}{value.removeprefix(_DEFS)}" if key == "$ref" else _referring(value, where)
            for key, value in schema.items()
        }
    return [_referring(item, where) for item in schema] if isinstance(schema, list) else schema
