"""The one converter between values and JSON: strict in, faithful out.

Nothing is coerced (`"7"` is no number, and neither is `true`), unknown keys are refused with a suggestion, and whatever
is wrong comes back as one `DecodeError` that names every place. `decode(encode(value), type(value)) == value`.
msgspec reads and writes the bytes; cattrs builds the values.
"""

from __future__ import annotations

import hashlib
import itertools
import tomllib
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, TypeVar, cast, get_args, get_origin

import attrs
import msgspec
from cattrs import Converter
from cattrs.cols import homogenous_tuple_structure_factory, is_mapping, mapping_structure_factory
from cattrs.errors import (
    BaseValidationError,
    ForbiddenExtraKeysError,
)
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from supportbench.decode_faults import faults_of
from supportbench.errors import DecodeError, Fault
from supportbench.errors.field import FieldError
from supportbench.models import ComponentGrade, Concept, Rubric, RubricComponent, SupportQueueAction, Ticket
from supportbench.models.fields import json_object
from supportbench.wording import did_you_mean

T = TypeVar("T")

_JSON_NAMES: Final = {
    dict: "an object",
    list: "a list",
    tuple: "a list",
    str: "a string",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    type(None): "null",
}
# Keys of the file formats that are no Python identifiers.
_RENAMED: Final[dict[type[Any], dict[str, str]]] = {Rubric: {"components": "component"}, RubricComponent: {"as_": "as"}}
# A ticket's lists that may be null where nothing is known.
_NULL_IS_EMPTY: Final = ("recent_events",)

_MOST_FAULTS: Final = 100

_Hook = Callable[[Any, Any], Any]


class _WrongTypeError(TypeError):
    """A JSON value of another type than the field has."""

    def __init__(self, wanted: str, value: object) -> None:
        super().__init__(f"expected {wanted}, got {_JSON_NAMES.get(type(value), type(value).__name__)}")


def decode(data: bytes | str, kind: type[T]) -> T:
    """Return the value of type `kind` that the JSON text describes.

    Raises:
        DecodeError: the bytes are no JSON, or do not describe such a value; nothing else is raised.
    """
    return structure(parse_json(data), kind)


def parse_json(data: bytes | str) -> Any:
    """Return the JSON text's value as dicts, lists, strings and numbers; raises `DecodeError` if it is none."""
    try:
        return msgspec.json.decode(data)
    except RecursionError:
        raise DecodeError([Fault("", "JSON nested too deeply")]) from None
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise DecodeError([Fault("", f"no valid JSON: {error}")]) from None


def decode_toml(text: str, kind: type[T]) -> T:
    """Return the value of type `kind` that the TOML text describes; raises `DecodeError` like `decode`."""
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise DecodeError([Fault("", f"no valid TOML: {error}")]) from None
    return structure(data, kind)


def structure(data: object, kind: type[T]) -> T:
    """Return the value of type `kind` that the dicts, lists and scalars mean; raises `DecodeError` like `decode`."""
    try:
        return _converter.structure(data, kind)
    except (BaseValidationError, ForbiddenExtraKeysError, ValueError, TypeError, KeyError) as error:
        raise DecodeError(itertools.islice(faults_of(error, _RENAMED), _MOST_FAULTS)) from None
    except RecursionError:
        raise DecodeError([Fault("", "nested too deeply")]) from None


def encode(value: object) -> bytes:
    """Return the value as compact JSON; floats are written shortest-exact, so that they read back bit for bit."""
    return msgspec.json.encode(unstructure(value), enc_hook=plain)


def plain(value: object) -> object:
    """Return a string or number of a subclass (numpy's, for instance) as a plain one."""
    for kind in (str, float, int):
        if isinstance(value, kind):
            return kind(value)
    raise TypeError(f"{type(value).__name__} is no JSON value")


def unstructure(value: object) -> Any:
    """Return the value as dicts, lists and scalars that JSON has."""
    return _converter.unstructure(value)


def fingerprint(value: object) -> str:
    """Return `sha256:` and the hash of the value's JSON with sorted keys; 8 and 8.0 are the same number."""
    canonical = msgspec.json.encode(_with_whole_numbers(unstructure(value)), order="sorted")
    return f"sha256:{hashlib.sha256(canonical).hexdigest()}"


def _with_whole_numbers(data: Any) -> Any:
    if isinstance(data, float) and data.is_integer():
        return int(data) if abs(data) < 2**53 else data
    if isinstance(data, Mapping):
        return {key: _with_whole_numbers(item) for key, item in data.items()}
    if isinstance(data, list | tuple):
        return [_with_whole_numbers(item) for item in data]
    return data


