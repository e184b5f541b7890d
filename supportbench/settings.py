"""Settings, read once from a mapping of environment variables by the program that starts everything."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Literal, Self, get_args

import attrs
from attrs import field
from attrs.validators import in_

from supportbench.errors import SettingsError
from supportbench.wording import did_you_mean

Feedback = Literal["scores", "full", "none"]
"""How much of a grade an agent sees: each component's score and the findings; also expected values; nothing."""

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["auto", "json", "text"]
"""`auto` is text on a terminal and JSON lines elsewhere."""

Mode = Literal["simulation", "production"]
"""OpenEnv's modes: a server in production hides reset, step and state over HTTP."""

# The only places where the core names what a plugin offers, so that installing a pack changes neither.
DEFAULT_PROVIDER: Final = "triage"
DEFAULT_AGENT: Final = "heuristic"
_PREFIX: Final = "SUPPORTBENCH_"
_MODE_VARIABLE: Final = "OPENENV_MODE"
_MIB: Final = 1 << 20
_YEAR_S: Final = 365 * 86_400


def split_names(text: str) -> tuple[str, ...]:
    """Return the names in a comma-separated list, each once."""
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def _flag(text: str) -> bool:
    try:
        return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}[text.strip().lower()]
    except KeyError:
        raise ValueError("It must be true or false.") from None


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError("It must be a whole number.") from None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError("It must be a number.") from None


def _token_names(text: str) -> tuple[str, ...]:
    tokens = split_names(text)
    if not tokens:
        raise ValueError("It names no token; leave it unset for a server that asks for none.")
    return tokens


def _within(least: float, most: float = math.inf, *, above: bool = False) -> Callable[[object, object, float], None]:
    """Return a validator of numbers from `least`, or `above` it, to `most`."""
    begin = f"above {least}" if above else f"from {least}" if most < math.inf else f"at least {least}"
    told = f"It must be {begin} to {most}." if most < math.inf else f"It must be {begin}."
    if above and most < math.inf:
        told = f"It must be {begin} and at most {most}."

    def check(instance: object, attribute: object, value: float) -> None:
        if not (least < value if above else least <= value) or not value <= most:
            raise SettingsError(told)

    return check


def _one_of(kind: Any) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in get_args(kind):
            raise ValueError(did_you_mean(text, get_args(kind)))
        return text

    return read


def _setting(default: Any, read: Callable[[str], Any] = str, *, variable: str = "", **options: Any) -> Any:
    """Return a field whose environment variable `read` turns into a value; `variable` differs from its name or not."""
    return field(default=default, metadata={"read": read, "variable": variable}, **options)


def variable_of(attribute: attrs.Attribute[Any]) -> str:
    """Return the environment variable that a field of the settings is read from."""
    return attribute.metadata["variable"] or f"{_PREFIX}{attribute.name.upper()}"


