"""What a server has to offer: health, metadata, tasks, plugins and rubrics, each as a client gets it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import httpcore
import httpx
import jsonschema  # type: ignore[import-untyped]
import pytest
from openenv.core.env_server.types import EnvironmentMetadata, HealthResponse

from supportbench import (
    Registry,
    Rubric,
    RubricComponent,
    SafetyPolicy,
    StaticTasks,
)
from supportbench.rubrics import bind
from tests.cli.command import supportbench
from tests.installing import importable
from tests.offering import Told, registry_of
from tests.server.packs import MANY, Answers, Endless, Moody, shop_of
from tests.server.serving import Served, got, serving
from tests.shop import TOLD, a_shop, told_task
from tests.test_secrecy import SECRETS, canary_registry, canary_task

JSON: Final = "application/json"
Validator: Final = jsonschema.Draft202012Validator


@pytest.fixture(scope="module")
def shop() -> Iterator[Served]:
    with serving(a_shop()) as served:
        yield served


@pytest.fixture(scope="module")
def bundled() -> Iterator[Served]:
    with serving() as served:
        yield served


# -- health and metadata ------------------------------------------------------------------------------------------


def test_the_health_is_openenvs_word(shop: Served) -> None:
    said = got(shop, "/health")
    assert said == {"status": "healthy"}
    HealthResponse.model_validate(said)


def test_the_health_asks_no_plugin() -> None:
    with serving(shop_of(Endless(), Moody("everything"))) as served:
        assert got(served, "/health?now=1") == {"status": "healthy"}


def test_the_metadata_are_openenvs(shop: Served) -> None:
    said = got(shop, "/metadata")
    told = EnvironmentMetadata.model_validate(said)
    assert (told.name, told.author, told.documentation_url) == ("supportbench", None, "/docs")
    assert "triages SaaS support tickets" in told.description
    assert told.version


def test_the_readme_is_without_its_front_matter(shop: Served, tmp_path: Path) -> None:
    info = tmp_path / "supportbench-9.9.dist-info"
    info.mkdir()
    readme = "---\ntitle: supportbench\nemoji: 📮\n---\n\n# supportbench\n\nIt measures — so to speak.\n\n---\nMore.\n"
    head = "Metadata-Version: 2.4\nName: supportbench\nVersion: 9.9\nSummary: A test.\n"
    (info / "METADATA").write_text(f"{head}\n{readme}", encoding="utf-8")
    with importable(tmp_path), serving(a_shop()) as served:
        said = got(served, "/metadata")
    assert said["readme_content"] == "# supportbench\n\nIt measures — so to speak.\n\n---\nMore.\n"
    assert (said["version"], said["description"]) == ("9.9", "A test.")


# -- tasks --------------------------------------------------------------------------------------------------------

PLACES: Final = [
    ("bakery", "test", 0, "monday"),
    ("bakery", "test", 1, "everywhere"),
    ("butcher", "test", 0, "everywhere"),
    ("butcher", "test", 1, "one"),
    ("triage", "test", 0, "one"),
    ("triage", "test", 1, "two"),
    ("triage", "test", 2, "three"),
    ("triage", "train", 0, "learn"),
]


def place(card: dict[str, Any]) -> tuple[str, str, int, str]:
    return card["provider"], card["split"], card["index"], card["task_id"]


def test_all_tasks_are_listed_in_order_with_their_public_cards(shop: Served) -> None:
    said = got(shop, "/tasks")
    assert [place(card) for card in said["tasks"]] == PLACES
    assert (said["next"], said["total"]) == (None, len(PLACES))
    keys = {"provider", "split", "index", "task_id", "title", "difficulty", "description", "total_tickets"}
    assert all(set(card) == keys for card in said["tasks"])


@pytest.mark.parametrize("limit", range(1, 10))
def test_pages_put_together_are_the_whole(shop: Served, limit: int) -> None:
    seen: list[Any] = []
    cursor: str | None = "0"
    while cursor is not None:
        page = got(shop, f"/tasks?limit={limit}&cursor={cursor}")
        assert len(page["tasks"]) <= limit
        assert page["total"] == len(PLACES)
        seen += page["tasks"]
        cursor = page["next"]
    assert [place(card) for card in seen] == PLACES


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("provider=bakery", [found for found in PLACES if found[0] == "bakery"]),
        ("split=train", [found for found in PLACES if found[1] == "train"]),
        ("provider=triage&split=test", PLACES[4:7]),
        ("provider=butcher&split=empty", []),
        ("cursor=999999", []),
    ],
)
def test_tasks_are_picked_by_provider_and_split(shop: Served, query: str, wanted: list[Any]) -> None:
    said = got(shop, f"/tasks?{query}")
    assert [place(card) for card in said["tasks"]] == wanted
    assert said["next"] is None


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("provider=bakerie", "There is no task provider 'bakerie'. Did you mean 'bakery'?"),
        ("split=tset", "No provider has a split 'tset'. Did you mean 'test'?"),
        ("provider=bakery&split=train", "Provider 'bakery' has no split 'train'. Known: 'test'."),
    ],
)
def test_what_does_not_exist_is_not_found_and_the_nearest_is_named(shop: Served, query: str, told: str) -> None:
    assert got(shop, f"/tasks?{query}", 404)["detail"].startswith(told)


@pytest.mark.parametrize(
    ("query", "loc", "told"),
    [
        ("limit=0", "limit", "must be from 1 to 1000"),
        ("limit=1001", "limit", "must be from 1 to 1000"),
        ("limit=-1", "limit", "must be from 1 to 1000"),
        ("limit=ten", "limit", "expected a whole number"),
        ("limit=1.5", "limit", "expected a whole number"),
        ("limit=", "limit", "expected a whole number"),
        ("limit=%D9%A3", "limit", "expected a whole number"),
        ("limit=" + "9" * 5000, "limit", "expected a whole number"),
        ("cursor=x", "cursor", "what `next` of a page said"),
        ("cursor=-1", "cursor", "what `next` of a page said"),
        ("cursor=5%0A", "cursor", "what `next` of a page said"),
        ("cursor=", "cursor", "what `next` of a page said"),
        ("cursor=" + "1" * 19, "cursor", "what `next` of a page said"),
        ("provider=", "provider", "must not be empty"),
        ("split=" + "s" * 256, "split", "at most 255 characters"),
        ("limit=1&limit=2", "limit", "given twice"),
        ("limits=5", "limits", "unknown parameter. Did you mean 'limit'?"),
        ("x" * 5000 + "=5", "x" * 77 + "...", "unknown parameter"),
    ],
)
def test_a_bad_parameter_is_refused_by_name(shop: Served, query: str, loc: str, told: str) -> None:
    refused = got(shop, f"/tasks?{query}", 422)
    (fault,) = refused["detail"]
    assert fault["loc"] == ["query", *(part for part in loc.split(".") if part)]
    assert told in fault["msg"]
    assert told in refused["message"]
    assert len(json.dumps(refused)) < 1000


def test_every_fault_of_a_query_is_listed(shop: Served) -> None:
    refused = got(shop, "/tasks?limit=x&cursor=y&colour=blue&limit=y", 422)
    assert [fault["loc"][1] for fault in refused["detail"]] == ["colour", "limit", "limit", "cursor"]


def test_a_query_of_endless_parameters_is_not_read_to_its_end(shop: Served) -> None:
    refused = got(shop, "/tasks?" + "&".join(f"a{number}=" for number in range(101)), 422)
    assert refused["message"] == "query: more than 100 parameters"


def test_of_a_million_tasks_only_the_page_is_made() -> None:
    endless = Endless()
    with serving(shop_of(endless)) as served:
        said = got(served, f"/tasks?limit=5&cursor={MANY - 3}")
        assert [place(card)[1:3] for card in said["tasks"]] == [
            *(("train", index) for index in range(MANY - 3, MANY)),
            ("test", 0),
            ("test", 1),
        ]
        assert (said["next"], said["total"]) == (str(MANY + 2), MANY + 3)
        assert endless.made == 5
        assert len(got(served, "/tasks?limit=1000")["tasks"]) == 1000
        assert endless.made == 1005


@pytest.mark.parametrize("fails_at", ["splits", "num_tasks", "task"])
def test_a_provider_that_fails_is_named_and_does_no_harm_to_the_others(fails_at: str) -> None:
    with serving(shop_of(Endless(), Moody(fails_at))) as served:
        refused = got(served, "/tasks", 502)
        assert "task provider 'moody' failed" in refused["detail"]
        assert "P1" not in json.dumps(refused)
        assert got(served, "/tasks?provider=triage&limit=1")["total"] == MANY + 3


@pytest.mark.parametrize(
    "answers", [{"splits": None}, {"splits": [1]}, {"num_tasks": -1}, {"num_tasks": "3"}, {"task": None}]
)
def test_a_provider_that_answers_what_it_may_not_is_named(answers: dict[str, Any]) -> None:
    with serving(shop_of(Answers(**answers))) as served:
        assert "'wrong'" in got(served, "/tasks", 502)["detail"]


# -- one task -----------------------------------------------------------------------------------------------------


def test_one_task_is_shown_as_a_reset_would_choose_it(shop: Served) -> None:
    assert place(got(shop, "/tasks/monday")) == PLACES[0]
    assert place(got(shop, "/tasks/one")) == ("triage", "test", 0, "one")
    assert place(got(shop, "/tasks/one?provider=butcher")) == ("butcher", "test", 1, "one")
    with httpx.Client(base_url=shop.url) as client:
        client.post("/reset", json={"task_id": "one"})
        assert client.get("/state").json()["task"] == got(shop, "/tasks/one")


@pytest.mark.parametrize(
    ("path", "status", "told"),
    [
        ("/tasks/mondey", 404, "There is no task 'mondey'. Did you mean 'monday'?"),
        ("/tasks/monday?provider=butcher", 404, "There is no task 'monday'"),
        ("/tasks/monday?provider=bakerie", 404, "There is no task provider 'bakerie'. Did you mean 'bakery'?"),
        ("/tasks/everywhere", 409, "Task 'everywhere' is offered by providers 'bakery' and 'butcher'."),
        ("/tasks/" + "x" * 256, 404, "an id has 1 to 255 characters"),
        ("/tasks/monday?colour=blue", 422, "unknown parameter"),
    ],
)
def test_a_task_that_is_not_there_or_not_one_is_refused(shop: Served, path: str, status: int, told: str) -> None:
    refused = got(shop, path, status)
    assert told in refused["message"]
    assert len(json.dumps(refused)) < 1000


ODD: Final = (
    *("a/b", "/", "//", "/a", "a/", "a//b", "a?b", "a#b", "100%", "%2F", "a+b", "a b", " a", "é", "日本", "a\n", "\0"),
    *("..", ".", "a/../b", "tasks", "tasks/a", "'", '"', "<b>", "a;b=c", "\\", "x" * 253, "🎫" * 253, "\u202e"),
)


@pytest.fixture(scope="module")
def odd() -> Iterator[Served]:
    with serving(
        shop_of(StaticTasks(name="triage", splits={"test": [told_task(task_id) for task_id in ODD]}))
    ) as served:
        yield served


def sent_as_it_is(served: Served, target: bytes) -> tuple[int, Any]:
    """Return the status and the JSON that a path and query are answered which no client has tidied up."""
    with httpcore.ConnectionPool() as pool:
        answer = pool.request("GET", httpcore.URL(served.url), extensions={"target": target})
    return answer.status, json.loads(answer.content)


@pytest.mark.parametrize("task_id", ODD, ids=ascii)
def test_an_id_may_have_any_characters(odd: Served, task_id: str) -> None:
    status, card = sent_as_it_is(odd, f"/tasks/{quote(task_id, safe='')}".encode())
    assert (status, card.get("task_id")) == (200, task_id)


@pytest.mark.parametrize(
    "target",
    [b"/tasks/%ff", b"/tasks/%", b"/tasks/%zz", b"/tasks/a?%ff=%", b"/tasks?limit=%ff", b"/tasks?provider=%ff"],
)
def test_what_is_no_utf_8_is_refused_like_anything_unknown(odd: Served, target: bytes) -> None:
    status, refused = sent_as_it_is(odd, target)
    assert status in (404, 422)
    assert refused["code"] == "VALIDATION_ERROR"


def test_an_id_with_slashes_may_be_sent_as_it_is() -> None:
    shelf = StaticTasks(name="triage", splits={"test": [told_task("2026/05/17 inbox")]})
    with serving(shop_of(shelf)) as served:
        assert got(served, "/tasks/2026/05/17%20inbox")["task_id"] == "2026/05/17 inbox"


def test_a_provider_that_fails_at_finding_is_named() -> None:
    with serving(shop_of(Endless(), Moody("find"))) as served:
        assert got(served, "/tasks/train-7")["index"] == 7
        assert "task provider 'moody' failed" in got(served, "/tasks/nope", 502)["detail"]


# -- plugins and rubrics ------------------------------------------------------------------------------------------


def test_the_plugins_are_those_that_the_command_lists(bundled: Served, tmp_path: Path) -> None:
    listed = json.loads(supportbench("plugins", "--json", cwd=tmp_path).stdout)
    assert got(bundled, "/plugins") == listed
    assert {"name", "distribution", "version", "provides"} <= set(listed[0])


def test_rubrics_say_what_counts_how_much(bundled: Served, registry: Registry) -> None:
    said = got(bundled, "/rubrics")
    assert said["override"] is None
    described = {rubric["name"]: rubric for rubric in said["rubrics"]}
    assert list(described) == sorted(registry.rubrics)
    default = described["default"]
    bound = bind(registry.rubrics["default"], registry)
    assert default["fingerprint"] == bound.fingerprint
    assert default["scoring_weights"] == dict(bound.scoring_weights)
    assert {part["name"]: part["weight"] for part in default["components"]} == {
        part.name: part.weight for part in bound.components
    }
    assert (default["mode"], default["penalty"], default["reward"]) == ("penalty", 0.1, "weighted")
    (check,) = default["checks"]
    assert (check["name"], check["plugin"], check["options"]) == ("answer_key_phrases", "safety", {})
    assert check["version"] == registry.checks["answer_key_phrases"].version  # type: ignore[attr-defined]
    assert default["plugin"] == "keyword"
    assert all(part["plugin"] == "keyword" and part["version"] for part in default["components"])
    assert default["problem"] is None


def test_the_rubric_that_overrides_is_described_too(tmp_path: Path) -> None:
    recipe = tmp_path / "mine.toml"
    recipe.write_text(
        'name = "mine"\nsafety = { checks = ["*"], mode = "gate" }\n'
        '[[component]]\nuse = "queue"\nas = "team"\nweight = 1.0\n'
    )
    with serving(rubric=str(recipe)) as served:
        override = got(served, "/rubrics")["override"]
    assert override["name"] == "mine"
    assert override["scoring_weights"] == {"team": 1.0, "unsafe_reply": -1.0}
    assert override["components"][0]["use"] == "queue"
    assert [check["name"] for check in override["checks"]] == ["answer_key_phrases", "unsafe_reply"]


def test_a_rubric_that_does_not_fit_what_is_installed_says_why() -> None:
    torn = Rubric(
        name="torn",
        components=[RubricComponent(use="tolled", weight=1.0)],
        safety=SafetyPolicy(checks=("gone",)),
    )
    offered = registry_of(components=[Told("told")], rubrics=[TOLD, torn], providers=[Endless()])
    with serving(offered) as served:
        told, described = sorted(got(served, "/rubrics")["rubrics"], key=lambda rubric: rubric["name"])
    assert told["problem"] is None
    assert described["fingerprint"] is None
    assert "Did you mean 'told'?" in described["problem"]
    assert described["components"][0]["plugin"] is None
    assert described["checks"] == [{"name": "gone", "plugin": None, "version": None, "options": {}}]


# -- what no route says, and what every route does ------------------------------------------------------------------

READ: Final = (
    *("/", "/docs", "/health", "/list_environments", "/metadata", "/metrics", "/openapi.json", "/plugins", "/rubrics"),
    *("/schema", "/tasks", "/tasks/canary", "/triage/splits", "/web"),
)


def test_no_canary_leaves_the_cage() -> None:
    with serving(canary_registry(canary_task())) as served, httpx.Client(base_url=served.url) as client:
        for path in READ:
            for accept in (JSON, "text/html"):
                said = client.get(path, headers={"accept": accept}, follow_redirects=True)
                assert said.status_code == 200
                assert not [secret for secret in SECRETS.values() if secret in said.text], path
                assert "fingerprint" not in said.text or path in ("/rubrics", "/openapi.json", "/docs")


@pytest.mark.parametrize("path", READ)
def test_head_is_get_without_the_body(shop: Served, path: str) -> None:
    path = path.replace("canary", "monday")
    asked, seen = httpx.head(f"{shop.url}{path}"), httpx.get(f"{shop.url}{path}")
    assert asked.status_code == seen.status_code
    assert asked.content == b""
    assert asked.headers["content-type"] == seen.headers["content-type"]
    if path not in ("/metrics", "/"):  # what they say changes
        assert asked.headers["content-length"] == seen.headers["content-length"]


@pytest.mark.parametrize(
    ("path", "allowed"),
    [(path, "GET, HEAD, OPTIONS") for path in READ] + [("/reset", "OPTIONS, POST"), ("/triage/task", "OPTIONS, POST")],
)
def test_what_else_a_route_takes_is_told(shop: Served, path: str, allowed: str) -> None:
    told = httpx.options(f"{shop.url}{path}")
    assert (told.status_code, told.headers["allow"], told.content) == (204, allowed, b"")
    refused = httpx.request("DELETE", f"{shop.url}{path}")
    assert (refused.status_code, refused.headers["allow"]) == (405, allowed)
    assert refused.json()["detail"]


def test_head_of_what_is_not_there_is_not_found(shop: Served) -> None:
    answer = httpx.head(f"{shop.url}/nowhere")
    assert (answer.status_code, answer.content) == (404, b"")
    assert httpx.head(f"{shop.url}/reset").status_code == 405
