"""Peers that ask too much, go away or do not read: what they cost, and what the application hears of it."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import time
from typing import Any

import pytest

from tests.server.obeying import (
    HANDSHAKE,
    app,
    dialled,
    facts_of,
    received,
    resident_bytes,
    socket_to,
    text_frame,
)
from tests.server.processes import answer_from, until

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
