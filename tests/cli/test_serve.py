"""`supportbench serve`, as a person types it."""

from __future__ import annotations

import json
import os
import pty
import re
import resource
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import attrs
import click
import pytest

from supportbench.cli.serve import command
from supportbench.settings import ServerSettings
from tests.cli.command import supportbench
from tests.server.processes import ServerProcess, answer_from, play, serve, serving

TOKEN = "correct-horse-battery"  # noqa: S105 - of these tests alone
APP = ("-m", "tests.server.apps")


def records_of(server: ServerProcess) -> list[dict[str, Any]]:
    return [json.loads(line) for line in server.lines]


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


def test_the_library_of_a_store_is_asked_for_by_its_extra(tmp_path: Path) -> None:
    (tmp_path / "redis").mkdir()
    (tmp_path / "redis/__init__.py").write_text("raise ImportError('not here')\n")
    arguments = ("serve", "--port", "0", "--store", "redis://127.0.0.1:1/0")
    done = supportbench(*arguments, cwd=tmp_path, environ={"PYTHONPATH": str(tmp_path)})
    assert done.returncode == 2
    assert "needs supportbench[redis]: pip install 'supportbench[redis]'" in " ".join(done.stderr.split())


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


LIMITED = """
import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
sys.argv = ["supportbench", "serve", "--port", "0", "--max-sessions", "2000"]
runpy.run_module("supportbench", run_name="__main__")
"""


def test_takes_as_many_open_files_as_it_may(tmp_path: Path) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with serving("-c", LIMITED.format(soft=300, hard=hard), cwd=tmp_path) as server:
        assert resource.prlimit(server.pid, resource.RLIMIT_NOFILE)[0] >= 2000
        assert [record["level"] for record in records_of(server)] == ["info"]
        assert server.end() == 0


def test_warns_where_the_system_allows_for_fewer_connections_than_sessions(tmp_path: Path) -> None:
    with serving("-c", LIMITED.format(soft=300, hard=500), cwd=tmp_path) as server:
        warning = records_of(server)[0]
        assert warning["level"] == "warning"
        assert "some 244 connections, fewer than the 2000 of --max-sessions" in warning["message"]
        assert play(server)["type"] == "observation"
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
