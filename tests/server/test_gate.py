"""The gate: tokens, pages of other origins, and hosts that are not ours."""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin

from supportbench import SettingsError, unstructure
from supportbench.server.app import create_app
from supportbench.settings import ServerSettings
from tests.offering import an_action
from tests.server import processes
from tests.server.asking import STRANGER, a_gate, ask, bearer
from tests.server.serving import Served, serving
from tests.server.walking import walked

ALPHA, BETA = "alpha-token-0001", "beta-token-00002"
ACTION = unstructure(an_action())
TRIAGE = {name: value for name, value in ACTION.items() if name != "metadata"}


@pytest.fixture(scope="module")
def guarded() -> Iterator[Served]:
    with serving(tokens=(ALPHA, BETA)) as served:
        yield served


@pytest.fixture(scope="module")
def unguarded() -> Iterator[Served]:
    with serving() as served:
        yield served


async def first_frame(served: Served, path: str = "/ws", **options: Any) -> dict[str, Any]:
    """Return what a WebSocket is answered to a look at the state, or at once."""
    async with connect(f"{served.ws}{path}", **options) as opened:
        with suppress(ConnectionClosed):  # what was said before is still to be read
            await opened.send('{"type":"state"}')
        frame: dict[str, Any] = json.loads(await opened.recv())
        return frame


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


# -- hosts --------------------------------------------------------------------------------------------------------

OURS = [
    *("localhost", "localhost:8000", "LOCALHOST:1", "localhost.:8000", "127.0.0.1", "127.0.0.1:8000"),
    *("127.8.9.1", "[::1]", "[::1]:8000", "ip6-localhost:8000", "[::ffff:127.0.0.1]:8000"),
]
NOT_OURS = [
    *("evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost.evil.example", "192.0.2.1:8000"),
    *("0.0.0.0:8000", "[2001:db8::1]:8000", "[::1", "xn--lcalhost-54a", "127.0.0.1@evil.example", "\xe9", "a b", "."),
]


class TestAHostThatIsNotOurs:
    """A page may let its own name point at loopback (DNS rebinding): its browser then sends that name as the host."""

    @pytest.mark.parametrize("host", OURS)
    async def test_is_no_name_of_loopback(self, host: str) -> None:
        gate, _ = a_gate()
        for server in ("127.0.0.1", "::1", "::ffff:127.0.0.1"):
            assert (await ask(gate, server=server, headers=[("host", host)])).passed

    @pytest.mark.parametrize("host", NOT_OURS)
    async def test_is_refused_on_loopback(self, host: str) -> None:
        gate, inside = a_gate()
        for kind in ("http", "websocket"):
            for server in ("127.0.0.1", "::1", "::ffff:127.0.0.1"):
                answer = await ask(gate, kind=kind, server=server, headers=[("host", host)])
                assert answer.status == 421
                assert "--allowed-host" in answer.detail
        assert inside.callers == []

    def test_is_refused_by_a_real_server(self, unguarded: Served) -> None:
        answer = httpx.post(f"{unguarded.url}/reset", headers={"Host": "evil.example"})
        assert answer.status_code == 421

    async def test_is_refused_at_the_handshake(self, unguarded: Served) -> None:
        port = unguarded.url.rpartition(":")[2]
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"ws://evil.example:{port}/ws", host="127.0.0.1", proxy=None)
        assert refused.value.response.status_code == 421

    async def test_may_be_any_where_the_server_is_reached_from_outside(self) -> None:
        gate, _ = a_gate()
        assert (await ask(gate, server="192.0.2.5", client=STRANGER, headers=[("host", "example.org")])).passed

    async def test_is_refused_wherever_the_server_is_when_hosts_are_named(self) -> None:
        gate, _ = a_gate(allowed_hosts=("Triage.Example", "other.example:8443", "[2001:db8::1]", "192.0.2.5"))
        for host in ("triage.example", "TRIAGE.example:80", "other.example:8443", "[2001:db8::1]:8000", "192.0.2.5"):
            assert (await ask(gate, server="192.0.2.5", headers=[("host", host)])).passed, host
        for host in ("evil.example", "other.example", "localhost", "", "triage.example.evil.example"):
            answer = await ask(gate, server="192.0.2.5", headers=[("host", host)])
            assert answer.status == 421
            assert "--allowed-host" in answer.detail

    async def test_matters_behind_a_proxy_on_the_same_machine_which_is_told_what_to_do(self) -> None:
        as_the_proxy_asks = [("host", "triage.example"), ("x-forwarded-for", STRANGER)]
        gate, _ = a_gate()
        answer = await ask(gate, headers=as_the_proxy_asks)
        assert answer.status == 421
        assert "behind a proxy" in answer.detail
        assert "--allowed-host NAME" in answer.detail
        gate, _ = a_gate(allowed_hosts=("triage.example",))
        assert (await ask(gate, headers=as_the_proxy_asks)).passed

    async def test_does_not_matter_to_a_probe_of_the_health(self) -> None:
        gate, _ = a_gate(allowed_hosts=("triage.example",), tokens=(ALPHA,))
        assert (await ask(gate, path="/health", headers=[("host", "10.1.2.3:8000")])).passed

    @pytest.mark.parametrize(
        "host",
        ["http://example.org", "example.org/path", "*", "*.example.org", "a b", "user@host", "a:b", "[::1", ":80"],
    )
    def test_cannot_be_allowed_when_it_is_none(self, host: str) -> None:
        with pytest.raises(SettingsError, match="--allowed-host takes a name or an address"):
            a_gate(allowed_hosts=(host,))

    def test_stops_the_start_when_it_is_none(self, registry: Any) -> None:
        with pytest.raises(SettingsError, match=r"'\*' is no host to allow"):
            create_app(ServerSettings(allowed_hosts=("*",)), registry)


