"""Where an OpenAI-compatible endpoint is, and the key that opens it."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

import attrs

DEFAULT_BASE_URL: Final = "https://api.openai.com/v1"
_KEY_VARIABLES: Final = ("API_KEY", "HF_TOKEN", "OPENAI_API_KEY")
_URL_VARIABLES: Final = ("API_BASE_URL", "OPENAI_BASE_URL")


class EndpointError(Exception):
    """The endpoint gave no answer of the model; the message says why, without the key."""


@attrs.frozen(kw_only=True)
class Connection:
    """Where the endpoint is and what opens it. The key is in no repr."""

    base_url: str = DEFAULT_BASE_URL
    key: str | None = attrs.field(default=None, repr=False)
    key_variable: str | None = None

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Connection:
        """Return what these variables say: `API_BASE_URL` or `OPENAI_BASE_URL`, `API_KEY`, `HF_TOKEN` or
        `OPENAI_API_KEY`; of each the first that is set.
        """
        base_url = next(filter(None, (environ.get(name, "").strip() for name in _URL_VARIABLES)), DEFAULT_BASE_URL)
        for name in _KEY_VARIABLES:
            key = environ.get(name, "").strip()
            if key:
                return cls(base_url=base_url, key=key, key_variable=name)
        return cls(base_url=base_url)

    def check_url(self) -> None:
        """Raise `ValueError` unless the base URL is one that a request can be sent to and that holds no secret."""
        try:
            parts = urlsplit(self.base_url)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable:
            raise ValueError("the base URL (base_url, API_BASE_URL) must look like https://host/v1")
        if parts.username or parts.password or parts.query:
            raise ValueError("the base URL (base_url, API_BASE_URL) must hold no credentials; they belong in API_KEY")

    def usable_key(self) -> str:
        """Return the key to send, a placeholder where an endpoint on this machine needs none.

        Raises:
            EndpointError: a key is needed and there is none, or it cannot be sent.
        """
        if self.key is None:
            if self._is_local:
                return "none"
            raise EndpointError(
                f"there is no key for {self.base_url}: set API_KEY, HF_TOKEN or OPENAI_API_KEY; "
                "any value will do where the endpoint asks for none"
            )
        if not (self.key.isascii() and self.key.isprintable() and " " not in self.key):
            raise EndpointError(f"the key in {self.key_variable} has blanks or other characters that no key has")
        return self.key

    @property
    def key_origin(self) -> str:
        """Where the key comes from, for messages."""
        return f"the key in {self.key_variable}" if self.key else "a request without a key; set API_KEY"

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
