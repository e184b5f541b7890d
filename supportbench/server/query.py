"""Query strings, read as strictly as bodies: an attrs class says which parameters there are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final, TypeVar, get_type_hints
from urllib.parse import parse_qsl

import attrs
from litestar import Request

from supportbench import codec
from supportbench.errors import DecodeError, Fault
from supportbench.server.refusals import RefusedError, refusal_of
from supportbench.wording import did_you_mean

T = TypeVar("T")

_WHOLE_NUMBER: Final = re.compile(r"-?[0-9]{1,18}")
_MOST_PARAMETERS: Final = 100


def read_query(request: Request[Any, Any, Any], kind: type[T]) -> T:
    """Return the request's query as a value of an attrs class whose fields are strings and whole numbers.

    Raises:
        RefusedError: 422 naming each parameter that is unknown, given twice or impossible.
    """
    sent = request.scope["query_string"].decode("latin-1")
    try:
        pairs = parse_qsl(sent, keep_blank_values=True, max_num_fields=_MOST_PARAMETERS)
    except ValueError:
        raise _refused([Fault("", f"more than {_MOST_PARAMETERS} parameters")]) from None
    kinds = get_type_hints(kind)
    known = [field.name for field in attrs.fields(kind)]  # type: ignore[arg-type]
    faults: list[Fault] = []
    given: dict[str, object] = {}
    for name, text in pairs:
        if name not in known:
            faults.append(Fault(_shortened(name), f"unknown parameter. {did_you_mean(name, known)}"))
        elif name in given:
            faults.append(Fault(name, "given twice"))
        else:
            given[name] = int(text) if kinds[name] is int and _WHOLE_NUMBER.fullmatch(text) else text
    try:
        value = codec.structure(given, kind)
    except DecodeError as error:
        faults.extend(error.faults)
    if faults:
        raise _refused(faults)
    return value


def _refused(faults: Sequence[Fault]) -> RefusedError:
    return RefusedError(refusal_of(DecodeError(faults), where="query"))


def _shortened(name: str) -> str:
    return name if len(name) <= 80 else f"{name[:77]}..."
