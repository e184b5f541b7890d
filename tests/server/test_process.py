"""A server process from its start to its end, whatever would keep it from ending."""

from __future__ import annotations

import json
import signal
import socket
import time

import pytest

from tests.server.obeying import (
    APP,
    HANDSHAKE,
    app,
    close_code,
    dialled,
    facts_of,
    is_accepting,
    received,
    socket_to,
    text_frame,
)
from tests.server.processes import answer_from, serving, started, until

# -- the end ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_an_idle_server_with_code_0(signum: signal.Signals) -> None:
    with app() as server:
        assert server.end(signum) == 0


def test_an_idle_websocket_is_told_that_the_server_restarts() -> None:
    with app() as server, socket_to(server) as client:
        server.tell(signal.SIGTERM)
        assert close_code(client) == 1012
        assert server.wait() == 0


def test_a_step_in_flight_is_answered_before_its_websocket_closes() -> None:
    with app() as server, socket_to(server) as client, socket_to(server) as idle:
        client.send("sleep 1")
        until(lambda: facts_of(server)["open"] == 2)
        server.tell(signal.SIGTERM)
        assert close_code(idle) == 1012
        assert client.recv(timeout=20) == "sleep 1"
        assert close_code(client) == 1012
        assert server.wait() == 0


def test_nobody_is_let_in_while_it_drains() -> None:
    with app() as server, socket_to(server) as client:
        client.send("sleep 2")
        server.tell(signal.SIGTERM)
        until(lambda: not is_accepting(server))
        assert server.is_running()
        assert client.recv(timeout=20) == "sleep 2"
        assert server.wait() == 0


def test_a_request_in_flight_is_answered_and_its_connection_closed() -> None:
    with app() as server, dialled(server) as connection, dialled(server) as idle:
        connection.sendall(b"GET /sleep/1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        idle.sendall(b"GET /facts HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert answer_from(idle).startswith(b"HTTP/1.1 200 ")
        server.tell(signal.SIGTERM)
        assert idle.recv(4096) == b""
        head, _, body = received(connection).partition(b"\r\n\r\n")
        assert (head.split()[1], body) == (b"200", b"sleep 1")
        assert b"connection: close" in head
        assert server.wait() == 0


def test_what_takes_longer_than_the_drain_timeout_is_cut_off() -> None:
    with app(drain_timeout=0.5) as server, socket_to(server) as client, dialled(server) as connection:
        client.send("sleep 600")
        connection.sendall(b"GET /sleep/600 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        until(lambda: facts_of(server)["open"] == 1)
        server.tell(signal.SIGTERM)
        head, _, body = received(connection).partition(b"\r\n\r\n")
        assert head.split()[1] == b"503"
        assert "The server ends" in json.loads(body)["detail"]
        assert close_code(client) == 1012
        assert server.wait() == 0
        told = [json.loads(line) for line in server.lines]
        assert [line["message"] for line in told if line["level"] in ("warning", "error")] == [
            "Requests that were cut off, since they took longer: 2"
        ]


def test_without_a_drain_timeout_it_ends_at_once() -> None:
    with app(drain_timeout=0) as server, socket_to(server) as client:
        client.send("sleep 600")
        server.tell(signal.SIGTERM)
        assert close_code(client) == 1012
        assert server.wait() == 0


@pytest.mark.parametrize("order", ["block 600", "thread 600", "stay 600"])
def test_a_plugin_that_holds_the_loop_a_thread_or_its_task_does_not_keep_it_from_ending(order: str) -> None:
    with app(drain_timeout=0.2) as server, socket_to(server) as client:
        client.send(order)
        time.sleep(0.5)  # until the server is at it: it cannot be asked
        assert server.end() == 0


def test_a_client_that_never_reads_does_not_keep_it_from_ending() -> None:
    with app(drain_timeout=0.2) as server, dialled(server) as connection:
        connection.sendall(HANDSHAKE + b"\r\n")
        assert answer_from(connection).startswith(b"HTTP/1.1 101 ")
        connection.sendall(text_frame("flood"))
        until(lambda: facts_of(server)["open"] == 1)
        assert server.end() == 0


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_at_once(signum: signal.Signals) -> None:
    with app(drain_timeout=600) as server, socket_to(server) as client:
        client.send("sleep 600")
        server.tell(signal.SIGTERM)
        until(lambda: not is_accepting(server))
        assert server.end(signum) == 128 + signum


# -- the start ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 2])
def test_an_application_that_refuses_to_start_is_told_in_one_line(workers: int) -> None:
    settings = {"SUPPORTBENCH_PORT": "0", "SUPPORTBENCH_WORKERS": str(workers), "APP_FAILS_AT": "start"}
    with started(*APP, environ=settings) as server:
        assert server.wait() == 2
        assert server.lines == ["Error: The store is not there. Start it."]


@pytest.mark.parametrize("workers", [1, 2])
def test_an_application_that_breaks_at_its_start_is_logged_with_its_traceback(workers: int) -> None:
    settings = {"SUPPORTBENCH_PORT": "0", "SUPPORTBENCH_WORKERS": str(workers), "APP_FAILS_AT": "start unforeseen"}
    with started(*APP, environ=settings) as server:
        assert server.wait() == 3
        told = json.loads(server.lines[0])
        assert told["message"].startswith("The application did not start.")
        assert "ZeroDivisionError: one by none" in told["exception"]


def test_an_application_that_breaks_at_its_end_does_not_exit_with_code_0() -> None:
    with serving(*APP, environ={"SUPPORTBENCH_PORT": "0", "APP_FAILS_AT": "end"}) as server:
        assert server.end() == 3
        assert any("ZeroDivisionError: one by none" in json.loads(line).get("exception", "") for line in server.lines)


def test_localhost_is_served_on_every_address_that_it_has() -> None:
    with app(host="localhost") as server:
        port = server.address[1]
        for _, _, _, _, address in socket.getaddrinfo("localhost", port, type=socket.SOCK_STREAM):
            try:
                socket.create_server(
                    (address[0], 0), family=socket.AF_INET6 if ":" in str(address[0]) else socket.AF_INET
                ).close()
            except OSError:
                continue  # the name is known, the family is switched off
            with socket.create_connection((str(address[0]), port), timeout=20) as connection:
                connection.sendall(b"GET /facts HTTP/1.0\r\n\r\n")
                assert b"200 OK" in received(connection)
