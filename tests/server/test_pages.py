"""The pages: what people see, what programs get instead, and what no pack can smuggle in."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import itertools
import json
import re
import subprocess
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any, Final

import attrs
import httpx
import pytest

from supportbench.server.app import create_app
from supportbench.settings import ServerSettings
from tests.server.packs import EVIL, Endless, Moody, evil_pack, shop_of
from tests.server.serving import Served, serving
from tests.shop import a_shop

FIREFOX: Final = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
TOKEN: Final = "a-token-for-tests"  # noqa: S105
_EMPTY: Final = frozenset(("meta", "link", "img", "br", "path", "rect"))


@attrs.define
class Page(HTMLParser):
    """A page as a browser understands it: its elements, its text, the ids that links can lead to."""

    elements: list[tuple[str, dict[str, str]]] = attrs.field(factory=list)
    texts: list[str] = attrs.field(factory=list)
    blocks: list[str] = attrs.field(factory=list)
    style: str = ""
    _open: list[str] = attrs.field(factory=list)

    def __attrs_post_init__(self) -> None:
        super().__init__()

    @classmethod
    def of(cls, html: str) -> Page:
        page = cls()
        page.feed(html)
        page.close()
        assert page._open == []
        return page

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attributes}
        assert len(named) == len(attributes)
        self.elements.append((tag, named))
        if tag not in _EMPTY:
            self._open.append(tag)
        if tag == "pre":
            self.blocks.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "style":
            self.style += data
        elif "pre" in self._open:
            self.blocks[-1] += data
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.texts).split())

    def all(self, tag: str) -> list[dict[str, str]]:
        return [named for found, named in self.elements if found == tag]

    def values(self, attribute: str) -> list[str]:
        return [named[attribute] for _, named in self.elements if attribute in named]


def browsed(served: Served, path: str = "/", **headers: str) -> tuple[httpx.Response, Page]:
    answer = httpx.get(f"{served.url}{path}", headers={"accept": FIREFOX, **headers})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return answer, Page.of(answer.text)


@pytest.fixture(scope="module")
def shop() -> Iterator[Served]:
    with serving(a_shop()) as served:
        yield served


@pytest.fixture(scope="module")
def bundled() -> Iterator[Served]:
    with serving() as served:
        yield served


# -- which of both ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("*/*", "json"),
        ("", "json"),
        ("application/json", "json"),
        ("text/html", "html"),
        (FIREFOX, "html"),
        ("text/html;q=0.5, application/json", "json"),
        ("application/json;q=0.5, text/html;q=0.9", "html"),
        ("TEXT/HTML", "html"),
        ("text/html;q=0", "json"),
        ("text/html;level=1;q=0.3, application/json;q=0.2", "html"),
        ("text/html;q=nonsense", "html"),
        (";;,,;q=", "json"),
        ("text/plain", "json"),
        ("x" * 10_000, "json"),
    ],
)
def test_who_prefers_html_gets_a_page_and_everybody_else_json(shop: Served, accept: str, kind: str) -> None:
    answer = httpx.get(shop.url, headers={"accept": accept})
    assert answer.status_code == 200
    assert kind in answer.headers["content-type"]
    assert answer.headers["vary"] == "Accept"


def test_programs_are_told_what_is_served(shop: Served) -> None:
    said = httpx.get(shop.url).json()
    assert said["name"] == "supportbench"
    assert said["mode"] == "simulation"
    assert said["rubric"] is None
    assert [(source["name"], source["default"]) for source in said["providers"]] == [
        ("bakery", False),
        ("butcher", False),
        ("triage", True),
    ]
    assert said["providers"][2]["splits"] == [{"name": "test", "num_tasks": 3}, {"name": "train", "num_tasks": 1}]
    assert said["sessions"]["max"] == 10_000
    for name, path in said["links"].items():
        if name not in ("websocket", "mcp", "reset", "step", "state"):
            assert httpx.get(f"{shop.url}{path}").status_code == 200, name


def test_open_sessions_are_counted(shop: Served) -> None:
    before = httpx.get(shop.url).json()["sessions"]["active"]
    httpx.post(f"{shop.url}/reset", json={"task_id": "one"})
    assert httpx.get(shop.url).json()["sessions"]["active"] == before + 1


def test_web_leads_to_the_page(shop: Served) -> None:
    answer = httpx.get(f"{shop.url}/web")
    assert (answer.status_code, answer.headers["location"]) == (307, "/")


# -- the page -----------------------------------------------------------------------------------------------------


def test_the_page_shows_every_task_and_where_it_is(shop: Served) -> None:
    _, page = browsed(shop)
    for title in ("One", "Two", "Monday", "Everywhere", "Learn"):
        assert title in page.text
    links = [named["href"] for named in page.all("a")]
    assert "/tasks/monday?provider=bakery" in links
    for link in links:
        if link.startswith("/"):
            assert httpx.get(f"{shop.url}{link}").status_code == 200, link


def test_the_lines_of_python_work_as_they_stand(bundled: Served) -> None:
    _, page = browsed(bundled)
    lines, _ = page.blocks
    assert len(lines.splitlines()) == 3
    assert bundled.url in lines
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(lines, {})  # noqa: S102 - as a reader would
    assert "Ticket(ticket_id=" in printed.getvalue()


def test_the_lines_for_a_shell_work_as_they_stand(bundled: Served) -> None:
    _, page = browsed(bundled)
    _, lines = page.blocks
    answers = [
        json.loads(subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True).stdout)
        for line in lines.splitlines()
    ]
    assert answers[0]["observation"]["task_id"] == answers[1]["task"]["task_id"] == "easy_inbox_cleanup"


def test_the_address_is_the_one_that_the_reader_used(bundled: Served) -> None:
    port = bundled.url.rpartition(":")[2]
    _, page = browsed(bundled, host=f"localhost:{port}")
    assert f"http://localhost:{port}" in page.blocks[0]
    assert bundled.url not in page.text


def test_where_tokens_are_asked_for_the_page_says_so_and_shows_none() -> None:
    with serving(tokens=(TOKEN,)) as served:
        assert httpx.get(served.url, headers={"accept": FIREFOX}).status_code == 401
        answer, page = browsed(served, authorization=f"Bearer {TOKEN}")
    assert TOKEN not in answer.text
    assert 'token="…"' in page.blocks[0]
    assert 'curl -H "Authorization: Bearer $TOKEN"' in page.blocks[1]


def test_in_production_nothing_is_said_of_reset() -> None:
    with serving(mode="production") as served:
        _, page = browsed(served)
    assert len(page.blocks) == 1
    assert "production" in page.text


def test_of_a_million_tasks_some_are_shown() -> None:
    endless = Endless()
    with serving(shop_of(endless)) as served:
        _, page = browsed(served)
    assert "1,000,003" in page.text
    assert "And 999,978 more" in page.text
    assert endless.made == 25


@pytest.mark.parametrize("fails_at", ["splits", "num_tasks", "task"])
def test_a_provider_that_fails_is_named_and_the_rest_is_shown(fails_at: str) -> None:
    with serving(shop_of(Moody(fails_at, name="a-moody-one"))) as served:
        said = httpx.get(served.url).json()["providers"][0]
        _, page = browsed(served)
    assert "a-moody-one" in page.text
    if fails_at != "task":
        assert "task provider 'a-moody-one' failed" in said["problem"]
        assert said["problem"] in page.text
    assert "answer key" not in page.text


def test_a_server_without_tasks_has_a_page_too() -> None:
    with serving(shop_of()) as served:
        _, page = browsed(served)
    assert "There are none." in page.text


# -- safety -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_nothing_that_a_pack_says_becomes_part_of_the_page(path: str) -> None:
    with serving(shop_of(evil_pack())) as served:
        answer, page = browsed(served, path)
        _, plain = browsed(served, path, host=f"localhost:{served.url.rpartition(':')[2]}")
    for seen in (page, plain):
        assert not {"script", "iframe", "object", "base", "form"} & {tag for tag, _ in seen.elements}
        assert len(seen.all("img")) == 1
        assert not [name for _, named in seen.elements for name in named if name.startswith("on")]
    assert (EVIL if path == "/" else json.dumps(EVIL)) in "".join(page.texts)
    if path == "/":
        (link,) = [named["href"] for named in page.all("a") if named["href"].startswith("/tasks/")]
        assert link.isascii()
    assert "<script" not in answer.text


def test_the_evil_task_can_be_followed() -> None:
    with serving(shop_of(evil_pack())) as served:
        _, page = browsed(served)
        (link,) = [named["href"] for named in page.all("a") if named["href"].startswith("/tasks/")]
        assert httpx.get(f"{served.url}{link}").json()["task_id"] == EVIL


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_a_page_needs_nothing_else_and_allows_nothing_else(shop: Served, path: str) -> None:
    answer, page = browsed(shop, path)
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    digest = base64.b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
    assert policy == {
        "default-src": "'none'",
        "style-src": f"'sha256-{digest}'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert not page.values("style")
    assert "url(" not in page.style
    assert "@import" not in page.style
    for address in (*page.values("src"), *page.values("href")):
        assert re.match(r"/(?!/)|#|data:image/svg\+xml,", address), address


def test_pages_of_allowed_origins_may_frame_it() -> None:
    with serving(a_shop(), allowed_origins=("https://spaces.example",)) as served:
        answer, _ = browsed(served)
    assert answer.headers["content-security-policy"].endswith("frame-ancestors https://spaces.example")


# -- for everybody ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_a_page_can_be_read_without_seeing_it(shop: Served, path: str) -> None:
    _, page = browsed(shop, path)
    assert page.all("html")[0]["lang"] == "en"
    assert len(page.all("h1")) == len(page.all("main")) == len(page.all("title")) == 1
    assert page.all("a")[0]["href"] == "#" + page.all("main")[0]["id"]
    assert {named["scope"] for named in page.all("th")} == {"col", "row"}
    assert len(page.all("caption")) == len(page.all("table"))
    assert all("alt" in named for named in page.all("img"))
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    for named in (named for _, named in page.elements if named.get("role") == "region"):
        assert named["aria-label"]
        assert named["tabindex"] == "0"


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_a_page_has_two_colour_schemes_and_fits_a_small_screen(shop: Served, path: str) -> None:
    _, page = browsed(shop, path)
    assert "prefers-color-scheme: dark" in page.style
    metas = {named.get("name"): named.get("content") for named in page.all("meta")}
    assert metas["viewport"] == "width=device-width, initial-scale=1"
    assert metas["color-scheme"] == "light dark"


# -- the reference ------------------------------------------------------------------------------------------------


def test_the_reference_has_every_operation_answer_and_key(shop: Served) -> None:
    document: dict[str, Any] = httpx.get(f"{shop.url}/openapi.json").json()
    _, page = browsed(shop, "/docs")
    identifiers = page.values("id")
    assert len(set(identifiers)) == len(identifiers)
    for path, methods in document["paths"].items():
        for operation in methods.values():
            assert operation["operationId"] in identifiers
            assert path in page.text
            for answer in operation["responses"].values():
                assert " ".join(answer["description"].replace("`", "").split()) in page.text
    for name, schema in document["components"]["schemas"].items():
        assert name in identifiers
        for part in schema["properties"].values():
            assert " ".join(part["description"].replace("`", "").split()) in page.text
    targets = {named["href"][1:] for named in page.all("a") if named["href"].startswith("#")}
    assert targets <= set(identifiers)


def test_the_reference_names_the_vocabulary_and_the_limits(bundled: Served) -> None:
    _, page = browsed(bundled, "/docs")
    assert '"P1" or "P2" or "P3" or "P4"' in page.text
    assert "number from 0 to 1" in page.text
    assert "string of 1 to 255 characters" in page.text
    assert "list of TaskCard" in page.text


def test_as_long_as_actions_cannot_be_described_there_is_no_reference() -> None:
    moody = Moody("taxonomies")
    with serving(shop_of(moody)) as served:
        assert httpx.get(f"{served.url}/docs").status_code == 502
        moody.fails_at = ""
        browsed(served, "/docs")


async def test_below_another_path_links_lead_there_too() -> None:
    app = create_app(ServerSettings(), a_shop())
    transport = httpx.ASGITransport(app, root_path="/bench")
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        answer = await client.get("/bench/", headers={"accept": FIREFOX})
        page = Page.of(answer.text)
        assert "http://localhost/bench" in page.blocks[0]
        assert "/bench/docs" in page.values("href")
        assert "/bench/tasks/monday?provider=bakery" in page.values("href")
        assert (await client.get("/bench/web")).headers["location"] == "/bench/"
        assert (await client.get("/bench/tasks/monday")).json()["task_id"] == "monday"
        assert (await client.get("/bench/")).json()["links"]["tasks"] == "/bench/tasks"
        assert (await client.get("/bench/metadata")).json()["documentation_url"] == "/bench/docs"
        assert (await client.get("/bench/openapi.json")).json()["servers"] == [{"url": "/bench"}]
