"""Where a judge is, from the environment: nothing of this decides a verdict."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, TypeVar

import attrs

from supportbench import EndpointConnection, EndpointError, EndpointVariables, Usage, answers_folder

T = TypeVar("T")

MODEL: Final = "SUPPORTBENCH_JUDGE_MODEL"
_OWN: Final = EndpointVariables(base_url=("SUPPORTBENCH_JUDGE_BASE_URL",), key=("SUPPORTBENCH_JUDGE_API_KEY",))
_TIMEOUT: Final = "SUPPORTBENCH_JUDGE_TIMEOUT"
_RETRIES: Final = "SUPPORTBENCH_JUDGE_RETRIES"
_CONCURRENCY: Final = "SUPPORTBENCH_JUDGE_CONCURRENCY"
_PRICE: Final = "SUPPORTBENCH_JUDGE_PRICE"
_KNOWN: Final = (MODEL, *_OWN.base_url, *_OWN.key, _TIMEOUT, _RETRIES, _CONCURRENCY, _PRICE)
VARIABLES: Final = (*_KNOWN, *EndpointVariables().names)


@attrs.frozen(kw_only=True)
class Price:
    """What a model's tokens cost, in US dollars a million."""

    input_usd: float
    output_usd: float

    def of(self, usage: Usage) -> Usage:
        """Return the usage with what it cost."""
        cost = (usage.input_tokens * self.input_usd + usage.output_tokens * self.output_usd) / 1e6
        return attrs.evolve(usage, cost_usd=cost)


@attrs.frozen(kw_only=True)
class Place:
    """Where the judge is and how it is reached; `cache` is the folder of its answers, None where none are kept."""

    connection: EndpointConnection
    timeout_s: float
    max_retries: int
    concurrency: int
    price: Price | None
    cache: Path | None

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Place:
        """Return what these variables say.

        A judge's address and key belong together: where either has a variable of its own, none of the agent's is
        looked at, so that no endpoint is sent the key of another.

        Raises:
            ValueError: a variable has an impossible value, or a key is missing; it says which.
        """
        for name in environ:
            if name.startswith("SUPPORTBENCH_JUDGE_") and name not in _KNOWN:
                raise ValueError(f"{name} says nothing to a judge; it knows {', '.join(_KNOWN)}")
        own = any(environ.get(name, "").strip() for name in (*_OWN.base_url, *_OWN.key))
        connection = EndpointConnection.from_environ(environ, _OWN if own else EndpointVariables())
        connection.check_url()
        try:
            connection.usable_key()
        except EndpointError as error:
            hint = "" if own else f". The judge may have its own: {_OWN.base_url[0]} and {_OWN.key[0]}"
            raise ValueError(f"{error}{hint}") from None
        return cls(
            connection=connection,
            timeout_s=_read(environ, _TIMEOUT, _seconds, default=60.0),
            max_retries=_read(environ, _RETRIES, _count, default=4),
            concurrency=_read(environ, _CONCURRENCY, _positive, default=16),
            price=_read(environ, _PRICE, _price, default=None),
            cache=answers_folder(environ),
        )


def _read(environ: Mapping[str, str], name: str, read: Callable[[str], T], *, default: T) -> T:
    text = environ.get(name, "").strip()
    if not text:
        return default
    try:
        return read(text)
    except (ValueError, KeyError) as error:
        raise ValueError(f"{name} is {text[:80]!r}; it must be {read.__doc__}") from error


def _seconds(text: str) -> float:
    """a number of seconds above 0"""
    value = float(text)
    if not 0 < value < math.inf:
        raise ValueError
    return value


def _count(text: str) -> int:
    """a whole number from 0"""
    value = int(text)
    if value < 0:
        raise ValueError
    return value


def _positive(text: str) -> int:
    """a whole number from 1"""
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def _price(text: str) -> Price | None:
    """US dollars for a million input and output tokens, like 0.15/0.60"""
    given, taken = (float(part) for part in text.split("/"))
    if not (0 <= given < math.inf and 0 <= taken < math.inf):
        raise ValueError
    return Price(input_usd=given, output_usd=taken)
