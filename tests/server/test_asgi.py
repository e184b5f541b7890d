"""The doors beside `supportbench serve`: the application for other servers, and the script `server`."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

from tests.server.processes import answer_from, play, serving


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
