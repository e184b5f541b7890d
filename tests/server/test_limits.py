"""How much a caller may ask for: connections and messages by address, and a server that others reach."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any, Final

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from supportbench.server.gate import Gate
from supportbench.server.limits import Allowance, Allowances
from supportbench.settings import ServerSettings
from tests.server import processes
from tests.server.asking import STRANGER, a_gate, ask, bearer

ALPHA = "alpha-token-0001"


class TestAnAddress:
    async def test_has_so_many_connections_at_most(self) -> None:
        gate, inside = a_gate(connection_limit=2)
        inside.open.clear()
        held = [asyncio.create_task(ask(gate, kind="websocket", client=STRANGER)) for _ in range(2)]
        await asyncio.sleep(0)
        for kind in ("http", "websocket"):
            answer = await ask(gate, kind=kind, client=STRANGER)
            assert answer.status == 429
            assert answer.headers[b"retry-after"] == b"1"
            assert "2 connections" in answer.detail
        inside.open.set()
        await asyncio.gather(*held)
        assert (await ask(gate, client=STRANGER)).passed

    async def test_does_not_use_up_anothers_connections(self) -> None:
        gate, inside = a_gate(connection_limit=1)
        inside.open.clear()
        held = [asyncio.create_task(ask(gate, client=client)) for client in (STRANGER, "203.0.113.8", "2001:db8::1")]
        await asyncio.sleep(0)
        assert len(inside.callers) == 3
        inside.open.set()
        assert all(answer.passed for answer in await asyncio.gather(*held))

    async def test_gives_its_place_back_when_the_application_fails(self) -> None:
        async def fails(scope: Any, receive: Any, send: Any) -> None:
            raise RuntimeError("no")

        gate = Gate(fails, ServerSettings(connection_limit=1))
        for _ in range(3):
            with pytest.raises(RuntimeError):
                await ask(gate, client=STRANGER)

    async def test_asks_so_often_a_second_at_most(self) -> None:
        gate, inside = a_gate(message_limit=5.0)
        answers = [await ask(gate, client=STRANGER) for _ in range(30)]
        refused = [answer for answer in answers if not answer.passed]
        assert len(refused) >= 20
        assert {answer.status for answer in refused} == {429}
        assert {answer.headers[b"retry-after"] for answer in refused} == {b"1"}
        assert "5 requests a second" in refused[0].detail
        assert (await ask(gate, client="203.0.113.8")).passed
        assert inside.callers[0].message_limit == 5.0

    async def test_is_told_when_to_come_again(self) -> None:
        gate, _ = a_gate(message_limit=0.01)
        assert (await ask(gate, client=STRANGER)).passed
        assert (await ask(gate, client=STRANGER)).headers[b"retry-after"] == b"100"

    async def test_cannot_guess_tokens_any_faster(self) -> None:
        gate, inside = a_gate(message_limit=5.0, tokens=(ALPHA,))
        wrong = [("authorization", "Bearer wrong-token")]
        for kind in ("http", "websocket"):
            answers = [await ask(gate, kind=kind, client=STRANGER, headers=wrong) for _ in range(20)]
            assert [answer.status for answer in answers].count(401) <= 6
        assert inside.callers == []

    @pytest.mark.parametrize("client", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", None])
    async def test_of_loopback_is_not_counted(self, client: str | None) -> None:
        gate, inside = a_gate(message_limit=1.0, connection_limit=1)
        inside.open.clear()
        held = [asyncio.create_task(ask(gate, client=client)) for _ in range(20)]
        await asyncio.sleep(0)
        assert len(inside.callers) == 20
        assert {(caller.loopback, caller.message_limit) for caller in inside.callers} == {(True, 0.0)}
        inside.open.set()
        assert all(answer.passed for answer in await asyncio.gather(*held))

    async def test_has_no_limits_where_they_are_0(self) -> None:
        gate, inside = a_gate(message_limit=0.0, connection_limit=0)
        assert all([(await ask(gate, client=STRANGER)).passed for _ in range(3000)])
        assert {caller.message_limit for caller in inside.callers} == {0.0}

    async def test_is_what_the_connection_says_whatever_headers_say(self) -> None:
        gate, inside = a_gate(message_limit=5.0)
        for number in range(20):
            claims = [("x-forwarded-for", f"127.0.0.{number}"), ("forwarded", "for=127.0.0.1"), ("x-real-ip", "::1")]
            await ask(gate, client=STRANGER, headers=claims)
        assert len(inside.callers) <= 6
        assert not any(caller.loopback for caller in inside.callers)

    async def test_is_forgotten_when_ten_thousand_others_came(self) -> None:
        allowances = Allowances(1.0)
        for number in range(30_000):
            allowances.wait_s(str(number))
        assert len(allowances._of) == 10_000
        assert allowances.wait_s("29999") > 0.0
        assert allowances.wait_s("0") == 0.0

    def test_earns_a_request_with_the_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        now_s = 100.0
        monkeypatch.setattr("time.monotonic", lambda: now_s)
        allowance = Allowance(2.0)
        assert [allowance.take() for _ in range(4)] == [0.0, 0.0, 0.5, 1.0]
        now_s += 1.0
        assert allowance.take() == 0.5  # what was taken too early has to be waited for
        now_s += 3600.0
        assert [allowance.take() for _ in range(3)] == [0.0, 0.0, 0.5]  # an hour of silence saves up one second's worth


def _address_of_this_machine() -> str:
    """Return an address that is not of loopback, an empty text if there is none; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return ""
        address: str = probe.getsockname()[0]
        return "" if address.startswith("127.") else address


