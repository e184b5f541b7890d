"""A server process from its start to its end, and the peers that would keep it from ending."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import struct
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.server.processes import ServerProcess, answer_from, serving, started, until

APP = ("-m", "tests.server.apps")
HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


@contextlib.contextmanager
def app(**settings: Any) -> Iterator[ServerProcess]:
    """Within the block the obedient application is served with these settings."""
    environ = {f"SUPPORTBENCH_{name.upper()}": str(value) for name, value in settings.items()}
    with serving(*APP, environ={"SUPPORTBENCH_PORT": "0", **environ}) as server:
        yield server


@contextlib.contextmanager
def dialled(server: ServerProcess) -> Iterator[socket.socket]:
    """Within the block a plain connection is open."""
    with socket.create_connection(server.address, timeout=20) as connection:
        yield connection


def socket_to(server: ServerProcess) -> ClientConnection:
    return connect(f"{server.ws}/ws", open_timeout=20, close_timeout=1)


def facts_of(server: ServerProcess) -> dict[str, Any]:
    with urllib.request.urlopen(f"{server.url}/facts", timeout=20) as answer:  # noqa: S310 - our own server
        facts: dict[str, Any] = json.load(answer)
    return facts


def received(connection: socket.socket) -> bytes:
    """Return everything that comes until the server closes."""
    pieces = []
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(65_536):
            pieces.append(piece)
    return b"".join(pieces)


def close_code(client: ClientConnection) -> int | None:
    """Return the code with which the server closes."""
    with pytest.raises(ConnectionClosed) as closed:
        client.recv(timeout=20)
    return None if closed.value.rcvd is None else closed.value.rcvd.code


def text_frame(text: str) -> bytes:
    """Return a short masked text frame, as a client sends it."""
    return bytes([0x81, 0x80 | len(text)]) + bytes(4) + text.encode()


def is_accepting(server: ServerProcess) -> bool:
    try:
        with dialled(server):
            return True
    except ConnectionRefusedError:
        return False


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


# -- several workers ----------------------------------------------------------------------------------------------


def pids_of(server: ServerProcess, count: int) -> set[int]:
    """Return the ids of so many workers, as they answer."""
    pids: set[int] = set()

    def asked() -> bool:
        with contextlib.suppress(OSError):
            pids.add(facts_of(server)["pid"])
        return len(pids) >= count

    until(asked)
    return pids


def test_all_workers_drain_and_the_whole_exits_with_code_0() -> None:
    with app(workers=2, log_level="info") as server, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(socket_to(server)) for _ in range(16)]
        for client in clients:
            client.send("sleep 1")
        server.tell(signal.SIGTERM)
        assert [client.recv(timeout=20) for client in clients] == ["sleep 1"] * 16
        assert {close_code(client) for client in clients} == {1012}
        assert server.wait() == 0


def test_a_signal_to_the_whole_group_drains_as_one_to_the_parent_does() -> None:
    with app(workers=2) as server, socket_to(server) as client:
        client.send("sleep 1")
        for pid in pids_of(server, 2):
            os.kill(pid, signal.SIGTERM)
        server.tell(signal.SIGTERM)
        assert client.recv(timeout=20) == "sleep 1"
        assert server.wait() == 0


def test_connections_are_dealt_out_to_all_workers() -> None:
    with app(workers=2) as server, contextlib.ExitStack() as stack:
        for _ in range(64):
            stack.enter_context(socket_to(server))
        counts: dict[int, int] = {}
        while len(counts) < 2:
            facts = facts_of(server)
            counts[facts["pid"]] = facts["open"]
        assert sum(counts.values()) == 64
        assert min(counts.values()) >= 8


def test_a_worker_that_dies_is_replaced() -> None:
    with app(workers=2) as server:
        first = pids_of(server, 2)
        victim = min(first)
        os.kill(victim, signal.SIGKILL)
        until(lambda: any("another takes its place" in line for line in server.lines))
        until(lambda: bool(pids_of(server, 1) - first))
        assert server.end() == 0


def test_a_second_signal_ends_parent_and_workers_at_once() -> None:
    with app(workers=2, drain_timeout=600) as server, socket_to(server) as client:
        pids = pids_of(server, 2)
        client.send("sleep 600")
        server.tell(signal.SIGTERM)
        until(lambda: not is_accepting(server))
        assert server.end() == 128 + signal.SIGTERM
        until(lambda: not any(map(is_alive, pids)))


def test_workers_end_when_their_parent_is_gone() -> None:
    with app(workers=2) as server, socket_to(server) as client:
        pids = pids_of(server, 2)
        server.tell(signal.SIGKILL)
        assert close_code(client) == 1012
        until(lambda: not any(map(is_alive, pids)))


def test_a_worker_whose_loop_is_held_does_not_keep_the_whole_from_ending() -> None:
    with app(workers=2, drain_timeout=0.2) as server, socket_to(server) as client:
        client.send("block 600")
        time.sleep(0.5)
        assert server.end() == 0


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


# -- peers that ask too much of HTTP ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "request_of",
    [
        lambda size: b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Large: " + b"x" * size + b"\r\n\r\n",
        lambda size: b"GET /" + b"x" * size + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        lambda size: b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: x\r\n" % number for number in range(size // 9)) + b"\r\n",
        lambda size: HANDSHAKE + b"X-Large: " + b"x" * size + b"\r\n\r\n",
    ],
    ids=["one header", "path", "many headers", "WebSocket"],
)
@pytest.mark.parametrize("size", [70_000, 5_000_000])
def test_a_head_that_is_too_large_is_refused_with_431(request_of: Any, size: int) -> None:
    with app() as server, dialled(server) as connection:
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            connection.sendall(request_of(size))
        head, _, body = received(connection).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
        assert b"connection: close" in head
        assert "65536 bytes" in json.loads(body)["detail"]
        assert facts_of(server)["open"] == 0


def test_a_large_head_is_not_kept_in_memory() -> None:
    with app() as server, dialled(server) as connection:
        before = resident_bytes(server.pid)
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            connection.sendall(b"GET / HTTP/1.1\r\nX-Large: ")
            for _ in range(640):
                connection.sendall(b"x" * 65_536)
        assert received(connection).startswith(b"HTTP/1.1 431 ")
        assert resident_bytes(server.pid) - before < 20_000_000


def resident_bytes(pid: int) -> int:
    import psutil  # type: ignore[import-untyped]

    resident: int = psutil.Process(pid).memory_info().rss
    return resident


def test_a_head_within_the_limit_is_served_and_so_is_a_large_body() -> None:
    with app() as server, dialled(server) as connection:
        connection.sendall(b"GET /facts HTTP/1.1\r\nX-Large: " + b"x" * 60_000 + b"\r\n\r\n")
        assert answer_from(connection).startswith(b"HTTP/1.1 200 ")
        body = b"x" * 700_000
        connection.sendall(b"POST / HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        assert received(connection).endswith(b"\r\n\r\n700000")


def test_the_limit_is_the_settings() -> None:
    with app(max_header=2000) as server, dialled(server) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nX-Large: " + b"x" * 3000 + b"\r\n\r\n")
        assert b"2000 bytes" in received(connection)


def test_trailers_without_end_are_cut_off() -> None:
    with app() as server, dialled(server) as connection:
        connection.sendall(
            b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX-T: "
        )
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            for _ in range(640):
                connection.sendall(b"x" * 65_536)
        assert received(connection) == b""


@pytest.mark.parametrize(
    "head",
    [
        HANDSHAKE + b"Cookie: " + b"x" * 9000 + b"\r\n\r\n",
        HANDSHAKE + b"".join(b"X-%d: x\r\n" % number for number in range(130)) + b"\r\n",
        HANDSHAKE.replace(b"GET", b"POST") + b"Content-Length: 2\r\n\r\nhi",
        HANDSHAKE + b"Content-Length: 2\r\n\r\nhi",
        HANDSHAKE.replace(b"Version: 13", b"Version: 99") + b"\r\n",
        HANDSHAKE.replace(b"/ws", "/wß".encode()) + b"\r\n",
    ],
    ids=["long line", "many headers", "POST", "with a body", "version", "path"],
)
def test_a_handshake_that_fails_is_answered_and_closed(head: bytes) -> None:
    with app() as server, dialled(server) as connection:
        connection.sendall(head)
        answer = received(connection)
        assert answer == b"" or answer.startswith(b"HTTP/1.1 4"), answer
        assert server.end() == 0


def test_what_is_no_http_is_refused_with_400() -> None:
    with app() as server, dialled(server) as connection:
        connection.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        head, _, body = received(connection).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400 ")
        assert json.loads(body)["detail"]


# -- peers that go away or do not read ----------------------------------------------------------------------------


def test_a_peer_that_does_not_answer_pings_is_dropped_and_the_application_told() -> None:
    with app(ping_interval=0.2) as server, dialled(server) as connection:
        connection.sendall(HANDSHAKE + b"\r\n")
        until(lambda: facts_of(server)["open"] == 0 and len(facts_of(server)["ends"]) == 1)
        frames = received(connection).partition(b"\r\n\r\n")[2]
        assert struct.pack("!H", 1011) + b"keepalive ping timeout" in frames


def test_a_peer_that_never_reads_is_dropped_and_the_application_told() -> None:
    with app(ping_interval=0.3) as server, dialled(server) as connection:
        connection.sendall(HANDSHAKE + b"\r\n")
        assert answer_from(connection).startswith(b"HTTP/1.1 101 ")
        connection.sendall(text_frame("flood"))
        until(lambda: len(facts_of(server)["ends"]) == 1)
        assert facts_of(server)["open"] == 0


def test_a_peer_that_never_reads_is_dropped_even_if_it_sent_more_than_is_read() -> None:
    with app(ping_interval=0.3) as server, dialled(server) as connection:
        connection.sendall(HANDSHAKE + b"\r\n")
        assert answer_from(connection).startswith(b"HTTP/1.1 101 ")
        connection.sendall(text_frame("flood") + text_frame("flood"))
        until(lambda: len(facts_of(server)["ends"]) == 1)


def test_pings_of_a_peer_that_never_reads_do_not_pile_up() -> None:
    with app(ping_interval=600) as server, dialled(server) as connection:
        connection.sendall(HANDSHAKE + b"\r\n")
        assert answer_from(connection).startswith(b"HTTP/1.1 101 ")
        connection.sendall(text_frame("flood"))
        until(lambda: facts_of(server)["open"] == 1)
        before = resident_bytes(server.pid)
        ping = bytes([0x89, 0x80 | 125]) + bytes(4) + b"p" * 125
        for _ in range(40):
            connection.sendall(ping * 10_000)
        assert resident_bytes(server.pid) - before < 20_000_000


def test_a_client_whose_messages_wait_behind_a_long_one_is_not_taken_for_gone() -> None:
    with app(ping_interval=0.3) as server, socket_to(server) as client:
        client.send("sleep 2")
        client.send("sleep 0")
        client.send("sleep 0.1")
        assert [client.recv(timeout=20) for _ in range(3)] == ["sleep 2", "sleep 0", "sleep 0.1"]
        time.sleep(1)
        client.send("sleep 0")
        assert client.recv(timeout=20) == "sleep 0"


def test_a_client_that_vanishes_is_noticed() -> None:
    with app() as server:
        with dialled(server) as connection:
            connection.sendall(HANDSHAKE + b"\r\n")
            assert answer_from(connection).startswith(b"HTTP/1.1 101 ")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close with a reset
        until(lambda: len(facts_of(server)["ends"]) == 1)
