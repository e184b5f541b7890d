"""`supportbench serve`, as a person types it."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import click
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from supportbench.cli.serve import command
from supportbench.settings import ServerSettings
from tests.cli.command import supportbench
from tests.installing import BrokenPlugin, write_wheel
from tests.server.processes import ServerProcess, answer_from, serving, until

TOKEN = "correct-horse-battery"  # noqa: S105 - of these tests alone
APP = ("-m", "tests.server.apps")
RESET = '{"type": "reset", "data": {}}'


@contextlib.contextmanager
def serve(cwd: Path, *arguments: str, environ: Mapping[str, str] | None = None) -> Iterator[ServerProcess]:
    """Within the block `supportbench serve --port 0 …` is up."""
    command_line = ("-m", "supportbench", "serve", "--port", "0", *arguments)
    with serving(*command_line, cwd=cwd, environ=environ) as server:
        yield server


def records_of(server: ServerProcess) -> list[dict[str, Any]]:
    return [json.loads(line) for line in server.lines]


def play(server: ServerProcess, token: str | None = None) -> dict[str, Any]:
    """Return the answer to a reset over WebSocket."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with connect(f"{server.ws}/ws", additional_headers=headers, open_timeout=20) as client:
        client.send(RESET)
        answer: dict[str, Any] = json.loads(client.recv(timeout=20))
    return answer


# -- what it says -------------------------------------------------------------------------------------------------


def test_says_what_it_serves_plays_and_ends_with_code_0(tmp_path: Path) -> None:
    with serve(tmp_path, "--rubric", "exact", "--feedback", "none") as server:
        (told,) = records_of(server)
        assert told["message"] == f"Serving on {server.url}"
        assert told["tasks"] == {"triage": {"test": 3}}
        assert (told["rubric"], told["feedback"], told["store"], told["mode"]) == (
            "exact",
            "none",
            "memory",
            "simulation",
        )
        assert (told["max_sessions"], told["token_count"], told["workers"]) == (10_000, 0, 1)
        assert play(server)["type"] == "observation"
        assert server.end() == 0
        assert not [line for line in server.lines if line.startswith("stdout")]


def test_tells_a_person_in_lines(tmp_path: Path) -> None:
    with serve(tmp_path, "--log-format", "text") as server:
        first, *below = server.lines
        assert first == f"supportbench 0.1.0 serves on {server.url} (Ctrl-C ends it)"
        told = dict(re.split(r"\s+", line.strip(), maxsplit=1) for line in below)
        assert told["tasks"] == "triage: test 3"
        assert told["sessions"] == "10000 at most; idle ones end after 1800 s"
        assert told["tokens"] == "none: whoever reaches the server may use it"
        assert server.end(signal.SIGINT) == 0


def test_a_terminal_gets_text(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "supportbench", "serve", "--port", "0"], stderr=theirs, cwd=tmp_path
    )
    os.close(theirs)
    shown = b""
    while b"workers" not in shown:
        shown += os.read(ours, 4096)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    os.close(ours)
    assert shown.startswith(b"supportbench 0.1.0 serves on http://127.0.0.1:")


def test_every_line_of_the_log_is_json_and_no_token_is_in_it(tmp_path: Path) -> None:
    with serve(tmp_path, "--token", TOKEN, "--log-level", "debug") as server:
        assert play(server, TOKEN)["type"] == "observation"
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(f"{server.url}/state?token={TOKEN}", timeout=20)  # noqa: S310 - our own server
        with socket.create_connection(server.address, timeout=20) as connection:
            connection.sendall(f"GET /ws?token={TOKEN} HTTP/1.1\r\nnonsense {TOKEN}\r\n\r\n".encode())
            assert answer_from(connection).startswith(b"HTTP/1.1 400 ")
        assert server.end() == 0
        records = records_of(server)
        assert [record["token_count"] for record in records if "url" in record] == [1]
        assert {"time", "level", "logger", "message"} <= set.intersection(*(set(record) for record in records))
        assert TOKEN not in "".join(server.lines)