ADDRESS: Final = _address_of_this_machine()


@pytest.mark.skipif(not ADDRESS, reason="this machine has no address but loopback's")
class TestAServerThatIsReachedFromOutside:
    async def test_keeps_its_limits(self) -> None:
        limits = ("--connection-limit", "3", "--message-limit", "20")
        arguments = ("-m", "supportbench", "serve", "--host", ADDRESS, "--port", "0", *limits)
        with processes.serving(*arguments, environ={"SUPPORTBENCH_TOKEN": ALPHA}) as server:
            options: Any = {"additional_headers": bearer(ALPHA), "proxy": None}
            sockets = [await connect(f"{server.ws}/ws", **options) for _ in range(3)]
            with pytest.raises(InvalidStatus) as refused:
                await connect(f"{server.ws}/ws", **options)
            assert refused.value.response.status_code == 429
            assert refused.value.response.headers["retry-after"] == "1"
            for opened in sockets:
                await opened.close()
            async with httpx.AsyncClient(base_url=server.url, headers=bearer(ALPHA), trust_env=False) as client:
                for _ in range(1000):
                    answer = await client.post("/reset")
                    if answer.status_code != 200:
                        break
                assert answer.status_code == 429
                assert answer.headers["retry-after"] == "1"

    async def test_reads_the_messages_of_a_hasty_socket_more_slowly_and_loses_none(self) -> None:
        arguments = ("-m", "supportbench", "serve", "--host", ADDRESS, "--port", "0")
        with processes.serving(*arguments, "--message-limit", "50") as server:
            async with connect(f"{server.ws}/ws", proxy=None) as hasty:
                for _ in range(80):
                    await hasty.send('{"type":"state"}')
                assert [json.loads(await hasty.recv())["type"] for _ in range(80)] == ["state"] * 80

    def test_has_no_default_session_for_strangers_without_a_cookie(self) -> None:
        arguments = ("-m", "supportbench", "serve", "--host", ADDRESS, "--port", "0")
        with processes.serving(*arguments) as server, httpx.Client(base_url=server.url, trust_env=False) as one:
            begun = one.post("/reset")
            assert one.get("/state").headers["x-session-id"] == begun.headers["x-session-id"]
            with httpx.Client(base_url=server.url, trust_env=False) as another:
                answer = another.get("/state")
            assert answer.status_code == 404

    def test_does_not_believe_a_stranger_who_claims_to_be_at_home(self) -> None:
        arguments = ("-m", "supportbench", "serve", "--host", ADDRESS, "--port", "0", "--message-limit", "20")
        with processes.serving(*arguments) as server, httpx.Client(base_url=server.url, trust_env=False) as client:
            claims = {"X-Forwarded-For": "127.0.0.1", "Forwarded": "for=127.0.0.1", "X-Real-IP": "127.0.0.1"}
            assert client.post("/reset", headers=claims).status_code == 200
            client.cookies.clear()
            assert client.get("/state", headers=claims).status_code == 404  # no default session of loopback
            claims_of_many = ({**claims, "X-Forwarded-For": f"127.0.0.{number % 250}"} for number in range(1000))
            assert 429 in (client.get("/", headers=headers).status_code for headers in claims_of_many)
