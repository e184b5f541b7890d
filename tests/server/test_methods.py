"""HEAD and OPTIONS in front of any application, and of one with several handlers at one path."""

from __future__ import annotations

from typing import Any, cast

import httpx
import pytest
from litestar import Litestar, delete, get, post

from supportbench.server.channel import ASGIApp, Receive, Scope, Send
from supportbench.server.methods import UsualMethods


@get("/thing")
async def read() -> dict[str, str]:
    return {"a": "thing"}


@delete("/thing", status_code=204)
async def end() -> None: ...


@post("/deed")
async def do() -> None: ...


async def asked(method: str, path: str, **headers: str) -> httpx.Response:
    app = UsualMethods(cast(ASGIApp, Litestar([read, end, do], openapi_config=None, logging_config=None)))
    transport = httpx.ASGITransport(cast(Any, app))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        return await client.request(method, path, headers=headers)


@pytest.mark.parametrize(("path", "allowed"), [("/thing", "DELETE, GET, HEAD, OPTIONS"), ("/deed", "OPTIONS, POST")])
async def test_options_tells_the_methods_of_all_handlers_of_a_path(path: str, allowed: str) -> None:
    told = await asked("OPTIONS", path)
    assert (told.status_code, told.headers["allow"], told.content) == (204, allowed, b"")
    for method in ("PUT", "TRACE", "BREW"):
        refused = await asked(method, path)
        assert (refused.status_code, refused.headers["allow"]) == (405, allowed)
        assert refused.content


async def test_head_has_the_headers_of_get_and_no_body() -> None:
    told, seen = await asked("HEAD", "/thing"), await asked("GET", "/thing")
    assert (told.status_code, told.content) == (200, b"")
    assert told.headers == seen.headers
    assert seen.json() == {"a": "thing"}


async def test_what_is_not_there_is_not_there_for_any_method() -> None:
    for method in ("HEAD", "OPTIONS", "GET", "TRACE"):
        assert (await asked(method, "/nowhere")).status_code == 404


async def test_a_browsers_preflight_is_passed_on() -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["method"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"yes"})

    transport = httpx.ASGITransport(cast(Any, UsualMethods(app)))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        asking = {"access-control-request-method": "GET", "origin": "http://a.example"}
        assert (await client.options("/thing", headers=asking)).text == "yes"
    assert seen == ["OPTIONS"]