def test_a_store_is_told_without_its_password(tmp_path: Path) -> None:
    done = supportbench("serve", "--port", "0", "--store", "redis://me:hunter2@127.0.0.1:1/0", cwd=tmp_path)
    assert done.returncode == 2
    assert "hunter2" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--host", "0.0.0.0"], "Everybody who reaches 0.0.0.0 may use this server"),  # noqa: S104 - to be warned of
        (["--workers", "2"], "--store redis://… shares them"),
    ],
)
def test_warns_of_what_is_seldom_meant(tmp_path: Path, arguments: list[str], told: str) -> None:
    with serve(tmp_path, *arguments) as server:
        warnings = [record["message"] for record in records_of(server) if record["level"] == "warning"]
        assert len(warnings) == 1
        assert told in warnings[0]
        assert server.end() == 0


def test_does_not_warn_where_a_token_is_asked_for(tmp_path: Path) -> None:
    with serve(tmp_path, "--host", "0.0.0.0", environ={"SUPPORTBENCH_TOKEN": TOKEN}) as server:  # noqa: S104
        assert [record["level"] for record in records_of(server)] == ["info"]
        assert server.url.startswith("http://127.0.0.1:")
        assert play(server, TOKEN)["type"] == "observation"
        assert server.end() == 0


# -- what it is set to --------------------------------------------------------------------------------------------


def test_an_option_goes_before_its_variable(tmp_path: Path) -> None:
    environ = {"SUPPORTBENCH_RUBRIC": "nonsense", "SUPPORTBENCH_MAX_SESSIONS": "7", "SUPPORTBENCH_LOG_FORMAT": "json"}
    with serve(tmp_path, "--rubric", "exact", environ=environ) as server:
        (told,) = records_of(server)
        assert (told["rubric"], told["max_sessions"]) == ("exact", 7)
        assert server.end() == 0


def test_every_setting_of_a_server_has_an_option(tmp_path: Path) -> None:
    options = {option.name for option in command.params}
    settings = {attribute.name for attribute in attrs.fields(ServerSettings)}
    assert options == settings - {"agent"}


def test_the_help_tells_each_default_and_what_counts_per_worker() -> None:
    text = click.Context(command, terminal_width=200).command.get_help(click.Context(command, terminal_width=200))
    for name, attribute in attrs.fields_dict(ServerSettings).items():
        default = attribute.default
        if name != "agent" and isinstance(default, str | int | float) and not isinstance(default, bool):
            assert f"Default: {default:g}." if isinstance(default, float) else f"Default: {default}." in text, name
    lines = " ".join(text.split())
    for option in ("--max-sessions", "--connection-limit", "--message-limit"):
        told = lines.partition(option)[2].partition("--")[0]
        assert "each worker for itself" in told, option
    assert "a command line is visible to other users" in lines


def test_two_workers_serve_what_one_does_with_the_same_token(tmp_path: Path) -> None:
    with serve(tmp_path, "--workers", "2", "--token", TOKEN, "--store", "memory") as server:
        assert [play(server, TOKEN)["type"] for _ in range(8)] == ["observation"] * 8
        shown = subprocess.run(
            ["ps", "-ww", "-o", "args", "--ppid", str(server.pid)], capture_output=True, text=True, check=True
        )
        assert shown.stdout.count("multiprocessing-fork") == 2
        assert TOKEN not in shown.stdout
        assert server.end() == 0
        assert all(records_of(server))


# -- what cannot start --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_port_in_use_is_told_in_one_line_with_the_next_move(tmp_path: Path, workers: str) -> None:
    environ = {"SUPPORTBENCH_STORE": "memory", "SUPPORTBENCH_WORKERS": workers}
    with serving(*APP, environ={**environ, "SUPPORTBENCH_PORT": "0"}) as other:
        port = str(other.address[1])
        done = supportbench("serve", "--port", port, cwd=tmp_path, environ=environ)
    assert done.returncode == 2
    assert done.stderr == (
        f"Error: Port {port} of 127.0.0.1 is in use. Stop what uses it, or take another: --port 0 finds a free one.\n"
    )


