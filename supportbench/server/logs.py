"""What a server logs, to stderr: JSON lines for machines, text on a terminal; uvicorn's loggers and warnings included.

Whatever is logged may come from outside, so control characters are made visible and known secrets are blotted out.
"""

from __future__ import annotations

import logging
import re
import sys
import traceback
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Final, TextIO

import msgspec

from supportbench.errors import text_of
from supportbench.settings import LogFormat, LogLevel

ANNOUNCEMENTS: Final = "supportbench.serve"
"""The logger of what is said at start-up, whatever the level."""

_LIBRARIES: Final = (
    *("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi"),
    *("asyncio", "httpcore", "httpx", "litestar", "openai", "redis", "websockets"),
)
_BLOTTED: Final = "[secret]"
_BEARER: Final = re.compile(r"(?i)\b(bearer\s+)[^\s'\",;)\]]+")
_CREDENTIALS: Final = re.compile(r"(://)[^/\s@]+@")
_LONGEST: Final = 8000
_OF_EVERY_RECORD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}


class _Formatter(logging.Formatter):
    """Common to both formats: the record's parts, free of secrets and of characters that steer a terminal."""

    def __init__(self, secrets: Iterable[str]) -> None:
        super().__init__()
        self._secrets = tuple(sorted({secret for secret in secrets if secret}, key=len, reverse=True))

    def fields(self, record: logging.LogRecord) -> dict[str, Any]:
        """Return time, level, logger, message, then what was given by `extra=`, then an exception's traceback."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        fields: dict[str, Any] = {
            "time": time.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self._clean(_message_of(record)),
        }
        for name, value in vars(record).items():
            if name not in _OF_EVERY_RECORD and name not in fields:
                fields[self._clean(name)] = self._plain(value)
        if record.exc_info and record.exc_info[0] is not None:
            fields["exception"] = self._clean("".join(traceback.format_exception(*record.exc_info)).rstrip())
        elif record.exc_text:
            fields["exception"] = self._clean(record.exc_text)
        if record.stack_info:
            fields["stack"] = self._clean(record.stack_info)
        return fields

    def _plain(self, value: object) -> Any:
        if value is None or isinstance(value, bool | float) or (isinstance(value, int) and abs(value) < 1 << 63):
            return value
        if isinstance(value, list | tuple | set | frozenset):
            return [self._plain(item) for item in value]
        if isinstance(value, dict):
            return {self._clean(_text(key)): self._plain(item) for key, item in value.items()}
        return self._clean(_text(value))

    def _clean(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, _BLOTTED)
        text = _BEARER.sub(rf"\1{_BLOTTED}", text)
        text = _CREDENTIALS.sub(rf"\1{_BLOTTED}@", text)
        if not text.isprintable():
            text = "".join(char if char.isprintable() or char == "\n" else "�" for char in text)
        return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text)} characters)"


class JsonFormatter(_Formatter):
    """A record as one line of JSON, with the process's id: workers write to the same stderr."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return msgspec.json.encode({**self.fields(record), "pid": record.process}).decode()


class TextFormatter(_Formatter):
    """A record as text: one line, and a traceback under it, indented so that nothing in it looks like a record."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the text."""
        fields = self.fields(record)
        head = [fields.pop(name) for name in ("time", "level", "logger", "message")]
        below = [fields.pop(name, None) for name in ("exception", "stack")]
        shown = " ".join(f"{name}={value}" for name, value in fields.items() if value not in (None, ""))
        time, level, logger, message = (str(part).replace("\n", " ⏎ ") for part in head)
        line = f"{time} {level.upper():<7} {logger}: {message}"
        if shown:
            line += f"  [{shown}]".replace("\n", " ⏎ ")
        return "\n".join([line, *(f"    {row}" for text in below if text for row in text.splitlines())])


def configure_logging(
    level: LogLevel, log_format: LogFormat, *, secrets: Iterable[str] = (), stream: TextIO | None = None
) -> None:
    """Make the process log to `stream` (stderr), in place of whatever it logged to before.

    `secrets` never appear, whoever logs them. Libraries are heard from `warning` up, at level `debug` from `info` up;
    their debug messages never: they have the frames of WebSockets in them, and so the texts of tickets.
    """
    stream = stream or sys.stderr
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter(secrets) if is_json(log_format, stream) else TextFormatter(secrets))
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    logging.captureWarnings(True)
    logging.getLogger(ANNOUNCEMENTS).setLevel(logging.INFO)
    of_libraries = logging.INFO if level == "debug" else max(logging.WARNING, logging.root.level)
    for name in (
        "uvicorn",
        "uvicorn.error",
        "uvicorn.access",
        "uvicorn.asgi",
        "asyncio",
        "httpx",
        "httpcore",
        "openai",
    ):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(of_libraries)


def is_json(log_format: LogFormat, stream: TextIO | None = None) -> bool:
    """Return whether logs are JSON lines: `auto` is text on a terminal."""
    return log_format == "json" or (log_format == "auto" and not (stream or sys.stderr).isatty())


def _message_of(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception as error:  # a message that does not fit its arguments is still worth its words
        return f"{_text(record.msg)} ({type(error).__name__}: {text_of(error)})"


def _text(value: object) -> str:
    convert: Callable[[object], str] = str
    try:
        return convert(value)
    except Exception as error:  # what is logged may come from a plugin, and fail at even this
        return f"({type(value).__name__}, which cannot be printed: {text_of(error)})"
