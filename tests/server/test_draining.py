"""The end of a server while a grader takes its time: what is answered, and what is cut off."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.installing import BrokenPlugin, write_wheel
from tests.server.processes import RESET, ServerProcess, answer_from, serve, until

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
