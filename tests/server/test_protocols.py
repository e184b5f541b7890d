"""How long a peer may take, and what happens to its connection then."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from supportbench.server.listening import listen
from supportbench.server.process import Served, Server
from supportbench.settings import ServerSettings
from tests.server.apps import Obedient
from tests.server.processes import answer_from, until


class Talk:
    """A connection to a server in this process."""

    def __init__(self, server: Server, connection: socket.socket) -> None:
        self.server = server
        self.connection = connection

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def answer(self) -> bytes:
        """Return the next answer."""
        return answer_from(self.connection)

    def rest(self) -> bytes:
        """Return everything until the server closes."""
        return b"".join(iter(lambda: self.connection.recv(65_536), b""))

    def is_forgotten(self) -> bool:
        """Whether nothing of any connection is left in the server."""
        return not self.server.server_state.connections and not self.server.server_state.tasks


@contextlib.contextmanager
def talking(**limits: float) -> Iterator[Talk]:
    """Within the block a connection is open to a server whose HTTP protocol has these limits."""
    app = Obedient({})
    settings = ServerSettings(port=0, drain_timeout_s=0.2)
    server = Server(Served(app=app, drain=app.drain), settings)
    server.config.http_protocol_class = type("Hasty", (server.config.http_protocol_class,), limits)
    sockets = listen(settings.host, settings.port)
    address: Any = sockets[0].getsockname()
    thread = threading.Thread(target=server.run, args=(sockets,))
    thread.start()
    try:
        with socket.create_connection(address, timeout=20) as connection:
            yield Talk(server, connection)
    finally:
        server.should_exit = True
        thread.join()


GET = b"GET /facts HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.mark.parametrize("begun", [b"G", b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: "])
def test_a_head_that_trickles_in_is_refused_with_408(begun: bytes) -> None:
    with talking(request_timeout_s=0.3) as talk:
        talk.send(begun)
        head, _, body = talk.rest().partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
        assert json.loads(body)["detail"] == "The request was not here whole after 0.3 s."
        until(talk.is_forgotten)


@pytest.mark.parametrize("said", [b"", b"\r\n"])
def test_a_peer_that_asks_for_nothing_is_closed_without_a_word(said: bytes) -> None:
    with talking(request_timeout_s=0.3) as talk:
        talk.send(said)
        assert talk.rest() == b""
        until(talk.is_forgotten)


def test_a_body_that_does_not_come_ends_the_request() -> None:
    with talking(request_timeout_s=0.3) as talk:
        talk.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhalf")
        assert talk.rest() == b""
        until(talk.is_forgotten)


def test_a_second_request_that_does_not_come_whole_is_refused_as_well() -> None:
    with talking(request_timeout_s=0.3) as talk:
        talk.send(GET)
        assert talk.answer().startswith(b"HTTP/1.1 200 ")
        talk.send(b"GET / HTTP/1.1\r\n")
        assert talk.rest().startswith(b"HTTP/1.1 408 ")


def test_blank_lines_do_not_keep_a_connection() -> None:
    with talking(request_timeout_s=0.3) as talk:
        talk.send(GET)
        assert talk.answer().startswith(b"HTTP/1.1 200 ")
        talk.send(b"\r\n")
        assert talk.rest() == b""


def test_an_answer_may_take_longer_than_its_request() -> None:
    with talking(request_timeout_s=0.2) as talk:
        talk.send(b"GET /sleep/0.6 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert talk.answer().endswith(b"sleep 0.6")
        talk.send(GET)
        assert talk.answer().startswith(b"HTTP/1.1 200 ")


def test_an_idle_connection_is_kept_for_the_next_request() -> None:
    with talking(request_timeout_s=0.2) as talk:
        talk.send(GET)
        assert talk.answer().startswith(b"HTTP/1.1 200 ")
        threading.Event().wait(0.6)
        talk.send(GET)
        assert talk.answer().startswith(b"HTTP/1.1 200 ")


def test_requests_one_behind_the_other_are_answered_in_order() -> None:
    with talking(request_timeout_s=0.3) as talk:
        talk.send(b"GET /sleep/0.6 HTTP/1.1\r\nHost: localhost\r\n\r\n" + GET.replace(b"facts", b"sleep/0"))
        both = b""
        while not both.endswith(b"sleep 0"):
            piece = talk.connection.recv(65_536)
            assert piece, "the server closed too early"
            both += piece
        assert both.count(b"HTTP/1.1 200 OK") == 2
        assert both.index(b"sleep 0.6") < both.rindex(b"sleep 0")


@pytest.mark.parametrize("connection", [b"keep-alive", b"close"])
def test_an_answer_that_nobody_reads_is_given_up(connection: bytes) -> None:
    with talking(write_timeout_s=0.3) as talk:
        talk.send(b"GET /large HTTP/1.1\r\nHost: localhost\r\nConnection: " + connection + b"\r\n\r\n")
        until(talk.is_forgotten)


def test_the_rest_of_an_answer_that_nobody_reads_is_given_up_however_small() -> None:
    with talking(write_timeout_s=0.3) as talk:
        state = talk.server.server_state
        until(lambda: len(state.connections) == 1)
        theirs: Any = next(iter(state.connections))
        while not theirs.transport.get_write_buffer_size():
            answered = state.total_requests
            talk.send(GET.replace(b"facts", b"piece"))
            until(lambda: state.total_requests > answered)  # noqa: B023 - asked before it changes
            threading.Event().wait(0.005)  # until it is sent, as far as it can be
        assert not theirs.flow.write_paused
        talk.send(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        until(talk.is_forgotten)


def test_an_answer_that_is_read_slowly_arrives_whole() -> None:
    with talking(write_timeout_s=0.5) as talk:
        talk.send(b"GET /large HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        size = 0
        while piece := talk.connection.recv(4_000_000):
            size += len(piece)
            threading.Event().wait(0.02)
        assert size > 65_536_000


_OK = b"HTTP/1.1 200 "


def test_requests_that_wait_for_their_turn_are_bounded() -> None:
    large = GET.replace(b"\r\n\r\n", b"\r\nX-Large: " + b"x" * 1_000 + b"\r\n\r\n")
    with talking() as talk:
        longest = 0
        sending = threading.Thread(target=talk.send, args=(large * 4_000,))
        sending.start()
        got = 0
        while got < 4_000:
            got += talk.connection.recv(65_536).count(b"HTTP/1.1 200 ")
            waiting = [
                getattr(connection, "pipeline", None) or () for connection in talk.server.server_state.connections
            ]
            longest = max(longest, *map(len, waiting), 0)
        sending.join()
        assert longest < 1_000


def test_connections_beyond_the_limit_of_an_address_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("supportbench.server.limits.is_loopback", lambda address: False)
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "192.0.2.7")  # a proxy's, which counts for nobody
    with talking(connection_limit=2) as talk:
        address: Any = talk.connection.getpeername()
        with socket.create_connection(address, timeout=20) as second:
            with socket.create_connection(address, timeout=20) as third:
                head = b"".join(iter(lambda: third.recv(65_536), b""))
                assert head.startswith(b"HTTP/1.1 429 ")
                assert b"This address has 2 connections open, which is the most." in head
            second.sendall(GET)
            assert answer_from(second).startswith(b"HTTP/1.1 200 ")
        until(lambda: len(talk.server.server_state.connections) == 1)
        with socket.create_connection(address, timeout=20) as another:
            another.sendall(GET)
            assert answer_from(another).startswith(b"HTTP/1.1 200 ")