# -- origins ------------------------------------------------------------------------------------------------------

LAB = "https://lab.example"


class TestAPageOfAnotherOrigin:
    @pytest.mark.parametrize(
        "origin",
        [
            *(
                "https://evil.example",
                "http://evil.example:8000",
                "null",
                "file://",
                "",
                "http://",
                "http://[::1",
                "//",
            ),
            *("http://localhost:8001", "http://localhost", "http://localhost:80001", "http://user@localhost:8000"),
            *("https://localhost:8000.evil.example", "javascript:alert(1)", "\xe9\xff", "x" * 5000),
        ],
    )
    async def test_may_not_call(self, origin: str) -> None:
        gate, inside = a_gate()
        for kind in ("http", "websocket"):
            headers = [("host", "localhost:8000"), ("origin", origin)]
            answer = await ask(gate, kind=kind, method="POST", headers=headers)
            assert answer.status == 403
            assert "--allowed-origin" in answer.detail
            assert b"access-control-allow-origin" not in answer.headers
        assert inside.callers == []

    async def test_may_not_call_by_saying_no_host(self) -> None:
        gate, _ = a_gate()
        assert (await ask(gate, headers=[("origin", "null")])).status == 403

    @pytest.mark.parametrize(
        ("host", "origin"),
        [
            ("localhost:8000", "http://localhost:8000"),
            ("127.0.0.1:8000", "http://127.0.0.1:8000"),
            ("[::1]:8000", "http://[::1]:8000"),
            ("localhost:8000", "https://localhost:8000"),  # TLS ends at a proxy
        ],
    )
    async def test_is_not_one_of_ours(self, host: str, origin: str) -> None:
        gate, _ = a_gate()
        for kind in ("http", "websocket"):
            assert (await ask(gate, kind=kind, headers=[("host", host), ("origin", origin)])).passed

    async def test_may_call_when_it_is_allowed(self) -> None:
        gate, _ = a_gate(allowed_origins=("HTTPS://Lab.Example:443/", "http://localhost:3000"))
        for origin in (LAB, "http://localhost:3000"):
            for kind in ("http", "websocket"):
                assert (await ask(gate, kind=kind, headers=[("host", "localhost"), ("origin", origin)])).passed
        for origin in ("https://lab.example.evil.example", "http://lab.example", "http://localhost:3001", "null"):
            assert (await ask(gate, headers=[("host", "localhost"), ("origin", origin)])).status == 403

    @pytest.mark.parametrize(
        "origin", ["lab.example", "*", "null", "https://*.example", "https://lab.example/path", "https://", "a b://c"]
    )
    def test_cannot_be_allowed_when_it_is_none(self, origin: str) -> None:
        with pytest.raises(SettingsError, match="--allowed-origin takes what a browser shows"):
            a_gate(allowed_origins=(origin,))

    async def test_cannot_open_a_websocket_of_a_real_server(self, unguarded: Served) -> None:
        for origin in ("https://evil.example", "null"):
            with pytest.raises(InvalidStatus) as refused:
                await connect(f"{unguarded.ws}/ws", origin=Origin(origin))
            assert refused.value.response.status_code == 403
        assert (await first_frame(unguarded, origin=Origin(unguarded.url)))["type"] == "state"