@pytest.mark.parametrize(
    ("arguments", "environ", "told"),
    [
        (["--host", "192.0.2.1"], {}, "192.0.2.1 is no address of this machine. --host 127.0.0.1"),
        (["--host", "no such host"], {}, "There is no host 'no such host'"),
        (["--rubric", "exakt"], {}, "Did you mean 'exact'?"),
        (["--rubric", "missing.toml"], {}, "Cannot read rubric file missing.toml"),
        (["--provider", "triaje"], {}, "Did you mean 'triage'?"),
        (["--store", "redis://127.0.0.1:1/0"], {}, "127.0.0.1:1"),
        (["--store", "redis://127.0.0.1:1/0", "--workers", "2"], {}, "127.0.0.1:1"),
        (["--store", "carrier-pigeon"], {}, "carrier-pigeon"),
        (["--token", "short"], {}, "a token needs at least 8 characters"),
        (["--port", "70000"], {}, "'--port'"),
        (["--workers", "0"], {}, "'--workers'"),
        (["--drain-timeout", "nan"], {}, "--drain-timeout"),
        (["--session-timeout", "0"], {}, "'--session-timeout'"),
        (["--mode", "prod"], {}, "'--mode'"),
        (["--max-frame", "1"], {}, "'--max-frame'"),
        ([], {"SUPPORTBENCH_PROT": "1"}, "SUPPORTBENCH_PROT is not a setting. Did you mean 'SUPPORTBENCH_PORT'?"),
        ([], {"SUPPORTBENCH_WORKERS": "two"}, "SUPPORTBENCH_WORKERS is 'two'"),
        ([], {"SUPPORTBENCH_TOKEN": "hunter2"}, "SUPPORTBENCH_TOKEN is refused"),
    ],
)
def test_what_cannot_start_exits_2_and_tells_why(
    tmp_path: Path, arguments: list[str], environ: dict[str, str], told: str
) -> None:
    done = supportbench("serve", "--port", "0", "--log-level", "error", *arguments, cwd=tmp_path, environ=environ)
    assert done.returncode == 2, done.stderr
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert "hunter2" not in done.stderr
    assert done.stdout == ""


def test_a_plugin_that_does_not_load_stops_it(tmp_path: Path, broken_site: Path) -> None:
    done = supportbench("serve", "--port", "0", cwd=tmp_path, environ={"PYTHONPATH": str(broken_site)})
    assert done.returncode == 2
    assert "to go on without it: --block" in done.stderr


# -- the end, with a grader that takes its time ------------------------------------------------------------------------

PATIENT = BrokenPlugin(
    name="patient",
    reason="it is not broken",
    source="""
import asyncio
import os
from supportbench import ComponentScore, Rubric, RubricComponent, hookimpl

supportbench_api = 1

class Patient:
    name = "patient"
    def __init__(self, seconds):
        self._seconds = seconds
    async def score(self, submission):
        print("grading")
        await asyncio.sleep(self._seconds)
        return ComponentScore(score=1.0)

@hookimpl
def supportbench_grading_components(environ):
    yield Patient(float(environ["PATIENCE_S"]))

@hookimpl
def supportbench_rubrics():
    yield Rubric(name="patient", components=(RubricComponent(use="patient", weight=1.0),))
""",
)
ACTION = {
    "priority": "P1",
    "queue": "billing",
    "disposition": "respond",
    "summary": "Charged twice.",
    "response": "We look into it.",
    "confidence": 0.5,
}


@contextlib.contextmanager
def patient(cwd: Path, seconds: float, *arguments: str) -> Iterator[ServerProcess]:
    """Within the block a server is up whose only grader takes so many seconds."""
    wheel = write_wheel(cwd, PATIENT)  # a wheel of one module is importable as it is
    environ = {"PYTHONPATH": str(wheel), "PATIENCE_S": str(seconds)}
    with serve(cwd, "--rubric", "patient", *arguments, environ=environ) as server:
        yield server


