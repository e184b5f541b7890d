"""`/metrics`: what this worker counts, as Prometheus reads it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text
from websockets.sync.client import connect

from supportbench import unstructure
from tests.offering import an_action
from tests.server.serving import Served, serving
from tests.shop import a_shop, told

TOKEN: Final = "a-token-for-tests"  # noqa: S105
ACTION: Final = unstructure(told(1.0))


@pytest.fixture
def shop() -> Iterator[Served]:
    with serving(a_shop()) as served:
        yield served


def figures(served: Served, **headers: str) -> Mapping[str, float]:
    """Return each sample, `name` or `name{label}`, as its value."""
    answer = httpx.get(f"{served.url}/metrics", headers=headers)
    assert answer.status_code == 200
    return {
        f"{sample.name}{{{','.join(sample.labels.values())}}}" if sample.labels else sample.name: sample.value
        for family in read_text(answer.text)
        for sample in family.samples
    }


def ours(served: Served, **headers: str) -> dict[str, float]:
    return {
        name.removeprefix("supportbench_"): value
        for name, value in figures(served, **headers).items()
        if name.startswith("supportbench_")
    }


def test_a_server_that_was_just_started_has_done_nothing(shop: Served) -> None:
    seen = ours(shop)
    (build,) = [name for name in seen if name.startswith("build_info{")]
    assert seen.pop(build) == 1
    assert seen.pop("uptime_seconds") > 0
    assert seen == {
        "sessions_active": 0,
        "sessions_max": 10_000,
        "websockets_open": 0,
        "resets_total": 0,
        "steps_total": 0,
        "episodes_finished_total": 0,
    }


def test_resets_steps_and_sessions_are_counted_however_they_come(shop: Served, tmp_path: Path) -> None:
    with httpx.Client(base_url=shop.url) as client:
        client.post("/reset", json={"task_id": "one"})
        client.post("/step", json={"action": ACTION})
        with connect(f"{shop.ws}/ws") as socket:
            socket.send(json.dumps({"type": "reset", "data": {"task_id": "three"}}))
            socket.recv()
            socket.send(json.dumps({"type": "step", "data": ACTION}))
            assert json.loads(socket.recv())["data"]["done"]
            seen = ours(shop)
        assert (seen["sessions_active"], seen["websockets_open"]) == (2, 1)
        assert (seen["resets_total"], seen["steps_total"]) == (2, 2)


def test_a_connection_that_closes_is_not_counted_any_more(shop: Served) -> None:
    with connect(f"{shop.ws}/ws") as socket:
        socket.send('{"type": "state"}')
        socket.recv()
        assert ours(shop)["sessions_active"] == 1
    while ours(shop)["websockets_open"]:
        pass
    assert ours(shop)["sessions_active"] == 0


def test_refusals_are_counted_by_code(shop: Served) -> None:
    httpx.post(f"{shop.url}/reset", content=b"{")
    httpx.post(f"{shop.url}/reset", json={"task_id": "nope"})
    httpx.post(f"{shop.url}/step", json={"action": ACTION})
    with httpx.Client(base_url=shop.url) as client:
        client.post("/reset", json={"task_id": "one"})
        client.post("/step", json={"action": unstructure(an_action())})  # the grader misses what it reads
    seen = ours(shop)
    assert {name: value for name, value in seen.items() if name.startswith("errors_total")} == {
        "errors_total{EXECUTION_ERROR}": 1,
        "errors_total{INVALID_JSON}": 1,
        "errors_total{SESSION_ERROR}": 1,
        "errors_total{VALIDATION_ERROR}": 1,
    }


def test_who_is_turned_away_is_counted_by_status() -> None:
    with serving(a_shop(), tokens=(TOKEN,)) as served:
        assert httpx.get(f"{served.url}/metrics").status_code == 401
        assert httpx.get(f"{served.url}/tasks").status_code == 401
        assert httpx.get(f"{served.url}/tasks", headers={"host": "elsewhere.example"}).status_code == 421
        seen = ours(served, authorization=f"Bearer {TOKEN}")
    assert seen["requests_turned_away_total{401}"] == 2
    assert seen["requests_turned_away_total{421}"] == 1


def test_finished_episodes_and_those_that_could_not_be_recorded_are_counted(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    with serving(a_shop(), record=str(folder)) as served, httpx.Client(base_url=served.url) as client:

        def play() -> None:
            client.post("/reset", json={"task_id": "three"})
            assert client.post("/step", json={"action": ACTION}).json()["done"]

        play()
        seen = ours(served)
        assert (seen["episodes_finished_total"], seen["recordings_lost_total"]) == (1, 0)
        shutil.rmtree(folder)
        folder.write_text("in the way")
        play()
        seen = ours(served)
        assert (seen["episodes_finished_total"], seen["recordings_lost_total"]) == (2, 1)


def test_two_applications_in_one_process_count_apart(shop: Served) -> None:
    with serving(a_shop()) as other:
        httpx.post(f"{other.url}/reset")
        assert ours(other)["resets_total"] == 1
        assert ours(shop)["resets_total"] == 0


def test_the_process_and_the_interpreter_are_described_too(shop: Served) -> None:
    names = {name.partition("{")[0] for name in figures(shop)}
    assert {"process_resident_memory_bytes", "process_open_fds", "python_gc_collections_total", "python_info"} <= names


def test_names_follow_the_conventions_and_each_has_its_help(shop: Served) -> None:
    httpx.get(f"{shop.url}/tasks?limit=0")
    text = httpx.get(f"{shop.url}/metrics").text
    families = [family for family in read_text(text) if family.name.startswith("supportbench_")]
    assert families
    for family in families:
        assert family.documentation.endswith(".")
        assert family.type in ("counter", "gauge")
        for sample in family.samples:
            assert sample.name.endswith("_total") == (family.type == "counter")
            assert sample.name.islower()
    told = {family.name: family.documentation for family in families}
    assert "this worker" in told["supportbench_sessions_active"]


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("*/*", "text/plain; version=0.0.4; charset=utf-8"),
        ("text/plain", "text/plain; version=0.0.4; charset=utf-8"),
        ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        ("text/plain;q=0.5,application/openmetrics-text", "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        ("application/openmetrics-text; version=nonsense", "application/openmetrics-text; version=1.0.0"),
        ("text/plain; version=1.0.0; escaping=nonsense", "text/plain; version=0.0.4; charset=utf-8"),
        (";,;=;,", "text/plain; version=0.0.4; charset=utf-8"),
    ],
)
def test_the_format_is_the_one_that_is_asked_for(shop: Served, accept: str, kind: str) -> None:
    answer = httpx.get(f"{shop.url}/metrics", headers={"accept": accept})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(kind)
    read: Any = read_openmetrics if "openmetrics" in answer.headers["content-type"] else read_text
    assert "supportbench_steps" in {family.name for family in read(answer.text)}


def test_its_library_is_loaded_when_somebody_asks() -> None:
    code = (
        "import sys; from supportbench import load_registry; from supportbench.server.app import create_app; "
        "from supportbench.settings import ServerSettings; create_app(ServerSettings(), load_registry({}).check()); "
        "print('prometheus_client' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
