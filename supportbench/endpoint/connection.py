"""Where an OpenAI-compatible endpoint is, and the key that opens it."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

import attrs

from supportbench.endpoint.kept_answers import AGENT_CACHE, CACHE, CACHE_DIR
from supportbench.endpoint.prices import VARIABLE as PRICES
from supportbench.endpoint.prices import Prices
from supportbench.errors import EndpointError

DEFAULT_BASE_URL: Final = "https://api.openai.com/v1"


@attrs.frozen(kw_only=True)
class EndpointVariables:
    """The environment variables that say where an endpoint is and what opens it; of each the first that is set."""

    base_url: tuple[str, ...] = ("API_BASE_URL", "OPENAI_BASE_URL")
    key: tuple[str, ...] = ("API_KEY", "HF_TOKEN", "OPENAI_API_KEY")

    @property
    def names(self) -> tuple[str, ...]:
        """All variables that whoever asks a model reads: where it is, what opens it, prices, and answers to keep."""
        return *self.base_url, *self.key, PRICES, CACHE, AGENT_CACHE, CACHE_DIR


AGENTS_VARIABLES: Final = EndpointVariables()


@attrs.frozen(kw_only=True)
class EndpointConnection:
    """Where the endpoint is, what opens it, and the prices that are known there. The key is in no repr."""

    base_url: str = DEFAULT_BASE_URL
    key: str | None = attrs.field(default=None, repr=False)
    key_variable: str | None = None
    variables: EndpointVariables = attrs.field(default=AGENTS_VARIABLES, repr=False)
    prices: Prices = attrs.field(factory=lambda: Prices.from_environ({}), repr=False, eq=False)

    @classmethod
    def from_environ(
        cls, environ: Mapping[str, str], variables: EndpointVariables = AGENTS_VARIABLES
    ) -> EndpointConnection:
        """Return what these variables say; unless told otherwise `API_BASE_URL` or `OPENAI_BASE_URL`, and `API_KEY`,
        `HF_TOKEN` or `OPENAI_API_KEY`.
        """
        given = filter(None, (environ.get(name, "").strip() for name in variables.base_url))
        prices = Prices.from_environ(environ)
        connection = cls(base_url=next(given, DEFAULT_BASE_URL), variables=variables, prices=prices)
        for name in variables.key:
            key = environ.get(name, "").strip()
            if key:
                return attrs.evolve(connection, key=key, key_variable=name)
        return connection

    def check_url(self) -> None:
        """Raise `ValueError` unless the base URL is one that a request can be sent to and that holds no secret."""
        try:
            parts = urlsplit(self.base_url)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        told = f"the base URL (base_url, {self.variables.base_url[0]})"
        if not usable:
            raise ValueError(f"{told} must look like https://host/v1")
        if parts.username or parts.password or parts.query:
            raise ValueError(f"{told} must hold no credentials; they belong in {self.variables.key[0]}")

    def usable_key(self) -> str:
        """Return the key to send, a placeholder where an endpoint on this machine needs none.

        Raises:
            EndpointError: a key is needed and there is none, or it cannot be sent.
        """
        if self.key is None:
            if self._is_local:
                return "none"
            *others, last = self.variables.key
            told = f"{', '.join(others)} or {last}" if others else last
            raise EndpointError(
                f"there is no key for {self.base_url}: set {told}; any value will do where the endpoint asks for none",
                reason="no key",
            )
        if not (self.key.isascii() and self.key.isprintable() and " " not in self.key):
            raise EndpointError(
                f"the key in {self.key_variable} has blanks or other characters that no key has", reason="no key"
            )
        return self.key

    @property
    def key_origin(self) -> str:
        """Where the key comes from, for messages."""
        return (
            f"the key in {self.key_variable}" if self.key else f"a request without a key; set {self.variables.key[0]}"
        )

    def without_key(self, text: str) -> str:
        """Return the text with the key, which some endpoints repeat in their errors, blacked out."""
        return text.replace(self.key, "[key]") if self.key else text

    @property
    def _is_local(self) -> bool:
        host = urlsplit(self.base_url).hostname or ""
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost" or host.endswith(".localhost")