@pytest.fixture(scope="module")
def allowing() -> Iterator[Served]:
    with serving(allowed_origins=(LAB, "http://localhost:3000"), tokens=(ALPHA,)) as served:
        yield served


class TestCors:
    PREFLIGHT = {  # noqa: RUF012 - nobody changes it
        "Origin": LAB,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,x-session-id,mcp-session-id",
    }

    def test_is_off_unless_an_origin_is_allowed(self, unguarded: Served) -> None:
        assert httpx.options(f"{unguarded.url}/reset", headers=self.PREFLIGHT).status_code == 403
        for headers in ({}, {"Origin": unguarded.url}):
            answer = httpx.post(f"{unguarded.url}/reset", headers=headers)
            assert answer.status_code == 200
            assert not [name for name in answer.headers if name.startswith("access-control-")]

    def test_answers_a_preflight_without_a_token(self, allowing: Served) -> None:
        answer = httpx.options(f"{allowing.url}/reset", headers=self.PREFLIGHT)
        assert answer.status_code == 204
        assert answer.headers["access-control-allow-origin"] == LAB
        assert answer.headers["vary"] == "Origin"
        assert {"GET", "POST"} <= set(answer.headers["access-control-allow-methods"].split(", "))
        allowed = answer.headers["access-control-allow-headers"].split(", ")
        assert {"authorization", "content-type", "x-session-id", "mcp-session-id"} <= set(allowed)
        assert "access-control-allow-credentials" not in answer.headers

    def test_lets_a_page_of_that_origin_read_the_answer_and_the_sessions_id(self, allowing: Served) -> None:
        answer = httpx.post(f"{allowing.url}/reset", headers={"Origin": LAB, **bearer(ALPHA)})
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == LAB
        assert answer.headers["vary"] == "Origin"
        assert set(answer.headers["access-control-expose-headers"].split(", ")) == {"X-Session-ID", "Mcp-Session-Id"}

    def test_lets_it_read_errors_too(self, allowing: Served) -> None:
        for answer in (
            httpx.post(f"{allowing.url}/step", content=b"{", headers={"Origin": LAB, **bearer(ALPHA)}),
            httpx.get(f"{allowing.url}/nowhere", headers={"Origin": LAB, **bearer(ALPHA)}),
            httpx.post(f"{allowing.url}/reset", headers={"Origin": LAB}),
        ):
            assert answer.status_code in (401, 404, 422)
            assert answer.headers["access-control-allow-origin"] == LAB

    def test_says_nothing_to_pages_of_other_origins(self, allowing: Served) -> None:
        for method in ("OPTIONS", "POST"):
            headers = {**self.PREFLIGHT, "Origin": "https://evil.example", **bearer(ALPHA)}
            answer = httpx.request(method, f"{allowing.url}/reset", headers=headers)
            assert answer.status_code == 403
            assert "access-control-allow-origin" not in answer.headers

    def test_refuses_methods_and_headers_that_nothing_needs(self, allowing: Served) -> None:
        for change in ({"Access-Control-Request-Method": "PUT"}, {"Access-Control-Request-Headers": "x-evil"}):
            assert httpx.options(f"{allowing.url}/reset", headers={**self.PREFLIGHT, **change}).status_code == 400
