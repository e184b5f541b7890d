"""What an endpoint does not take is left out or replaced, and remembered: the agent `openai:MODEL` finds it out."""

from __future__ import annotations

import json

import pytest

from supportbench import (
    AgentError,
)
from tests.plugins.agents.asking import ACTION, GOOD, OBSERVATION, agent_for, error_after, formats, reply_to
from tests.stubs.openai_endpoint import OpenAIStub, Reply, Request, completion, failure, refusing


async def test_a_refused_schema_falls_back_and_is_remembered(caplog: pytest.LogCaptureFixture) -> None:
    with OpenAIStub(refusing("response_format", completion(GOOD), value="json_schema")) as stub:
        agent = agent_for(stub)
        for seed in range(3):
            await agent.start_episode(seed).act(OBSERVATION)
        await agent.aclose()
    assert formats(stub) == ["json_schema", "json_object", "json_object", "json_object"]
    (warning,) = [record.getMessage() for record in caplog.records if record.name == "supportbench.endpoint"]
    assert warning == f"stub at {stub.url} takes no json_schema"


@pytest.mark.parametrize(
    "refusal",
    [
        failure(400, "Invalid parameter: 'response_format' of type 'json_schema' is not supported.", param="x"),
        failure(400, "Bad value", param="response_format.type"),
        failure(404, "No endpoints found that support structured outputs"),
        failure(400, "This model does not support this feature"),
        Reply(
            status=422,
            body=b'{"detail": [{"loc": ["body", "response_format"], "msg": "Extra inputs are not permitted"}]}',
        ),
        Reply(status=400, body=b"response_format: unknown field"),
    ],
)
async def test_a_refused_response_format_ends_with_none(refusal: Reply) -> None:
    _, stub = await reply_to(lambda request: refusal if "response_format" in request.body else completion(GOOD))
    assert formats(stub) == ["json_schema", "json_object", None]


async def test_the_format_that_the_options_insist_on_is_not_given_up() -> None:
    error, stub = await error_after(refusing("response_format", completion(GOOD)), structured_output="json_schema")
    assert "answered 400: Unsupported parameter: 'response_format'" in str(error)
    assert formats(stub) == ["json_schema"]


@pytest.mark.parametrize(("chosen", "sent"), [("json_object", "json_object"), ("none", None)])
async def test_the_options_choose_the_format(chosen: str, sent: str | None) -> None:
    _, stub = await reply_to(completion(GOOD), structured_output=chosen)
    assert formats(stub) == [sent]


@pytest.mark.parametrize("parameter", ["seed", "temperature"])
async def test_a_parameter_that_is_not_taken_is_left_out(parameter: str) -> None:
    _, stub = await reply_to(refusing(parameter, completion(GOOD)))
    assert [parameter in request.body for request in stub.requests] == [True, False]
    assert formats(stub) == ["json_schema", "json_schema"]


async def test_the_limit_goes_by_the_name_that_is_taken() -> None:
    message = (
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
    )
    refusal = failure(400, message, param="max_tokens", code="unsupported_parameter")
    _, stub = await reply_to(lambda request: refusal if "max_tokens" in request.body else completion(GOOD))
    assert [request.body.get("max_completion_tokens") for request in stub.requests] == [None, 1000]
    assert "max_tokens" not in stub.requests[1].body


async def test_an_endpoint_that_takes_next_to_nothing_is_served() -> None:
    def picky(request: Request) -> Reply:
        for name in ("response_format", "seed", "temperature", "max_tokens", "max_completion_tokens"):
            if name in request.body:
                return failure(400, f"Unrecognized request argument supplied: {name}")
        return completion(GOOD)

    reply, stub = await reply_to(picky)
    assert reply.action == ACTION
    assert set(stub.requests[-1].body) == {"model", "messages"}


@pytest.mark.parametrize(
    "complaint",
    [
        failure(400, "This model's maximum context length is 4096 tokens. Please reduce max_tokens or the messages."),
        failure(400, "max_tokens is too large: this model supports at most 500 tokens.", param="max_tokens"),
        failure(400, "temperature must be between 0 and 2", param="temperature"),
        failure(404, "The model `stub` does not exist or you do not have access to it.", code="model_not_found"),
        failure(400, "Your seed money has run out."),
    ],
)
async def test_other_complaints_are_errors_at_once(complaint: Reply) -> None:
    error, stub = await error_after(complaint)
    assert json.loads(complaint.body)["error"]["message"] in str(error)
    assert len(stub.requests) == 1


async def test_what_did_not_help_is_not_remembered() -> None:
    with OpenAIStub(*[failure(400, "unknown model")] * 3, completion(GOOD)) as stub:
        agent = agent_for(stub)
        with pytest.raises(AgentError, match="unknown model"):
            await agent.act(OBSERVATION)
        await agent.act(OBSERVATION)
        await agent.aclose()
    assert formats(stub) == ["json_schema", "json_object", None, "json_schema"]
