"""Tokens: where one is asked for, that two do not meet, and that none is to be read anywhere."""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from supportbench import unstructure
from supportbench.settings import ServerSettings
from tests.offering import an_action
from tests.server import processes
from tests.server.asking import a_gate, ask, bearer
from tests.server.serving import Served, first_frame, serving
from tests.server.walking import walked

ALPHA, BETA = "alpha-token-0001", "beta-token-00002"
ACTION = unstructure(an_action())
TRIAGE = {name: value for name, value in ACTION.items() if name != "metadata"}


@pytest.fixture(scope="module")
def guarded() -> Iterator[Served]:
    with serving(tokens=(ALPHA, BETA)) as served:
        yield served


def raw_answer(served: Served, header: bytes) -> bytes:
    """Return what a reset with this header, as it is, is answered."""
    port = int(served.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        head = b"POST /reset HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n"
        connection.sendall(head + header + b"\r\n\r\n")
        return b"".join(iter(lambda: connection.recv(65_536), b""))


class TestATokenIsAskedFor:
    def test_on_everything_but_the_health(self, guarded: Served) -> None:
        with httpx.Client(base_url=guarded.url) as client:
            for method, path in walked(guarded.app):
                answer = client.request(method, path)
                if path == "/health":
                    assert answer.status_code in (200, 204)
                    continue
                assert answer.status_code == 401, f"{method} {path}"
                assert answer.headers["www-authenticate"] == "Bearer"
                assert "Authorization: Bearer TOKEN" in answer.json()["detail"]
            assert client.get("/no/such/path").status_code == 401

    @pytest.mark.parametrize("path", ["/ws", "/mcp", "/nowhere"])
    async def test_at_the_handshake_of_a_websocket(self, guarded: Served, path: str) -> None:
        for headers in ({}, bearer("not-one-of-ours")):
            with pytest.raises(InvalidStatus) as refused:
                await connect(f"{guarded.ws}{path}", additional_headers=headers)
            answer = refused.value.response
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"].startswith("Bearer")
            assert b"Authorization: Bearer TOKEN" in answer.body

    async def test_of_a_websocket_by_a_server_that_cannot_answer_handshakes(self) -> None:
        gate, inside = a_gate(tokens=(ALPHA,))
        assert (await ask(gate, kind="websocket", extensions={})).status == 1008
        assert inside.callers == []

    def test_and_each_of_several_will_do(self, guarded: Served) -> None:
        for token in (ALPHA, BETA):
            assert httpx.post(f"{guarded.url}/reset", headers=bearer(token)).status_code == 200

    async def test_also_over_websockets(self, guarded: Served) -> None:
        assert (await first_frame(guarded, additional_headers=bearer(ALPHA)))["type"] == "state"

    @pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEARER"])
    @pytest.mark.parametrize("gap", [" ", "   "])
    def test_whose_scheme_may_be_written_in_any_case(self, guarded: Served, scheme: str, gap: str) -> None:
        answer = httpx.post(f"{guarded.url}/reset", headers={"Authorization": f"{scheme}{gap}{ALPHA}"})
        assert answer.status_code == 200

    @pytest.mark.parametrize(
        "header",
        [
            b"",
            b"Bearer",
            b"Bearer ",
            ALPHA.encode(),
            b"Basic " + ALPHA.encode(),
            b"Bearer " + ALPHA[:-1].encode(),
            b"Bearer " + ALPHA.encode() + b"x",
            b"Bearer " + ALPHA.upper().encode(),
            b"Bearer " + ALPHA.encode() + b" " + BETA.encode(),
            b"Bearer " + ALPHA.encode() + b"," + BETA.encode(),
            b'Bearer "' + ALPHA.encode() + b'"',
            b"Bearer\t" + ALPHA.encode(),
            b"Bearer \xff\xfe\x80",
            "Bearer пароль".encode(),
            b"Bearer " + b"x" * 20_000,
            b"\xe2\x80\x8bBearer " + ALPHA.encode(),
        ],
    )
    def test_and_nothing_else_will_do(self, guarded: Served, header: bytes) -> None:
        head, _, body = raw_answer(guarded, b"Authorization: " + header).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 401 ")
        assert len(body) < 500

    def test_and_who_sent_a_wrong_one_is_told_so(self, guarded: Served) -> None:
        answer = httpx.post(f"{guarded.url}/reset", headers=bearer("not-one-of-ours"))
        assert answer.json()["detail"].startswith("The token is none of this server's")
        assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'

    async def test_and_compared_in_constant_time_with_every_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        compared: list[int] = []
        compare = hmac.compare_digest

        def counting(left: Any, right: Any) -> bool:
            compared.append(len(left))
            return compare(left, right)

        monkeypatch.setattr(hmac, "compare_digest", counting)
        gate, _ = a_gate(tokens=(ALPHA, BETA, "gamma-token-0003"))
        for sent in (ALPHA, BETA, "gamma-token-0003", "x", "", "y" * 10_000):
            await ask(gate, headers=[("authorization", f"Bearer {sent}")])
        assert compared == [32] * 3 * 6  # digests, so that not even the length tells anything

    async def test_not_by_a_preflight_which_cannot_have_one(self) -> None:
        gate, inside = a_gate(tokens=(ALPHA,), allowed_origins=("https://lab.example",))
        asks = [("origin", "https://lab.example"), ("access-control-request-method", "POST")]
        assert (await ask(gate, method="OPTIONS", headers=asks)).passed
        for method, headers in (
            ("OPTIONS", []),
            ("OPTIONS", asks[:1]),
            ("OPTIONS", asks[1:]),
            ("GET", asks),
            ("POST", asks),
        ):
            assert (await ask(gate, method=method, headers=headers)).status == 401
        assert len(inside.callers) == 1


class TestTwoTokens:
    async def test_do_not_see_each_others_sessions_over_http(self, guarded: Served) -> None:
        async with httpx.AsyncClient(base_url=guarded.url) as client:
            begun = await client.post("/reset", headers=bearer(ALPHA))
            session_id = begun.headers["x-session-id"]
            step = {"action": ACTION}
            unknown = (await client.get("/state", headers={**bearer(BETA), "X-Session-ID": "no-such"})).json()
            for answer in (
                await client.get("/state", headers={**bearer(BETA), "X-Session-ID": session_id}),
                await client.get("/state", headers=bearer(BETA), params={"session_id": session_id}),
                await client.post("/step", json=step, headers={**bearer(BETA), "X-Session-ID": session_id}),
                await client.post("/step", json={**step, "session_id": session_id}, headers=bearer(BETA)),
                await client.post("/reset", json={"session_id": session_id}, headers=bearer(BETA)),
            ):
                assert answer.status_code == 404
                told = json.loads(answer.text.replace(session_id, "no-such"))
                assert told == unknown, "whether a session exists is not told"
            own = await client.get("/state", headers={**bearer(ALPHA), "X-Session-ID": session_id})
            assert own.json()["step_count"] == 0
            assert own.json()["episode_id"] == begun.json()["observation"]["info"]["episode_id"]

    async def test_do_not_attach_to_each_others_sessions(self, guarded: Served) -> None:
        async with httpx.AsyncClient(base_url=guarded.url) as client:
            begun = await client.post("/reset", headers=bearer(ALPHA))
        path = f"/ws?session_id={begun.headers['x-session-id']}"
        frame = await first_frame(guarded, path, additional_headers=bearer(BETA))
        assert frame["data"]["code"] == "SESSION_ERROR"
        assert frame["data"]["message"].startswith("Unknown session_id")
        own = await first_frame(guarded, path, additional_headers=bearer(ALPHA))
        assert own["data"]["episode_id"] == begun.json()["observation"]["info"]["episode_id"]

    async def test_have_a_default_session_each(self, guarded: Served) -> None:
        async with httpx.AsyncClient(base_url=guarded.url) as client:
            for token, task_id in ((ALPHA, "easy_inbox_cleanup"), (BETA, "medium_sla_defense")):
                answer = await client.post("/reset", json={"task_id": task_id}, headers=bearer(token))
                assert "set-cookie" not in answer.headers  # the token is enough
            await client.post("/step", json={"action": ACTION}, headers=bearer(ALPHA))
            seen = {token: (await client.get("/state", headers=bearer(token))).json() for token in (ALPHA, BETA)}
            assert seen[ALPHA]["task"]["task_id"] == "easy_inbox_cleanup"
            assert seen[BETA]["task"]["task_id"] == "medium_sla_defense"
            assert (seen[ALPHA]["step_count"], seen[BETA]["step_count"]) == (1, 0)

    def test_do_not_share_a_cookie(self, guarded: Served) -> None:
        begun = httpx.post(f"{guarded.url}/reset", headers=bearer(ALPHA))
        stolen = {"Cookie": f"supportbench_session={begun.headers['x-session-id']}", **bearer(BETA)}
        seen = httpx.get(f"{guarded.url}/state", headers=stolen)
        assert seen.headers.get("x-session-id") != begun.headers["x-session-id"]


class TestTwoTokensOverMcp:
    @pytest.fixture
    def made(self, guarded: Served) -> str:
        """A session that MCP made for one token."""
        session_id: str = _mcp(guarded, ALPHA, "openenv/session/create")["result"]["session_id"]
        begin = {"name": "start_episode", "arguments": {}, "session_id": session_id}
        assert "result" in _mcp(guarded, ALPHA, "tools/call", **begin)
        return session_id

    def test_do_not_see_each_others_sessions(self, guarded: Served, made: str) -> None:
        for method, params in (
            ("openenv/session/close", {"session_id": made}),
            ("tools/call", {"name": "get_state", "arguments": {}, "session_id": made}),
            ("tools/call", {"name": "submit_triage", "arguments": TRIAGE, "session_id": made}),
            ("tools/list", {"session_id": made}),
            ("ping", {"session_id": made}),
        ):
            stranger = _mcp(guarded, BETA, method, **params)
            assert "Unknown session_id" in json.dumps(stranger), method
            assert '"structuredContent"' not in json.dumps(stranger)
        state = {"name": "get_state", "arguments": {}, "session_id": made}
        assert _mcp(guarded, ALPHA, "tools/call", **state)["result"]["isError"] is False

    def test_do_not_use_each_others_ids_in_headers(self, guarded: Served, made: str) -> None:
        for headers in ({"Mcp-Session-Id": made}, {"X-Session-ID": made}):
            call = _call("tools/call", name="get_state", arguments={})
            answer = httpx.post(f"{guarded.url}/mcp", json=call, headers={**bearer(BETA), **headers})
            assert "Unknown session_id" in answer.text
        ended = httpx.delete(f"{guarded.url}/mcp", headers={**bearer(BETA), "Mcp-Session-Id": made})
        assert ended.status_code == 404
        assert httpx.get(f"{guarded.url}/state", headers={**bearer(BETA), "X-Session-ID": made}).status_code == 404

    async def test_do_not_attach_to_them(self, guarded: Served, made: str) -> None:
        path = f"/ws?session_id={made}"
        frame = await first_frame(guarded, path, additional_headers=bearer(BETA))
        assert frame["data"]["message"].startswith("Unknown session_id")
        assert (await first_frame(guarded, path, additional_headers=bearer(ALPHA)))["type"] == "state"

    def test_have_a_default_session_each(self, guarded: Served) -> None:
        names = {ALPHA: "the first's", BETA: "the second's"}
        for token, name in names.items():
            httpx.post(f"{guarded.url}/reset", json={"episode_id": name}, headers=bearer(token))
        for token, name in names.items():
            assert name in json.dumps(_mcp(guarded, token, "tools/call", name="get_state", arguments={}))


def _call(method: str, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


def _mcp(served: Served, token: str, method: str, **params: Any) -> dict[str, Any]:
    answer = httpx.post(f"{served.url}/mcp", json=_call(method, **params), headers=bearer(token))
    told: dict[str, Any] = answer.json()
    return told


class TestATokenIsNowhereToBeRead:
    def test_in_no_answer_and_in_no_log_of_ours(self, guarded: Served, caplog: pytest.LogCaptureFixture) -> None:
        wrong = "wrong-token-00009"
        with caplog.at_level(logging.DEBUG, logger="supportbench"), httpx.Client(base_url=guarded.url) as client:
            for token in (ALPHA, wrong):
                for method, path in walked(guarded.app):
                    answer = client.request(method, path, headers=bearer(token))
                    assert token not in answer.text
                    assert token not in str(answer.headers)
        assert "Turned away" in caplog.text
        for token in (ALPHA, BETA, wrong):
            assert token not in caplog.text

    def test_nor_in_what_a_server_process_writes_at_its_most_talkative(self) -> None:
        arguments = ("-m", "supportbench", "serve", "--port", "0", "--log-level", "debug", "--max-header", "1024")
        environ = {"SUPPORTBENCH_TOKEN": f"{ALPHA},{BETA}"}
        with processes.serving(*arguments, environ=environ) as server:
            for token in (ALPHA, "wrong-token-00009"):
                httpx.post(f"{server.url}/reset", headers=bearer(token))
                httpx.post(f"{server.url}/reset", headers={**bearer(token), "X-Large": "x" * 2000})
                asyncio.run(_try_to_connect(f"{server.ws}/ws", token))
            server.end()
            written = "\n".join(server.lines)
        assert "Turned away" in written
        for token in (ALPHA, BETA, "wrong-token-00009"):
            assert token not in written

    def test_nor_in_the_settings_when_they_are_printed(self) -> None:
        assert ALPHA not in repr(ServerSettings(tokens=(ALPHA,)))


async def _try_to_connect(url: str, token: str) -> None:
    try:
        async with connect(url, additional_headers=bearer(token)) as opened:
            await opened.send('{"type":"reset"}')
            await opened.recv()
    except InvalidStatus:
        assert token != ALPHA
