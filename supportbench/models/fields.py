"""Checks and conversions that the fields of the models share."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

import attrs
from attrs.validators import deep_iterable

from supportbench.errors.field import FieldError
from supportbench.frozen import FrozenDict
from supportbench.wording import shown

_DEEPEST: Final = 64
_INT64: Final = 1 << 63
_MOST_VALUES: Final = 4096
LARGEST: Final = _INT64 - 1
"""The largest whole number that a field may hold."""


def text(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Text that can be written as UTF-8 (a lone surrogate cannot, and would break every file and wire after it)."""
    if not isinstance(value, str):
        raise FieldError(attribute.name, f"must be a string, not {type(value).__name__}")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise FieldError(attribute.name, "must be valid Unicode, without lone surrogates") from None


def name(instance: object, attribute: attrs.Attribute[Any], value: str) -> None:
    """Text of 1 to 255 characters that is not blank."""
    text(instance, attribute, value)
    if not value.strip():
        raise FieldError(attribute.name, "must not be empty")
    if len(value) > 255:
        raise FieldError(attribute.name, f"must have at most 255 characters, it has {len(value)}")


def unit(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """A number in [0, 1]; a boolean is no number, and neither is NaN."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FieldError(attribute.name, f"must be a number, not {type(value).__name__}")
    if not 0.0 <= value <= 1.0:
        raise FieldError(attribute.name, f"must be in [0, 1], it is {shown(value)}")


def count(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """A whole number from 0 up."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise FieldError(attribute.name, f"must be a whole number, not {type(value).__name__}")
    if not 0 <= value < _INT64:
        raise FieldError(attribute.name, "must be from 0 to 2^63-1")


def amount(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """A finite number from 0 up."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FieldError(attribute.name, f"must be a number, not {type(value).__name__}")
    if not 0.0 <= value < math.inf:
        raise FieldError(attribute.name, f"must be finite and not negative, it is {shown(value)}")


def shares(instance: object, attribute: attrs.Attribute[Any], value: Mapping[str, float]) -> None:
    """Numbers in [0, 1] under any names."""
    for credit in value.values():
        unit(instance, attribute, credit)


def strings(values: Iterable[str] | None) -> tuple[str, ...]:
    """A tuple of what was given; one string is refused, since it would come apart into letters."""
    if values is None:
        return ()
    if isinstance(values, str):
        raise TypeError("a list of strings is wanted, not one string")
    return tuple(values)


def distinct(instance: object, attribute: attrs.Attribute[Any], value: tuple[str, ...]) -> None:
    """No item twice."""
    seen: set[str] = set()
    for item in value:
        if item in seen:
            raise FieldError(attribute.name, f"has {shown(item)} twice", "has an item twice")
        seen.add(item)


def plain_text(value: str) -> str:
    """The text as a plain string: a subclass may compare as it likes, and cannot be written as JSON."""
    return str.__str__(value) if isinstance(value, str) and type(value) is not str else value


def writable_text(value: str) -> str:
    """The text with whatever UTF-8 cannot write (lone surrogates) escaped; for messages, which must not be lost."""
    return value.encode("utf-8", "backslashreplace").decode()


def plain_number(value: float) -> float:
    """The number as a plain one: numpy's float64 is a subclass of float, for instance."""
    return float(value) if isinstance(value, float) and type(value) is not float else value


def vocabulary(instance: object, attribute: attrs.Attribute[Any], value: tuple[str, ...]) -> None:
    """At least one name, none twice."""
    if not value:
        raise FieldError(attribute.name, "must not be empty")
    for item in value:
        name(instance, attribute, item)
    distinct(instance, attribute, value)


def _frozen_json(value: object, depth: int = 0) -> Any:
    if depth > _DEEPEST:
        raise ValueError(f"nested deeper than {_DEEPEST} levels")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        if not -_INT64 <= value < _INT64:
            raise ValueError("an integer does not fit into 64 bits")
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError("a number is not finite")
        return float(value)
    if isinstance(value, str):
        value.encode()  # a UnicodeEncodeError is a ValueError
        return str.__str__(value)
    if isinstance(value, Mapping):
        return FrozenJson({_json_key(key): _frozen_json(item, depth + 1) for key, item in value.items()})
    if isinstance(value, list | tuple):
        return tuple(_frozen_json(item, depth + 1) for item in value)
    raise TypeError(f"{type(value).__name__} is no JSON value")


def _json_key(key: object) -> str:
    if not isinstance(key, str):
        raise TypeError(f"a key must be a string, not {type(key).__name__}")
    key.encode()
    return str.__str__(key)


class FrozenJson(FrozenDict[str, Any]):
    """A JSON object that is known to be frozen through and through."""

    __slots__ = ()


EMPTY: Final = FrozenJson()


def json_object(value: Mapping[str, Any]) -> FrozenJson:
    """A JSON object, frozen through and through, so that no plugin can change what another one sees."""
    if type(value) is FrozenJson:
        return value
    if not isinstance(value, Mapping):
        raise TypeError(f"a mapping is wanted, not {type(value).__name__}")
    frozen: FrozenJson = _frozen_json(value) if value else EMPTY
    return frozen


def metadata(value: Mapping[str, Any]) -> FrozenJson:
    """A JSON object of at most 4,096 values at all its levels together: a client leaves it with a server."""
    if not value:
        return json_object(value)
    open_values: list[object] = [value]
    for count, item in enumerate(open_values, start=1):
        if count > _MOST_VALUES:
            raise FieldError("metadata", f"must have at most {_MOST_VALUES} values, at all levels together")
        if isinstance(item, Mapping):
            open_values.extend(itertools.islice(item.values(), _MOST_VALUES))
        elif isinstance(item, list | tuple):
            open_values.extend(item[:_MOST_VALUES])
    return json_object(value)


def json_objects(values: Iterable[Mapping[str, Any]]) -> tuple[FrozenJson, ...]:
    """JSON objects, each frozen."""
    return tuple(map(json_object, values))


text_items: Final = deep_iterable(member_validator=text)
name_items: Final = deep_iterable(member_validator=name)
