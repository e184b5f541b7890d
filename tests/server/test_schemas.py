"""The schemas that a server shows: what they say, and that they fit whatever it takes and answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import httpx
import jsonschema  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from openenv.core.env_server.types import SchemaResponse

from supportbench import (
    AnswerKey,
    Case,
    StaticTasks,
    SupportQueueAction,
    SupportQueueObservation,
    SupportQueueState,
    Taxonomy,
    Ticket,
    unstructure,
)
from supportbench.server.schemas import Schemas
from tests.offering import an_action, registry_of
from tests.server.packs import Answers, Endless, Moody, shop_of
from tests.server.serving import Served, got, serving
from tests.shop import told_task
from tests.strategies import actions, allowed_actions, observations, states

JSON: Final = "application/json"
Validator: Final = jsonschema.Draft202012Validator


@pytest.fixture(scope="module")
def bundled() -> Iterator[Served]:
    with serving() as served:
        yield served


@pytest.fixture(scope="module")
def schemas(bundled: Served) -> dict[str, Any]:
    answered: dict[str, Any] = got(bundled, "/schema")
    return answered


def references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        for key, value in schema.items():
            if key == "$ref":
                yield value
            yield from references(value)
    elif isinstance(schema, list):
        for item in schema:
            yield from references(item)


def test_there_are_four_schemas_that_refer_to_nothing_outside_themselves(schemas: dict[str, Any]) -> None:
    assert list(schemas) == ["action", "observation", "state", "reset_observation"]
    SchemaResponse.model_validate(schemas)
    for schema in schemas.values():
        Validator.check_schema(schema)
        assert schema["type"] == "object"
        assert all(reference.startswith("#/$defs/") for reference in references(schema))


def test_they_have_what_openenv_looks_for(schemas: dict[str, Any]) -> None:
    action, observation, state = schemas["action"], schemas["observation"], schemas["state"]
    assert action["properties"]["metadata"]["type"] == "object"
    assert "metadata" not in action["required"]
    assert {"done", "reward", "metadata"} <= set(observation["properties"])
    assert {"episode_id", "step_count"} <= set(state["properties"])
    assert not action["additionalProperties"]


def test_every_property_says_what_it_is(schemas: dict[str, Any]) -> None:
    for schema in schemas.values():
        for described in (schema, *schema.get("$defs", {}).values()):
            assert described["description"]
            for name, part in described["properties"].items():
                assert part.get("description"), name


def test_the_values_of_an_action_are_those_of_all_installed_taxonomies() -> None:
    baker = Taxonomy(priorities=("now", "later"), queues=("oven", "billing"), dispositions=("fix",))
    case = Case(ticket=Ticket(ticket_id="B-1", subject="s", body="b"), answer_key=AnswerKey(queue="oven"))
    shelf = StaticTasks(name="bakery", splits={"test": [told_task("monday", taxonomy=baker, cases=[case])]})
    with serving(shop_of(shelf, Endless())) as served:
        action = got(served, "/schema")["action"]["properties"]
        stated = got(served, "/schema")["state"]["$defs"]["SupportQueueAction"]["properties"]
    usual = Taxonomy()
    assert action["priority"]["enum"] == ["now", "later", *usual.priorities]
    assert action["queue"]["enum"] == ["oven", "billing", *(queue for queue in usual.queues if queue != "billing")]
    assert action["disposition"]["enum"] == ["fix", *usual.dispositions]
    assert stated == action


def test_a_provider_that_cannot_name_its_taxonomies_is_named_and_asked_again() -> None:
    moody = Moody("taxonomies")
    with serving(shop_of(Endless(), moody)) as served:
        for path in ("/schema", "/openapi.json"):
            refused = got(served, path, 502)
            assert "task provider 'moody' failed at its taxonomies: ZeroDivisionError" in refused["message"]
            assert "P1" not in refused["message"]
        moody.fails_at = ""
        assert got(served, "/schema")["action"]["properties"]["queue"]["enum"]


@pytest.mark.parametrize("taxonomies", [None, ["P1"], 5])
def test_what_is_no_taxonomy_is_the_providers_fault(taxonomies: Any) -> None:
    with serving(shop_of(Answers(taxonomies=taxonomies))) as served:
        assert "'wrong'" in got(served, "/schema", 502)["message"]


def test_what_the_server_answers_in_an_episode_fits_them(bundled: Served, schemas: dict[str, Any]) -> None:
    action, observation, state = (Validator(schemas[name]) for name in ("action", "observation", "state"))
    sent = unstructure(an_action())
    action.validate(sent)
    with httpx.Client(base_url=bundled.url) as client:
        state.validate(unstructure(SupportQueueState()))
        answer = client.post("/reset", json={"seed": 1}).json()
        Validator(schemas["reset_observation"]).validate(_put_together(answer))
        while not answer["done"]:
            answer = client.post("/step", json={"action": sent}).json()
            observation.validate(_put_together(answer))
            state.validate(client.get("/state").json())


def _put_together(answer: dict[str, Any]) -> dict[str, Any]:
    """Return the observation as OpenEnv's validator puts it together."""
    return {**answer["observation"], "reward": answer["reward"], "done": answer["done"]}


_UNTIED: Final = Schemas(registry_of())
"""Of a server without tasks, and so without a vocabulary."""


@given(action=actions, observation=observations, state=states)
def test_whatever_the_codec_writes_fits_them(
    action: SupportQueueAction, observation: SupportQueueObservation, state: SupportQueueState
) -> None:
    for value in (action, observation, state):
        Validator(_UNTIED.alone(type(value))).validate(json.loads(json.dumps(unstructure(value))))


@given(action=allowed_actions(Taxonomy()))
def test_whatever_action_a_task_allows_fits_them(schemas: dict[str, Any], action: SupportQueueAction) -> None:
    Validator(schemas["action"]).validate(json.loads(json.dumps(unstructure(action))))


@pytest.mark.parametrize(
    "change",
    [
        {"priority": "P9"},
        {"queue": 5},
        {"confidence": 1.01},
        {"confidence": "0.5"},
        {"confidence": -1},
        {"colour": "blue"},
        {"metadata": 3},
        {"summary": None},
    ],
)
def test_what_the_server_refuses_does_not_fit_them(
    bundled: Served, schemas: dict[str, Any], change: dict[str, Any]
) -> None:
    sent = {**unstructure(an_action()), **change}
    assert not Validator(schemas["action"]).is_valid(sent)
    with httpx.Client(base_url=bundled.url) as client:
        client.post("/reset", json={"seed": 1})
        assert client.post("/step", json={"action": sent}).status_code == 422