def test_a_step_that_is_being_graded_is_answered_before_the_end(tmp_path: Path) -> None:
    with patient(tmp_path, 1.0) as server, connect(f"{server.ws}/ws", open_timeout=20) as client:
        client.send(RESET)
        client.recv(timeout=20)
        client.send(json.dumps({"type": "step", "data": ACTION}))
        until(lambda: "grading" in server.lines)
        server.tell(signal.SIGTERM)
        assert json.loads(client.recv(timeout=20))["data"]["reward"] == 1.0
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(timeout=20)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
        assert server.wait() == 0
        assert not [line for line in server.lines if line.startswith("stdout")]


def test_a_step_that_takes_longer_than_the_drain_timeout_does_not_keep_the_server(tmp_path: Path) -> None:
    with patient(tmp_path, 600.0, "--drain-timeout", "0.3") as server:
        with connect(f"{server.ws}/ws", open_timeout=20) as client:
            client.send(RESET)
            client.recv(timeout=20)
            client.send(json.dumps({"type": "step", "data": ACTION}))
            until(lambda: "grading" in server.lines)
            server.tell(signal.SIGTERM)
            with pytest.raises(ConnectionClosed) as closed:
                client.recv(timeout=20)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
        assert server.wait() == 0
        assert "Traceback" not in "".join(server.lines)


@pytest.mark.parametrize(("seconds", "status"), [(1.0, b"200"), (600.0, b"503")])
def test_a_step_over_http_is_answered_before_the_end_or_refused_at_it(
    tmp_path: Path, seconds: float, status: bytes
) -> None:
    with (
        patient(tmp_path, seconds, "--drain-timeout", "3" if status == b"200" else "0.3") as server,
        socket.create_connection(server.address, timeout=20) as connection,
    ):
        body = json.dumps({"action": ACTION}).encode()
        for path, data in (("reset", b""), ("step", body)):
            head = f"POST /{path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(data)}\r\n\r\n"
            connection.sendall(head.encode() + data)
            if path == "reset":
                assert answer_from(connection).startswith(b"HTTP/1.1 200 ")
        until(lambda: "grading" in server.lines)
        server.tell(signal.SIGTERM)
        answer = answer_from(connection)
        assert answer.split()[1] == status
        assert b"connection: close" in answer
        assert server.wait() == 0


# -- other doors --------------------------------------------------------------------------------------------------


def test_the_application_is_made_when_it_is_asked_for(tmp_path: Path) -> None:
    program = (
        "import supportbench.server.asgi as asgi\n"
        "assert 'app' not in vars(asgi)\n"
        "made = asgi.app\n"
        "assert made is asgi.app\n"
        "assert not hasattr(asgi, 'other')\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env={**os.environ, "SUPPORTBENCH_RUBRIC": "exact"},
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_bare_uvicorn_serves_it(tmp_path: Path) -> None:
    arguments = ("-m", "uvicorn", "supportbench.server.asgi:app", "--port", "0", "--ws", "websockets-sansio")
    with serving(*arguments, cwd=tmp_path) as server:
        assert play(server)["type"] == "observation"


def test_bare_uvicorn_takes_our_protocols(tmp_path: Path) -> None:
    protocols = (
        "--http",
        "supportbench.server.protocols:HttpProtocol",
        "--ws",
        "supportbench.server.protocols:WebSocketProtocol",
    )
    with serving("-m", "uvicorn", "supportbench.server.asgi:app", "--port", "0", *protocols, cwd=tmp_path) as server:
        assert play(server)["type"] == "observation"
        with socket.create_connection(server.address, timeout=20) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nX: " + b"x" * 70_000 + b"\r\n\r\n")
            assert answer_from(connection).startswith(b"HTTP/1.1 431 ")


def test_the_script_named_server_is_the_same_command(tmp_path: Path) -> None:
    with serving("-c", "from supportbench.server.asgi import main; main()", "--port", "0", cwd=tmp_path) as server:
        assert play(server)["type"] == "observation"
        assert server.end() == 0