@attrs.frozen(kw_only=True)
class Settings:
    """What one program run is set to; a command's options override it."""

    provider: str = _setting(DEFAULT_PROVIDER)
    agent: str = _setting(DEFAULT_AGENT)
    rubric: str | None = _setting(None)
    feedback: Feedback = _setting("scores", _one_of(Feedback))
    block: tuple[str, ...] = _setting((), split_names)

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Return the settings in `SUPPORTBENCH_PROVIDER`, `_AGENT`, `_RUBRIC`, `_FEEDBACK` and so on; empty is unset.

        Raises:
            SettingsError: a value is impossible, or a variable looks like a misspelt one of these.
        """
        _refuse_misspelt(environ)
        given: dict[str, Any] = {}
        for attribute in attrs.fields(cls):
            variable = variable_of(attribute)
            text = environ.get(variable, "")
            if not text.strip():
                continue
            try:
                given[attribute.name] = attribute.metadata["read"](text)
                attrs.evolve(cls(), **{attribute.name: given[attribute.name]})
            except (ValueError, SettingsError) as error:
                shown = "refused" if attribute.name == "tokens" else repr(text[:80])
                raise SettingsError(f"{variable} is {shown}. {error}") from None
        return cls(**given)

    def to_environ(self) -> dict[str, str]:
        """Return the variables that `from_environ` reads as these settings: for worker processes."""
        return {
            variable_of(attribute): _as_text(value)
            for attribute in attrs.fields(type(self))
            if (value := getattr(self, attribute.name)) != attribute.default
        }


def _as_text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(value) if isinstance(value, tuple) else str(value)


def _tokens(instance: object, attribute: attrs.Attribute[Any], value: Iterable[str]) -> None:
    for token in value:
        if not token.isascii() or not token.isprintable() or " " in token or "," in token:
            raise SettingsError("a token is printable ASCII without blanks and commas")
        if len(token) < 8:
            raise SettingsError("a token needs at least 8 characters; `openssl rand -hex 16` makes a good one")


_some_time: Final = _within(0, _YEAR_S, above=True)


@attrs.frozen(kw_only=True)
class ServerSettings(Settings):
    """What a server is set to. Times are in seconds, sizes in bytes; a limit of 0 is no limit where it says so.

    `connection_limit` (per address) and `message_limit` (per second and connection) do not count for loopback callers.
    """

    host: str = _setting("127.0.0.1")
    port: int = _setting(8000, _whole, validator=_within(0, 65_535))
    workers: int = _setting(1, _whole, validator=_within(1))
    mode: Mode = _setting("simulation", _one_of(Mode), variable=_MODE_VARIABLE, validator=in_(get_args(Mode)))
    tokens: tuple[str, ...] = _setting((), _token_names, variable=f"{_PREFIX}TOKEN", repr=False, validator=_tokens)
    max_sessions: int = _setting(10_000, _whole, validator=_within(1))
    session_timeout_s: float = _setting(1800.0, _number, variable=f"{_PREFIX}SESSION_TIMEOUT", validator=_some_time)
    step_timeout_s: float = _setting(300.0, _number, variable=f"{_PREFIX}STEP_TIMEOUT", validator=_some_time)
    drain_timeout_s: float = _setting(10.0, _number, variable=f"{_PREFIX}DRAIN_TIMEOUT", validator=_within(0, _YEAR_S))
    ping_interval_s: float = _setting(20.0, _number, variable=f"{_PREFIX}PING_INTERVAL", validator=_some_time)
    store: str = _setting("memory", repr=False)  # its URL may hold a password
    default_session: bool = _setting(True, _flag)
    record: str | None = _setting(None)
    max_body: int = _setting(_MIB, _whole, validator=_within(1024))
    max_frame: int = _setting(_MIB, _whole, validator=_within(1024))
    max_header: int = _setting(64 * 1024, _whole, validator=_within(1024))
    connection_limit: int = _setting(1000, _whole, validator=_within(0))
    message_limit: float = _setting(1000.0, _number, validator=_within(0))
    allowed_hosts: tuple[str, ...] = _setting((), split_names)
    allowed_origins: tuple[str, ...] = _setting((), split_names)
    log_level: LogLevel = _setting("info", _one_of(LogLevel), validator=in_(get_args(LogLevel)))
    log_format: LogFormat = _setting("auto", _one_of(LogFormat), validator=in_(get_args(LogFormat)))


def _refuse_misspelt(environ: Mapping[str, str]) -> None:
    known = {variable_of(attribute) for attribute in attrs.fields(ServerSettings)}
    bare = {variable.removeprefix(_PREFIX) for variable in known}
    own_names = {f"{_PREFIX}{attribute.name.upper()}": attribute for attribute in attrs.fields(ServerSettings)}
    for variable in environ:
        if not variable.startswith(_PREFIX) or variable in known:
            continue
        if variable in own_names:
            raise SettingsError(f"{variable} is not a setting. It is called {variable_of(own_names[variable])}.")
        # A name that is less alike may well belong to somebody's plugin.
        if difflib.get_close_matches(variable.removeprefix(_PREFIX), bare, n=1, cutoff=0.75):
            raise SettingsError(f"{variable} is not a setting. {did_you_mean(variable, known)}")
