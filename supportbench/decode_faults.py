"""From what cattrs raises to what a person is told: each fault with its place in the data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import attrs
from cattrs.errors import (
    AttributeValidationNote,
    BaseValidationError,
    ForbiddenExtraKeysError,
    IterableValidationNote,
)

from supportbench.errors import DecodeError, Fault
from supportbench.errors.field import FieldError
from supportbench.wording import did_you_mean


def faults_of(error: BaseException, renamed: Mapping[type[Any], Mapping[str, str]], path: str = "") -> Iterator[Fault]:
    """Yield everything that was wrong with a value that cattrs could not build; `renamed` has keys of the files."""
    if isinstance(error, DecodeError):
        for fault in error.faults:
            yield Fault(_join(path, fault.path), fault.message)
    elif isinstance(error, BaseValidationError):
        keys = renamed.get(getattr(error, "cl", object), {})
        for inner in error.exceptions:
            yield from faults_of(inner, renamed, path + _place(inner, keys))
    elif isinstance(error, ForbiddenExtraKeysError):
        keys = renamed.get(error.cl, {})
        known = [keys.get(field.name, field.name) for field in attrs.fields(error.cl)] if error.cl else []
        for key in sorted(map(str, error.extra_fields)):
            yield Fault(_join(path, _shortened(key)), f"unknown key. {did_you_mean(key, known)}")
    elif isinstance(error, FieldError):
        yield Fault(_join(path, error.field), error.problem)
    elif isinstance(error, KeyError):
        yield Fault(path.removeprefix("."), "required, but missing")
    else:
        yield Fault(path.removeprefix("."), str(error) or type(error).__name__)


def _place(error: BaseException, keys: Mapping[str, str]) -> str:
    for note in getattr(error, "__notes__", ()):
        if isinstance(note, AttributeValidationNote):
            return f".{keys.get(note.name, note.name)}"
        if isinstance(note, IterableValidationNote):
            return f"[{note.index}]" if isinstance(note.index, int) else f".{_shortened(str(note.index))}"
    return ""


def _join(path: str, key: str) -> str:
    return f"{path}{'' if key.startswith('[') or not key else '.'}{key}".removeprefix(".")


def _shortened(key: str) -> str:
    return key if len(key) <= 80 else f"{key[:77]}..."
