"""Several workers behind one port: they share the work, are replaced, and end together."""

from __future__ import annotations

import contextlib
import os
import signal
import time

from tests.server.obeying import (
    app,
    close_code,
    facts_of,
    is_accepting,
    socket_to,
)
from tests.server.processes import ServerProcess, until


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