def json_schema(kind: type[Any]) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of an action, an observation, a state or another value of the wire."""
    (schema,), definitions = msgspec.json.schema_components([kind], ref_template="#/$defs/{name}")
    if Concept.__name__ in definitions:
        phrase = {"type": "string"}
        definitions[Concept.__name__] = {"anyOf": [phrase, {"type": "array", "items": phrase, "minItems": 1}]}
    for name, definition in definitions.items():
        if definition.get("type") == "object" and "properties" in definition:
            definitions[name] = {**definition, "additionalProperties": False}
    return {**schema, "$defs": definitions}


# -- strictness ---------------------------------------------------------------------------------------------------


def _exact(wanted: type[Any], name: str) -> _Hook:
    def structure_exactly(value: object, _: object) -> object:
        if type(value) is not wanted:
            raise _WrongTypeError(name, value)
        return value

    return structure_exactly


def _structure_float(value: object, _: object) -> float | int:
    if type(value) is not float and type(value) is not int:
        raise _WrongTypeError("a number", value)
    return value


def _structure_literal(value: object, kind: Any) -> object:
    allowed = get_args(kind)
    for candidate in allowed:
        if value == candidate and type(value) is type(candidate):
            return value
    if not isinstance(value, str):
        raise _WrongTypeError("a string", value)
    raise ValueError(f"not one of the allowed values. {did_you_mean(value, allowed)}")


def _structure_concept(value: object, _: object) -> Concept:
    phrases = (value,) if isinstance(value, str) else value
    if not isinstance(phrases, list | tuple):
        raise _WrongTypeError("a string or a list of strings", value)
    for phrase in phrases:
        if not isinstance(phrase, str):
            raise _WrongTypeError("a string", phrase)
    try:
        return Concept(phrases=tuple(phrases))
    except FieldError as error:  # a concept in a file is its phrases: there is no such field
        raise ValueError(error.problem) from None


def _is_literal(kind: Any) -> bool:
    return get_origin(kind) is Literal


def _is_list(kind: Any) -> bool:
    return get_origin(kind) is tuple and get_args(kind)[1:] == (Ellipsis,)


def _checked(wanted: str, accepted: type[Any] | tuple[type[Any], ...], hook: _Hook) -> _Hook:
    """Return the hook behind a check of the JSON value's type, lest a string pass as a list of letters."""

    def structure_checked(value: object, kind: Any) -> object:
        if not isinstance(value, accepted):
            raise _WrongTypeError(wanted, value)
        return hook(value, kind)

    return structure_checked


def _list_hook(kind: Any, converter: Converter) -> _Hook:
    return _checked("a list", (list, tuple), homogenous_tuple_structure_factory(kind, converter))


def _object_hook(kind: Any, converter: Converter) -> _Hook:
    if get_args(kind) == (str, Any):
        return _checked("an object", Mapping, lambda value, _: json_object(value))
    return _checked("an object", Mapping, mapping_structure_factory(kind, converter, structure_to=dict))


def _in_range(field: attrs.Attribute[Any], converter: Converter) -> _Hook:
    """Return the hook of a field that is validated: the class would say no more than what is wrong with the first."""

    convert, validate = cast(Any, field.converter), cast(Any, field.validator)

    def structure_in_range(value: object, kind: Any) -> object:
        made = converter.structure(value, kind)
        try:
            validate(None, field, made if convert is None else convert(made))
        except FieldError as error:
            raise ValueError(error.problem) from None
        except (TypeError, ValueError, AttributeError):
            pass  # it wants the whole object, which the class gives it
        return made

    return structure_in_range


def _null_as_empty(hook: _Hook) -> _Hook:
    return lambda value, kind: () if value is None else hook(value, kind)


def _class_hook(kind: type[Any], converter: Converter) -> _Hook:
    attrs.resolve_types(kind)
    keys = _RENAMED.get(kind, {})
    hooks = {field.name: _in_range(field, converter) for field in attrs.fields(kind) if field.validator}
    for name in _NULL_IS_EMPTY if issubclass(kind, Ticket) else ():
        hooks[name] = _null_as_empty(converter.get_structure_hook(tuple[str, ...]))
    overrides = {name: override(struct_hook=hooks.get(name), rename=keys.get(name)) for name in hooks | keys}
    return _checked("an object", Mapping, make_dict_structure_fn(kind, converter, **overrides))  # type: ignore[arg-type]


def _action_hook(converter: Converter) -> _Hook:
    """Return the hook for actions, of which each step reads one: the class checks its values itself, and as strictly.

    So it is tried first (1.3 µs); the generated hook (2.8 µs) reads what the class refuses, and says where it is wrong.
    """
    carefully = _class_hook(SupportQueueAction, converter)

    def structure_action(value: object, kind: Any) -> object:
        if type(value) is dict:
            try:
                return SupportQueueAction(**value)
            except FieldError as error:
                if error.field == "metadata":  # too large to be looked at twice
                    raise DecodeError([Fault(error.field, error.problem)]) from None
            except (TypeError, ValueError):
                pass
        return carefully(value, kind)

    return structure_action


def _class_to_dict(kind: type[Any], converter: Converter) -> Any:
    overrides = {name: override(rename=key) for name, key in _RENAMED.get(kind, {}).items()}
    if kind is ComponentGrade:
        overrides["details"] = override(omit_if_default=True)  # what is not shown is not mentioned
    return make_dict_unstructure_fn(kind, converter, **overrides)  # type: ignore[arg-type]


def _new_converter() -> Converter:
    converter = Converter(forbid_extra_keys=True, detailed_validation=True)
    converter.register_structure_hook(str, _exact(str, "a string"))
    converter.register_structure_hook(bool, _exact(bool, "a boolean"))
    converter.register_structure_hook(int, _exact(int, "a whole number"))
    converter.register_structure_hook(float, _structure_float)
    converter.register_structure_hook_func(_is_literal, _structure_literal)
    converter.register_structure_hook_factory(_is_list, _list_hook)
    converter.register_structure_hook_factory(is_mapping, _object_hook)
    converter.register_structure_hook_factory(attrs.has, _class_hook)
    converter.register_structure_hook(Concept, _structure_concept)
    converter.register_structure_hook_func(lambda kind: kind is SupportQueueAction, _action_hook(converter))
    converter.register_unstructure_hook_factory(attrs.has, _class_to_dict)
    converter.register_unstructure_hook(Concept, lambda concept: list(concept.phrases))
    return converter


_converter: Final = _new_converter()
