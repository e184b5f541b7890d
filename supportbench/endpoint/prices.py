"""What a model's tokens cost, where that is known: from a file that anyone can edit (`prices.toml`)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Final, Self

import attrs
from attrs import field

from supportbench import codec
from supportbench.errors import DecodeError, SettingsError
from supportbench.models import Usage, fields

VARIABLE: Final = "SUPPORTBENCH_PRICES"
"""The variable that names a file of prices of one's own."""

_DATE: Final = re.compile(r"-\d{4}-\d{2}-\d{2}$")
_MILLION: Final = 1_000_000


@attrs.frozen(kw_only=True)
class Price:
    """What a model costs at an endpoint, in US dollars for a million tokens of each kind."""

    endpoint: str
    model: str
    input: float = field(validator=fields.amount)
    output: float = field(validator=fields.amount)


@attrs.frozen(kw_only=True)
class PriceFile:
    """A file of prices: a table `[[price]]` for each."""

    price: tuple[Price, ...]


class Prices:
    """The prices that are known; of two for the same model at the same endpoint, the first."""

    def __init__(self, prices: Iterable[Price]) -> None:
        self._of: dict[tuple[str, str], Price] = {}
        for price in prices:
            self._of.setdefault((price.endpoint.rstrip("/"), price.model), price)

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Return the prices that ship, behind those in the file that `SUPPORTBENCH_PRICES` names.

        Raises:
            SettingsError: that file cannot be read; the message names the place.
        """
        path = environ.get(VARIABLE, "").strip()
        return cls((*_read(Path(path)), *_shipped()) if path else _shipped())

    def cost_usd(self, endpoint: str, model: str, usage: Usage) -> float | None:
        """Return what the tokens cost in US dollars, None where no price is known.

        Tokens that the endpoint has cached count like others, so that this is the most that it can have been.
        """
        base = endpoint.rstrip("/")
        price = self._of.get((base, model)) or self._of.get((base, _DATE.sub("", model)))
        if price is None:
            return None
        return (usage.input_tokens * price.input + usage.output_tokens * price.output) / _MILLION


@cache
def _shipped() -> tuple[Price, ...]:
    text = (files(__package__) / "prices.toml").read_text(encoding="utf-8")
    return codec.decode_toml(text, PriceFile).price


def _read(path: Path) -> tuple[Price, ...]:
    try:
        return codec.decode_toml(path.read_text(encoding="utf-8"), PriceFile).price
    except OSError as error:
        raise SettingsError(f"{VARIABLE} names {path}, which cannot be read: {error.strerror}") from error
    except (DecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{VARIABLE} names {path}, which is no file of prices: {error}") from error
