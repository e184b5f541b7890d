"""The gate: pages of other origins, and hosts that are not ours."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin

from supportbench import SettingsError
from supportbench.server.app import create_app
from supportbench.settings import ServerSettings
from tests.server.asking import STRANGER, a_gate, ask, bearer
from tests.server.serving import Served, first_frame, serving

ALPHA = "alpha-token-0001"


@pytest.fixture(scope="module")
def unguarded() -> Iterator[Served]:
    with serving() as served:
        yield served


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
