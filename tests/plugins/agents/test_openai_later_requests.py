"""Requests go past openai's client as long as they are answered: nobody can tell the difference."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from supportbench import AgentError, AgentReply
from tests.plugins.agents.asking import GOOD, KEY, OBSERVATION, agent_for
from tests.stubs.openai_endpoint import OpenAIStub, Reply, Request, Step, completion, failure

_JSON = {"Content-Type": "application/json"}
_ANSWER = completion(GOOD)


async def _outcomes(script: Sequence[Step], acts: int) -> tuple[list[str], OpenAIStub]:
    """Return what each act came to, in words, and the stub with its requests."""
    outcomes: list[str] = []
    with OpenAIStub(*script) as stub:
        agent = agent_for(stub, max_retries=1, timeout_s=0.3)
        for _ in range(acts):
            try:
                reply: AgentReply | AgentError = await agent.act(OBSERVATION)
            except AgentError as error:
                reply = error
            outcomes.append(re.sub(r"127\.0\.0\.1:\d+", "ADDRESS", str(reply)))
        await agent.aclose()
    return outcomes, stub


async def test_they_are_like_those_of_openais_client() -> None:
    outcomes, stub = await _outcomes([_ANSWER, failure(500, "asleep"), _ANSWER], 2)
    assert len(set(outcomes)) == 1
    ours, failed, retried = stub.requests
    assert ours.headers["authorization"] == f"Bearer {KEY}"
    assert (ours.path, ours.body, ours.headers) == (failed.path, failed.body, failed.headers)
    assert (ours.path, ours.body) == (retried.path, retried.body)
    differing = {"accept-encoding", "x-stainless-retry-count"}
    assert {name for name in {*ours.headers, *retried.headers} if _of(ours, name) != _of(retried, name)} == differing


async def test_by_way_of_a_proxy_all_are_those_of_openais_client(monkeypatch: pytest.MonkeyPatch) -> None:
    with OpenAIStub(_ANSWER) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url.removesuffix("/v1"))
        agent = agent_for("http://models.example/v1")
        assert isinstance(await agent.act(OBSERVATION), AgentReply)
        await agent.aclose()
        (request,) = proxy.requests
    assert request.path == "http://models.example/v1/chat/completions"
    assert "gzip" in request.headers["accept-encoding"]


def _of(request: Request, name: str) -> str | None:
    return request.headers.get(name)


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param([failure(500, "asleep"), _ANSWER], id="an error that passes"),
        pytest.param([failure(503, "asleep"), failure(503, "still asleep")], id="an error that stays"),
        pytest.param([failure(401, "who are you")], id="a key that is refused"),
        pytest.param([failure(404, "no such model", code="model_not_found")], id="a model that is not there"),
        pytest.param([failure(429, "slow down", headers={"Retry-After": "0"}), _ANSWER], id="too many"),
        pytest.param([failure(429, "no money", code="insufficient_quota")], id="no money left"),
        pytest.param([failure(400, "Unsupported parameter: 'seed' is not supported."), _ANSWER], id="a parameter"),
        pytest.param([completion(GOOD, delay_s=1.0), _ANSWER], id="too late once"),
        pytest.param([completion(GOOD, delay_s=1.0), completion(GOOD, delay_s=1.0)], id="too late twice"),
        pytest.param([Reply(body=b"<html>Welcome</html>", headers={"Content-Type": "text/html"})], id="a page"),
        pytest.param([Reply(body=b'{"choices": [', headers=_JSON)], id="broken JSON"),
        pytest.param([Reply(body=b'{"error": {"message": "overloaded"}}', headers=_JSON)], id="an error as an answer"),
        pytest.param([Reply(body=b"5", headers=_JSON)], id="a number"),
        pytest.param([Reply(body=_ANSWER.body, headers={"Content-Type": "text/plain"})], id="an answer as plain text"),
        pytest.param([Reply(status=201, body=_ANSWER.body, headers=_JSON)], id="an answer under another status"),
        pytest.param([Reply(status=204)], id="nothing"),
        pytest.param([Reply(status=307, headers={"Location": "/v1/chat/completions"}), _ANSWER], id="a redirection"),
    ],
)
async def test_what_goes_wrong_after_an_answer_is_treated_as_what_goes_wrong_at_once(trouble: list[Step]) -> None:
    (at_first,), first_stub = await _outcomes(trouble, 1)
    (_, at_second), second_stub = await _outcomes([_ANSWER, *trouble], 2)
    assert at_second == at_first
    assert len(second_stub.requests) == 1 + len(first_stub.requests)
    assert [request.path for request in second_stub.requests[1:]] == [request.path for request in first_stub.requests]
