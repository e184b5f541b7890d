"""The OpenAPI document: complete, valid, and true, which schemathesis tries to disprove."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import httpx
import jsonschema  # type: ignore[import-untyped]
import pytest

from supportbench import unstructure
from supportbench.offers import ROUTES
from supportbench.server.openapi import operations_of
from supportbench.server.refusals import Refusal
from tests.offering import an_action
from tests.server.serving import Served, serving
from tests.server.walking import routes_of
from tests.shop import a_shop

HERE: Final = Path(__file__).parent
TOKEN: Final = "a-token-for-tests"  # noqa: S105
PAGE: Final = HERE.parents[1] / "docs" / "reference" / "http.md"
GATED: Final = {"403", "421", "429"}


@pytest.fixture(scope="module")
def shop() -> Iterator[Served]:
    with serving(a_shop()) as served:
        yield served


def document_of(served: Served, **options: Any) -> dict[str, Any]:
    answer = httpx.get(f"{served.url}/openapi.json", **options)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


@pytest.fixture(scope="module")
def document(shop: Served) -> dict[str, Any]:
    return document_of(shop)


def operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


# -- complete -----------------------------------------------------------------------------------------------------


def _documented(served: Served, **options: Any) -> set[tuple[str, str]]:
    return {(method, path) for method, path, _ in operations(document_of(served, **options))}


def _routed(served: Served) -> set[tuple[str, str]]:
    return {
        (method, path.replace(":path", "").replace(":str", ""))
        for method, path in routes_of(served.app)
        if method != "OPTIONS"
    }


def test_every_route_is_documented_and_nothing_else(shop: Served) -> None:
    assert _documented(shop) == _routed(shop)


def test_in_production_there_is_no_reset_step_or_state() -> None:
    hidden = {("POST", "/reset"), ("POST", "/step"), ("GET", "/state")}
    with serving(a_shop(), mode="production") as served, serving(a_shop()) as simulation:
        documented = _documented(served)
        assert documented == _documented(simulation) - hidden
        for method, path in hidden:
            assert httpx.request(method, f"{served.url}{path}").status_code == 404
        assert "reset" not in httpx.get(served.url).json()["links"]


def test_no_provider_can_be_named_like_a_route(shop: Served) -> None:
    first = {path.strip("/").partition("/")[0] for _, path in _routed(shop)} - {"", "{env_name}"}
    assert first | {"ws", "mcp"} <= ROUTES


def test_the_document_is_openapi_of_version_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    assert document["info"]["version"].startswith("1.")
    assert document["info"]["title"] == "supportbench"
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    def walk(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            for key, item in value.items():
                if key == "$ref":
                    yield item
                yield from walk(item)
        elif isinstance(value, list):
            for item in value:
                yield from walk(item)

    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert set(walk(document)) <= known
    assert "$defs" not in json.dumps(document)


def test_everything_says_what_it_is(document: dict[str, Any]) -> None:
    identifiers = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(identifiers)) == len(identifiers)
    tags = {tag["name"] for tag in document["tags"]}
    for _, _, operation in operations(document):
        assert operation["summary"]
        assert set(operation["tags"]) <= tags
        for parameter in operation.get("parameters", ()):
            assert parameter["description"]
        for answer in operation["responses"].values():
            assert answer["description"]
    for name, schema in document["components"]["schemas"].items():
        assert schema["description"], name
        assert not [key for key, part in schema["properties"].items() if not part.get("description")], name


def test_every_route_says_what_the_gate_may_refuse(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        statuses = set(operation["responses"])
        assert statuses >= GATED, path
        assert ("413" in statuses) == (method == "POST")
        assert "401" not in statuses


@pytest.mark.parametrize(("limits", "told"), [({"connection_limit": 0, "message_limit": 0.0}, False), ({}, True)])
def test_limits_that_there_are_not_are_not_told(limits: dict[str, Any], told: bool) -> None:
    with serving(a_shop(), **limits) as served:
        for _, _, operation in operations(document_of(served)):
            assert ("429" in operation["responses"]) is told


def test_where_tokens_are_asked_for_the_document_says_so() -> None:
    with serving(a_shop(), tokens=(TOKEN,)) as served:
        assert httpx.get(f"{served.url}/openapi.json").status_code == 401
        document = document_of(served, headers={"Authorization": f"Bearer {TOKEN}"})
    (scheme,) = document["components"]["securitySchemes"].values()
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    assert document["security"]
    for _, path, operation in operations(document):
        assert ("401" in operation["responses"]) == (path != "/health")
        assert (operation.get("security") == []) == (path == "/health")
    assert TOKEN not in json.dumps(document)


# -- true ---------------------------------------------------------------------------------------------------------


def test_a_reset_and_a_step_take_what_the_document_says(document: dict[str, Any]) -> None:
    reset = document["paths"]["/reset"]["post"]
    assert reset["requestBody"]["required"] is False
    assert {parameter["name"] for parameter in reset["parameters"]} == {
        "X-Session-ID",
        "supportbench_session",
        "session_id",
    }
    assert set(document["paths"]["/step"]["post"]["responses"]) >= {"200", "404", "409", "422", "502", "503", "504"}


def test_a_refusal_is_what_the_document_says(shop: Served, document: dict[str, Any]) -> None:
    components = document["components"]["schemas"]
    schema = {"$ref": "#/components/schemas/Refused", "components": {"schemas": components}}
    validator = jsonschema.Draft202012Validator(schema)
    for refused in (
        httpx.post(f"{shop.url}/step", json={"action": {**unstructure(an_action()), "priority": 5}}).json(),
        httpx.post(f"{shop.url}/reset", json={"task_id": "nope"}).json(),
        httpx.post(f"{shop.url}/nope/tasks", json={"split": "test"}).json(),
        httpx.get(f"{shop.url}/tasks?limit=0").json(),
        Refusal(status=503, code="CAPACITY_REACHED", message="Full.", extra={"active_sessions": 1}).body(),
    ):
        validator.validate(json.loads(json.dumps(refused)))


def test_a_handler_that_declares_nothing_is_found(shop: Served) -> None:
    from litestar import Litestar, get

    @get("/undeclared")
    async def undeclared() -> None: ...

    with pytest.raises(LookupError, match="GET /undeclared declares no operation"):
        list(operations_of(Litestar([undeclared], openapi_config=None, logging_config=None)))


def attack(served: Served, folder: Path, *options: str, parameters: Mapping[str, str] | None = None) -> None:
    """Let schemathesis try to find an answer that the document does not allow."""
    config = (HERE / "schemathesis.toml").read_text(encoding="utf-8")
    fixed = "".join(f"{name} = {json.dumps(value)}\n" for name, value in (parameters or {}).items())
    (folder / "schemathesis.toml").write_text(f"{config}\n[parameters]\n{fixed}", encoding="utf-8")
    command = [str(Path(sys.executable).parent / "schemathesis"), "run", f"{served.url}/openapi.json"]
    environ = {**os.environ, "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [*command, "--checks", "all", "--max-examples", "25", *options],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "No issues found" in done.stdout


def test_schemathesis_finds_nothing(tmp_path: Path) -> None:
    with serving() as served:
        attack(served, tmp_path)


def test_schemathesis_finds_nothing_where_the_names_exist(tmp_path: Path) -> None:
    with serving() as served:
        attack(served, tmp_path, parameters={"env_name": "triage", "split": "test"})


def test_schemathesis_finds_nothing_behind_a_token(tmp_path: Path) -> None:
    with serving(tokens=(TOKEN,)) as served:
        attack(served, tmp_path, "--header", f"Authorization: Bearer {TOKEN}")


# -- the reference page -------------------------------------------------------------------------------------------

_ROW: Final = re.compile(r"^\| `(GET|POST|DELETE) (\S+)` \|(.*)\|(.*)\|(.*)\|$", re.MULTILINE)
_ANYWHERE: Final = {"401", "403", "413", "421", "429"}


def test_the_reference_page_has_every_route_what_it_takes_and_what_it_refuses(document: dict[str, Any]) -> None:
    rows = {(found[1], found[2]): found.groups()[2:] for found in _ROW.finditer(PAGE.read_text(encoding="utf-8"))}
    assert set(rows) == {(method, path) for method, path, _ in operations(document)}
    for method, path, operation in operations(document):
        takes, answers, refuses = rows[method, path]
        assert answers.strip()
        named = set(re.findall(r"`([^`]+)`", takes))
        taken = {parameter["name"] for parameter in operation.get("parameters", ()) if parameter["in"] != "path"}
        for content in operation.get("requestBody", {}).get("content", {}).values():
            name = content["schema"].get("$ref", "").rpartition("/")[2]
            taken |= set(document["components"]["schemas"].get(name, {}).get("properties", ()))
        assert named == taken - {"supportbench_session"}, path
        statuses = {status for status in operation["responses"] if status >= "400"} - _ANYWHERE
        assert set(refuses.split()) == statuses, path


def test_the_reference_page_explains_every_status(document: dict[str, Any]) -> None:
    explained = set(re.findall(r"\b\d{3}\b", PAGE.read_text(encoding="utf-8").partition("| status | when |")[2]))
    for _, _, operation in operations(document):
        assert {status for status in operation["responses"] if status >= "400"} <= explained
