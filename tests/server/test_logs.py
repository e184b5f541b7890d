"""What is logged, as a person and as a machine read it; and what is never logged."""

from __future__ import annotations

import io
import json
import logging
import os
import pty
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from supportbench.server.logs import ANNOUNCEMENTS, configure_logging

TOKEN = "correct-horse-battery"  # noqa: S105 - of these tests alone


@pytest.fixture(autouse=True)
def untouched() -> Iterator[None]:
    """The tests' own logging, put back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers = []
    yield
    logging.captureWarnings(False)
    for handler in root.handlers:
        handler.close()
    root.handlers, root.level = handlers, level
    for name in ("uvicorn", "uvicorn.error", "asyncio", "openai", ANNOUNCEMENTS):
        logging.getLogger(name).setLevel(logging.NOTSET)


class Log:
    """A log that is configured as the server's is, and what stands in it."""

    def __init__(self, level: Any = "info", log_format: Any = "json", secrets: tuple[str, ...] = (TOKEN,)) -> None:
        self._stream = io.StringIO()
        configure_logging(level, log_format, secrets=secrets, stream=self._stream)

    @property
    def text(self) -> str:
        return self._stream.getvalue()

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]


def raised(text: str) -> ValueError:
    """Return an error that was raised somewhere."""
    with pytest.raises(ValueError, match=re.escape(text)) as caught:
        raise ValueError(text)
    return caught.value


@pytest.fixture
def logger() -> logging.Logger:
    return logging.getLogger("supportbench.server.somewhere")


def test_json_has_time_level_logger_message_and_what_was_given_with_it(logger: logging.Logger) -> None:
    log = Log()
    logger.warning("Session %s ends", "s-1", extra={"session_id": "s-1", "steps": 3, "task_id": None})
    (record,) = log.records
    time = datetime.fromisoformat(record.pop("time"))
    assert abs((datetime.now(UTC) - time).total_seconds()) < 60
    assert record == {
        "level": "warning",
        "logger": "supportbench.server.somewhere",
        "message": "Session s-1 ends",
        "session_id": "s-1",
        "steps": 3,
        "task_id": None,
        "pid": os.getpid(),
    }


def test_what_is_given_does_not_replace_what_every_record_has(logger: logging.Logger) -> None:
    log = Log()
    logger.info("hello", extra={"level": "made up", "time": "never", "logger": "other"})
    assert [(record["level"], record["logger"]) for record in log.records] == [("info", logger.name)]


def test_an_exception_is_one_field_in_json_and_indented_in_text(logger: logging.Logger) -> None:
    for log_format in ("json", "text"):
        log = Log(log_format=log_format)
        logger.error("It failed", exc_info=raised("no\nsuch"))
        if log_format == "json":
            (record,) = log.records
            assert record["exception"].startswith("Traceback (most recent call last)")
            assert record["exception"].endswith("ValueError: no\nsuch")
        else:
            first, *below = log.text.splitlines()
            assert first.endswith("ERROR   supportbench.server.somewhere: It failed")
            assert below
            assert all(line.startswith("    ") for line in below)


def test_text_is_one_line_whatever_a_message_has_in_it(logger: logging.Logger) -> None:
    log = Log(log_format="text")
    logger.info("a\n2026-01-01 ERROR forged", extra={"session_id": "s\n2"})
    (line,) = log.text.splitlines()
    assert line.endswith("INFO    supportbench.server.somewhere: a ⏎ 2026-01-01 ERROR forged  [session_id=s ⏎ 2]")


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_what_steers_a_terminal_is_made_visible(logger: logging.Logger, log_format: str) -> None:
    log = Log(log_format=log_format)
    logger.info("\x1b[2J%s", "\x07\x9b31m\u202egnp.exe\ud800", extra={"task_id": "\x1b]0;owned\x07"})
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(log.text)
    if log_format == "json":
        assert not {"\x1b", "\x07", "\x9b", "\u202e", "\ud800"} & set(str(log.records))


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_secrets_are_blotted_out_wherever_they_stand(logger: logging.Logger, log_format: str) -> None:
    log = Log(log_format=log_format)
    logger.info("got %s", TOKEN, extra={"header": f"Bearer {TOKEN}", "all": {"x": [TOKEN]}})
    logging.getLogger("uvicorn.error").warning("GET /?token=%s and Authorization: Bearer unknown-to-us", TOKEN)
    logger.error("It failed", exc_info=raised(f"redis://user:hunter2@localhost and {TOKEN}"))
    for secret in (TOKEN, "unknown-to-us", "hunter2"):
        assert secret not in log.text
    assert log.text.count("[secret]") >= 6


def test_what_cannot_be_written_is_told_all_the_same(logger: logging.Logger) -> None:
    class Broken:
        def __str__(self) -> str:
            raise RuntimeError("no text")

    log = Log()
    logger.info("%d sessions", "many")
    logger.info("see", extra={"it": Broken(), "large": 1 << 80, "odd": float("nan")})
    first, second = log.records
    assert "%d sessions" in first["message"]
    assert "Broken" in second["it"]
    assert second["large"] == str(1 << 80)
    assert second["odd"] is None


def test_a_long_message_is_cut(logger: logging.Logger) -> None:
    log = Log()
    logger.info("x" * 1_000_000)
    assert len(log.text) < 10_000


def test_libraries_are_heard_from_warning_up_and_never_at_debug(logger: logging.Logger) -> None:
    for level, expected in (("info", ["w"]), ("debug", ["i", "w"]), ("error", [])):
        log = Log(level=level)
        library = logging.getLogger("uvicorn.error")
        library.debug("d")
        library.info("i")
        library.warning("w")
        assert [record["message"] for record in log.records] == expected


def test_the_level_holds_but_for_what_is_said_at_the_start(logger: logging.Logger) -> None:
    log = Log(level="error")
    logger.warning("quiet")
    logging.getLogger(ANNOUNCEMENTS).info("Serving on http://localhost:1")
    assert [record["message"] for record in log.records] == ["Serving on http://localhost:1"]


def test_warnings_are_logged_too() -> None:
    log = Log()
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        logging.captureWarnings(True)
        warnings.warn("old", DeprecationWarning, stacklevel=1)
    assert "DeprecationWarning: old" in log.records[0]["message"]


def test_auto_is_text_on_a_terminal_and_json_elsewhere() -> None:
    program = (
        "import logging; from supportbench.server.logs import configure_logging;"
        "configure_logging('info', 'auto'); logging.info('hello')"
    )
    piped = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert json.loads(piped.stderr)["message"] == "hello"
    ours, theirs = pty.openpty()
    subprocess.run([sys.executable, "-c", program], stderr=theirs, check=True)
    os.close(theirs)
    shown = os.read(ours, 4096).decode()
    os.close(ours)
    assert shown.rstrip().endswith("INFO    root: hello")
