"""OpenEnv's Task API over every installed provider."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterator
from typing import Any, Final

import httpx
import pytest

from supportbench import StaticTasks
from supportbench.server.task_api import MOST_TASKS
from tests.server.packs import MANY, Answers, Endless, Moody, shop_of
from tests.server.serving import Served, serving
from tests.shop import a_shop, told_task

ASKED: Final = ("tasks", "num_tasks", "task", "task_range")


@pytest.fixture(scope="module")
def shop() -> Iterator[Served]:
    with serving(a_shop()) as served:
        yield served


@pytest.fixture(scope="module")
def endless() -> Iterator[Served]:
    with serving(shop_of(Endless())) as served:
        yield served


def asked(served: Served, path: str, body: Any = None, status: int = 200) -> Any:
    """Return the JSON that the path answers to a POST of this body (a GET where there is none) with this status."""
    if body is None:
        answer = httpx.get(f"{served.url}{path}")
    else:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = httpx.post(f"{served.url}{path}", content=content)
    assert answer.status_code == status, answer.text
    return answer.json()


# -- environments and splits --------------------------------------------------------------------------------------


def test_every_provider_is_an_environment(shop: Served) -> None:
    assert asked(shop, "/list_environments") == ["bakery", "butcher", "triage"]


@pytest.mark.parametrize("name", ["triage", "TRIAGE", "Triage"])
def test_splits_have_openenvs_types_and_names_have_no_case(shop: Served, name: str) -> None:
    assert asked(shop, f"/{name}/splits") == [{"name": "test", "type": "test"}, {"name": "train", "type": "train"}]
    assert asked(shop, f"/{name}/num_tasks", {"split": "train"}) == {"num_tasks": 1}


def test_a_split_of_another_name_is_of_type_validation(shop: Served) -> None:
    assert asked(shop, "/butcher/splits") == [
        {"name": "test", "type": "test"},
        {"name": "empty", "type": "validation"},
    ]


def test_two_names_that_differ_in_their_case_are_two_environments() -> None:
    shelves = [StaticTasks(name=name, splits={name: [told_task(name)]}) for name in ("Acme", "acme")]
    with serving(shop_of(*shelves)) as served:
        assert asked(served, "/Acme/splits")[0]["name"] == "Acme"
        assert asked(served, "/acme/splits")[0]["name"] == "acme"


@pytest.mark.parametrize("name", ["Straße 7%", "日本", "a b", "..x", "ÄRA"])
def test_a_name_may_have_any_characters_that_a_provider_may(name: str) -> None:
    with serving(shop_of(StaticTasks(name=name, splits={"test": [told_task("t")]}))) as served:
        for spelt in (name, name.upper(), name.lower()):
            answer = httpx.get(httpx.URL(served.url).copy_with(path=f"/{spelt}/splits"))
            assert answer.json() == [{"name": "test", "type": "test"}]


@pytest.mark.parametrize("body", [None, {"split": "test"}])
def test_an_unknown_environment_is_not_found(shop: Served, body: Any) -> None:
    for what in ("splits",) if body is None else ASKED:
        refused = asked(shop, f"/nope/{what}", body, 404)
        assert refused["detail"] == "unknown environment 'nope'"
        assert refused["environments"] == ["bakery", "butcher", "triage"]
    assert len(httpx.get(f"{shop.url}/{'x' * 5000}/splits").content) < 500


def test_it_shadows_no_other_route(shop: Served) -> None:
    for path in ("/tasks/splits", "/tasks/tasks"):
        assert "There is no task" in asked(shop, path, None, 404)["detail"]
    assert asked(shop, "/docs/splits", None, 404)["detail"] == "unknown environment 'docs'"


# -- tasks --------------------------------------------------------------------------------------------------------


def test_a_task_says_what_chooses_it(shop: Served) -> None:
    task = asked(shop, "/triage/task", {"split": "test", "index": 2})["task"]
    assert task == {
        "id": "three",
        "index": 2,
        "title": "Three",
        "difficulty": "easy",
        "num_tickets": 1,
        "split": "test",
        "provider": "triage",
        "task_id": "three",
    }
    with httpx.Client(base_url=shop.url) as client:
        client.post("/reset", json={key: task[key] for key in ("provider", "split", "index")})
        assert client.get("/state").json()["task"]["task_id"] == task["id"]


def test_all_tasks_of_a_split_are_listed(shop: Served) -> None:
    said = asked(shop, "/Triage/tasks", {"split": "test"})
    assert said["env_name"] == "triage"
    assert [(task["index"], task["id"]) for task in said["tasks"]] == [(0, "one"), (1, "two"), (2, "three")]
    assert asked(shop, "/triage/num_tasks", {"split": "test"}) == {"num_tasks": 3}
    assert asked(shop, "/butcher/tasks", {"split": "empty"})["tasks"] == []


@pytest.mark.parametrize(
    ("bounds", "wanted"),
    [
        ({}, [0, 1, 2]),
        ({"start": None, "stop": None}, [0, 1, 2]),
        ({"start": 1}, [1, 2]),
        ({"stop": 1}, [0]),
        ({"start": 1, "stop": 2}, [1]),
        ({"start": 1, "stop": 1}, []),
        ({"start": 1, "stop": 99}, [1, 2]),
        ({"start": 3}, []),
        ({"start": 99}, []),
        ({"start": 99, "stop": 1 << 62}, []),
    ],
)
def test_a_range_is_that_of_a_slice(shop: Served, bounds: dict[str, Any], wanted: list[int]) -> None:
    said = asked(shop, "/triage/task_range", {"split": "test", **bounds})
    assert [task["index"] for task in said["tasks"]] == wanted


# -- what is not there --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("index", [-1, 3, 99, 1 << 62, 10**30, -(10**30)])
def test_an_index_that_is_not_there_is_refused_with_those_that_are(shop: Served, index: int) -> None:
    refused = asked(shop, "/triage/task", {"split": "test", "index": index}, 400)
    assert refused["detail"].startswith("Invalid task index")
    assert refused["detail"].endswith("Allowed: from 0 to 2.")
    assert len(refused["detail"]) < 100


def test_an_empty_split_has_no_index(shop: Served) -> None:
    refused = asked(shop, "/butcher/task", {"split": "empty", "index": 0}, 400)
    assert refused["detail"].endswith("Allowed: none, since the split has no tasks.")


@pytest.mark.parametrize("bounds", [{"start": -1}, {"stop": -1}, {"start": -3, "stop": -1}, {"start": 2, "stop": 1}])
def test_bounds_that_are_negative_or_the_wrong_way_round_are_refused(shop: Served, bounds: dict[str, Any]) -> None:
    refused = asked(shop, "/triage/task_range", {"split": "test", **bounds}, 400)
    assert "Allowed: from 0 to 2." in refused["detail"]


@pytest.mark.parametrize("what", ASKED)
def test_an_unknown_split_is_not_found_and_the_splits_are_named(shop: Served, what: str) -> None:
    body = {"split": "tset", **({"index": 0} if what == "task" else {})}
    refused = asked(shop, f"/triage/{what}", body, 404)
    assert refused["detail"] == "Provider 'triage' has no split 'tset'. Did you mean 'test'? Known: 'test', 'train'."


@pytest.mark.parametrize("what", ASKED)
@pytest.mark.parametrize(
    ("body", "loc"),
    [
        ({}, ["body", "split"]),
        ({"split": 5}, ["body", "split"]),
        ({"split": None}, ["body", "split"]),
        ({"split": ""}, ["body", "split"]),
        ({"split": "s" * 256}, ["body", "split"]),
        ({"split": "test", "x": 1}, ["body", "x"]),
        ([], ["body"]),
        (b"", None),
        (b"{", None),
        (b"\xff", None),
        (b"[" * 100_000, None),
    ],
)
def test_a_bad_body_is_refused_with_the_place(shop: Served, what: str, body: Any, loc: list[str] | None) -> None:
    if what == "task" and isinstance(body, dict):
        body = {"index": 0, **body}
    refused = asked(shop, f"/triage/{what}", body, 422)
    if loc is None:
        assert refused["code"] == "INVALID_JSON"
    else:
        assert loc in [fault["loc"] for fault in refused["detail"]]
    assert len(json.dumps(refused)) < 1000


@pytest.mark.parametrize("value", ["1", 1.0, True, None, [1]])
def test_nothing_is_coerced(shop: Served, value: Any) -> None:
    refused = asked(shop, "/triage/task", {"split": "test", "index": value}, 422)
    assert refused["detail"][0]["loc"] == ["body", "index"]
    if value is not None:
        refused = asked(shop, "/triage/task_range", {"split": "test", "start": value, "stop": value}, 422)
        assert [fault["loc"][1] for fault in refused["detail"]] == ["start", "stop"]


# -- many tasks ---------------------------------------------------------------------------------------------------


def test_a_split_of_a_million_is_counted_and_pointed_into(endless: Served) -> None:
    assert asked(endless, "/triage/num_tasks", {"split": "train"}) == {"num_tasks": MANY}
    last = asked(endless, "/triage/task", {"split": "train", "index": MANY - 1})["task"]
    assert last["id"] == f"train-{MANY - 1}"


def test_a_split_of_a_million_is_not_listed_at_once(endless: Served) -> None:
    refused = asked(endless, "/triage/tasks", {"split": "train"}, 422)
    assert refused["detail"][0]["loc"] == ["body", "split"]
    assert "1,000,000 tasks" in refused["message"]
    assert "POST /triage/task_range" in refused["message"]


def test_a_range_is_bounded_too(endless: Served) -> None:
    for bounds in ({}, {"start": 5, "stop": 5 + MOST_TASKS + 1}, {"start": MANY - MOST_TASKS - 1}):
        refused = asked(endless, "/triage/task_range", {"split": "train", **bounds}, 422)
        assert refused["detail"][0]["loc"] == ["body", "stop"]
        assert "10,000" in refused["message"]
    said = asked(endless, "/triage/task_range", {"split": "train", "start": 5, "stop": 5 + MOST_TASKS})
    assert [task["index"] for task in said["tasks"]] == list(range(5, 5 + MOST_TASKS))
    most = asked(endless, "/triage/task_range", {"split": "train", "start": MANY - MOST_TASKS})
    assert most["tasks"][-1]["index"] == MANY - 1


def test_others_are_answered_while_a_long_range_is_made() -> None:
    """A provider that takes its time over each task is asked for a few, then others have their turn."""

    class Slow(Endless):
        def task(self, split: str, index: int) -> Any:
            time.sleep(0.002)
            return super().task(split, index)

    slow = Slow()
    with serving(shop_of(slow)) as served, httpx.Client(base_url=served.url) as client:
        ranged: list[Any] = []
        body = {"split": "train", "start": 0, "stop": 500}
        thread = threading.Thread(target=lambda: ranged.append(asked(served, "/triage/task_range", body)))
        thread.start()
        try:
            while slow.made < 10:
                time.sleep(0.001)
            assert client.get("/health").status_code == 200
            assert slow.made < 500
        finally:
            thread.join()
    assert len(ranged[0]["tasks"]) == 500


# -- providers that are at fault ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fails_at", "what"),
    [("splits", "splits"), ("num_tasks", "num_tasks"), ("task", "task"), ("task", "task_range"), ("splits", "tasks")],
)
def test_a_provider_that_fails_is_named(fails_at: str, what: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), serving(shop_of(Endless(), Moody(fails_at))) as served:
        body = None if what == "splits" else {"split": "test", **({"index": 0} if what == "task" else {})}
        refused = asked(served, f"/moody/{what}", body, 502)
        assert "task provider 'moody' failed" in refused["detail"]
        assert "answer key" not in json.dumps(refused)
        assert asked(served, "/triage/splits")
    of_the_key = [record.levelname for record in caplog.records if "the answer key is P1" in record.getMessage()]
    assert set(of_the_key) == {"DEBUG"}
    assert "task provider 'moody' failed" in "".join(r.getMessage() for r in caplog.records if r.levelname == "ERROR")


@pytest.mark.parametrize(
    ("answers", "what"),
    [
        ({"splits": [1]}, "splits"),
        ({"splits": None}, "splits"),
        ({"num_tasks": -1}, "num_tasks"),
        ({"num_tasks": 1.0}, "num_tasks"),
        ({"task": None}, "task"),
    ],
)
def test_a_provider_that_answers_what_it_may_not_is_named(answers: dict[str, Any], what: str) -> None:
    with serving(shop_of(Answers(**answers))) as served:
        body = None if what == "splits" else {"split": "test", **({"index": 0} if what == "task" else {})}
        assert "'wrong'" in asked(served, f"/wrong/{what}", body, 502)["detail"]
