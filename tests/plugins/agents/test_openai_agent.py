"""The agent `openai:MODEL`, talking through the real client to a stub of an endpoint."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
import threading
import time
import traceback
from typing import Any

import attrs
import pytest

from supportbench import (
    AgentError,
    AgentReply,
    SupportQueueAction,
    UnusableAnswerError,
    Usage,
    load_registry,
)
from supportbench.evaluation.agents import choose_agent
from supportbench_agents.openai_agent import OpenAIAgent
from supportbench_agents.openai_answer import read_action
from supportbench_agents.openai_prompt import answer_schema
from tests.plugins.agents.asking import ACTION, GOOD, KEY, OBSERVATION, agent_for, error_after, reply_to, with_changes
from tests.stubs.openai_endpoint import OpenAIStub, Reply, Request, completion, failure

# -- a good answer ------------------------------------------------------------------------------------------------


async def test_a_good_answer_is_the_action_with_its_usage() -> None:
    reply, stub = await reply_to(completion(GOOD))
    assert reply == AgentReply(action=ACTION, usage=Usage(input_tokens=100, output_tokens=20, calls=1))
    (request,) = stub.requests
    assert request.path == "/v1/chat/completions"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert {key: value for key, value in request.body.items() if key not in ("messages", "response_format")} == {
        "model": "stub",
        "temperature": 0.0,
        "seed": 0,
        "max_tokens": 1000,
    }
    assert request.body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "triage", "strict": True, "schema": answer_schema(OBSERVATION)},
    }


def test_the_schema_has_the_fields_of_an_action_and_only_allowed_values() -> None:
    schema = answer_schema(OBSERVATION)
    fields = {field.name for field in attrs.fields(SupportQueueAction)}
    assert set(schema["properties"]) == set(schema["required"]) == fields - {"metadata"}
    assert schema["additionalProperties"] is False
    assert schema["properties"]["priority"]["enum"] == ["P1", "P2", "P3"]
    assert schema["properties"]["queue"]["enum"] == ["billing", "technical"]
    assert schema["properties"]["disposition"]["enum"] == ["respond", "escalate"]


@pytest.mark.parametrize(
    "text",
    [
        f"Sure! Here it is:\n```json\n{json.dumps(GOOD, indent=2)}\n```\nLet me know {{whether}} that helps.",
        f"The set {{a, b}} aside: {json.dumps(GOOD)} {json.dumps(GOOD)}",
        f"[{json.dumps(GOOD)}]",
        f"<think>First {json.dumps(with_changes(queue='technical'))}, but no.</think>{json.dumps(GOOD)}",
        f'{{"priority": "P9"}} was a draft. {json.dumps(GOOD)}',
    ],
)
async def test_prose_around_the_answer_does_not_matter(text: str) -> None:
    reply, stub = await reply_to(completion(text))
    assert reply.action == ACTION
    assert len(stub.requests) == 1


# -- an answer that is no action ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bad", "fault"),
    [
        (completion(with_changes(priority="P0")), 'priority: "P0" is not allowed; choose one of "P1", "P2", "P3"'),
        (completion(with_changes(queue=...)), "queue: required, but missing"),
        (completion(with_changes(confidence="0.7")), "confidence: expected a number, got a string"),
        (completion(with_changes(confidence=70)), "confidence: must be in [0, 1]"),
        (completion(with_changes(mood="fine")), "mood: unknown key."),
        (completion({"answer": GOOD}), "answer: unknown key."),
        (completion("Escalate it."), "there is no complete JSON object in it"),
        (completion(json.dumps(GOOD)[:-1]), "there is no complete JSON object in it"),
        (completion('{"a":' * 100_000), "there is no complete JSON object in it"),
        (completion(f"{json.dumps(GOOD)} or {json.dumps(with_changes(queue='technical'))}"), "2 different answers"),
        (completion(""), "it is empty"),
        (completion(None), "it is empty"),
        (completion(None, refusal="I'd rather not."), "it is a refusal to answer"),
        (completion(GOOD, finish_reason="length"), "it was cut off at the limit of output tokens"),
    ],
)
async def test_it_is_sent_back_once_with_what_is_wrong(bad: Reply, fault: str) -> None:
    reply, stub = await reply_to(bad, completion(GOOD, tokens=(300, 40)))
    assert reply == AgentReply(action=ACTION, usage=Usage(input_tokens=400, output_tokens=60, calls=2))
    first, second = (request.body["messages"] for request in stub.requests)
    assert second[:2] == first
    assert [message["role"] for message in second] == ["system", "user", "assistant", "user"]
    answered = json.loads(bad.body)["choices"][0]["message"]
    assert second[2]["content"] == (answered["content"] or answered["refusal"] or "(an empty answer)")
    assert fault in second[3]["content"]

    error, stub = await error_after(bad)
    assert len(stub.requests) == 2
    assert fault in str(error)
    assert len(str(error)) < 700
    assert error.usage == Usage(input_tokens=200, output_tokens=40, calls=2)


async def test_many_faults_are_shortened() -> None:
    error, stub = await error_after(completion(with_changes(**{f"key{i}": i for i in range(50)})))
    assert "and 40 more faults" in str(error)
    assert len(stub.requests[1].body["messages"][3]["content"]) < 3000


async def test_a_content_filter_is_an_error_without_a_second_question() -> None:
    error, stub = await error_after(completion("", finish_reason="content_filter"))
    assert "content filter" in str(error)
    assert len(stub.requests) == 1
    assert error.usage == Usage(input_tokens=100, output_tokens=20, calls=1)


async def test_usage_is_not_lost_when_the_repair_turn_fails() -> None:
    error, _ = await error_after(completion("no"), failure(500, "broken"))
    assert "answered 500 in 1 attempt: broken" in str(error)
    assert error.usage == Usage(input_tokens=100, output_tokens=20, calls=1)


async def test_an_endpoint_without_usage_leaves_the_calls() -> None:
    reply, _ = await reply_to(completion("no", tokens=None), completion(GOOD, tokens=None))
    assert reply.usage == Usage(calls=2)


@pytest.mark.parametrize("text", ['{"a{' * 50_000, "{" * 200_000, '{"a":{"b":1,' * 20_000, '{"a": 1} ' * 10_000])
def test_a_thousand_beginnings_are_no_answer(text: str) -> None:
    with pytest.raises(UnusableAnswerError):
        read_action(text + json.dumps(GOOD), OBSERVATION)
    assert read_action("{see} " * 500 + json.dumps(GOOD), OBSERVATION) == ACTION


# -- an endpoint in trouble ---------------------------------------------------------------------------------------


async def test_retry_after_is_honoured() -> None:
    begun = time.perf_counter()
    reply, stub = await reply_to(
        failure(429, "slow down", headers={"Retry-After": "1"}), completion(GOOD), max_retries=1
    )
    assert reply.action == ACTION
    assert reply.usage == Usage(input_tokens=100, output_tokens=20, calls=1)
    assert len(stub.requests) == 2
    assert time.perf_counter() - begun >= 1.0  # the client's own back-off would be at most 0.5 s


async def test_500_for_ever_is_an_error_after_the_retries() -> None:
    error, stub = await error_after(failure(500, "the hamster is asleep"), max_retries=2)
    assert "answered 500 in 3 attempts: the hamster is asleep" in str(error)
    assert len(stub.requests) == 3
    assert error.usage == Usage()


async def test_a_timeout_is_an_error() -> None:
    error, stub = await error_after(completion(GOOD, delay_s=5), timeout_s=0.2, max_retries=1)
    assert "no answer from" in str(error)
    assert "within 0.2 s, in 2 attempts" in str(error)
    assert len(stub.requests) == 2


async def test_nobody_listening_is_an_error() -> None:
    with OpenAIStub(completion(GOOD)) as stub:
        url = stub.url
    agent = agent_for(url)
    with pytest.raises(AgentError, match=r"cannot reach http://127\.0\.0\.1:"):
        await agent.act(OBSERVATION)
    await agent.aclose()


@pytest.mark.parametrize(
    "strange",
    [
        Reply(body=b"<html>Welcome</html>", headers={"Content-Type": "text/html"}),
        Reply(body=b"not json", headers={"Content-Type": "application/json"}),
        Reply(body=b"[]", headers={"Content-Type": "application/json"}),
        Reply(body=b'{"choices": []}', headers={"Content-Type": "application/json"}),
        Reply(body=b'{"choices": [{}]}', headers={"Content-Type": "application/json"}),
        Reply(body=b'{"error": {"message": "overloaded"}}', headers={"Content-Type": "application/json"}),
    ],
)
async def test_what_is_no_chat_completion_is_an_error(strange: Reply) -> None:
    error, stub = await error_after(strange)
    assert "no chat completion" in str(error)
    assert ("overloaded" in str(error)) == (b"overloaded" in strange.body)
    assert len(stub.requests) == 1


# -- connection, key, client --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "key"),
    [
        ({"API_KEY": "a", "HF_TOKEN": "h", "OPENAI_API_KEY": "o"}, "a"),
        ({"HF_TOKEN": "h", "OPENAI_API_KEY": "o"}, "h"),
        ({"API_KEY": " ", "OPENAI_API_KEY": "o\n"}, "o"),
        ({}, "none"),
    ],
)
async def test_the_key_comes_from_the_environment(environ: dict[str, str], key: str) -> None:
    with OpenAIStub(completion(GOOD)) as stub:
        agent = agent_for(stub, environ={"OPENAI_BASE_URL": stub.url, **environ})
        await agent.act(OBSERVATION)
        await agent.aclose()
    assert stub.requests[0].headers["authorization"] == f"Bearer {key}"


async def test_the_address_comes_from_the_options_or_the_environment() -> None:
    with OpenAIStub(completion(GOOD)) as stub:
        nowhere = "http://127.0.0.1:9/v1"
        for environ, options in (
            ({"API_BASE_URL": stub.url, "OPENAI_BASE_URL": nowhere}, {}),
            ({"API_BASE_URL": nowhere}, {"base_url": stub.url}),
        ):
            agent = agent_for(stub, environ=environ, **options)
            await agent.act(OBSERVATION)
            await agent.aclose()
    assert len(stub.requests) == 2
    assert agent_for(stub, environ={"API_KEY": "a"}).connection.base_url == "https://api.openai.com/v1"


@pytest.mark.parametrize("url", ["", "localhost:8000", "ftp://host/v1", "http://", "http://host:port", "file:///x"])
def test_an_impossible_address_is_refused(url: str) -> None:
    if url:
        with pytest.raises(ValueError, match="must look like https://host/v1"):
            agent_for("", environ={}, base_url=url)
    with pytest.raises(ValueError, match="no credentials") as caught:
        agent_for("", environ={"API_BASE_URL": f"https://me:{KEY}@host/v1"})
    assert KEY not in str(caught.value)


def test_without_a_key_it_is_refused_before_it_plays() -> None:
    with pytest.raises(ValueError, match=r"no key for https://llm\.example/v1: set API_KEY, HF_TOKEN or"):
        agent_for("", environ={"API_BASE_URL": "https://llm.example/v1"})


def test_a_key_that_cannot_be_sent_is_refused_too() -> None:
    with pytest.raises(ValueError, match="the key in API_KEY has blanks") as caught:
        agent_for("", environ={"API_KEY": "two words"})
    assert "two words" not in str(caught.value)


async def test_the_key_is_shown_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("openai", "httpx2", "httpcore2"):
        caplog.set_level(logging.DEBUG, logger=name)
    texts = []
    for step in (
        failure(401, f"Incorrect API key provided: {KEY}."),
        failure(500, f"header was Bearer {KEY}"),
        completion(f"Your key is {KEY}"),
        completion("x" * 190 + KEY),
        completion(GOOD, delay_s=1),
        Reply(body=json.dumps({"error": KEY}).encode(), headers={"Content-Type": "application/json"}),
    ):
        error, stub = await error_after(step, timeout_s=0.3)
        texts += [*traceback.format_exception(error), repr(error), str(vars(error))]
        texts += [json.dumps(request.body) for request in stub.requests]
        assert error.__cause__ is None
        assert error.__context__ is None
        agent = agent_for(stub)
        texts += [repr(agent), str(agent), repr(agent.options), repr(agent._endpoint)]
        if step.status == 401:
            assert "answered 401 to the key in API_KEY: Incorrect API key provided: [key]." in str(error)
    texts += [record.getMessage() + str(record.exc_text) for record in caplog.records]
    shown = "\n".join(texts)
    assert KEY not in shown
    assert KEY[:12] not in shown


async def test_twenty_acts_at_once_share_one_client(monkeypatch: pytest.MonkeyPatch) -> None:
    import openai

    made: list[openai.AsyncOpenAI] = []
    original = openai.AsyncOpenAI.__init__

    def counted(self: openai.AsyncOpenAI, **arguments: Any) -> None:
        made.append(self)
        original(self, **arguments)

    monkeypatch.setattr(openai.AsyncOpenAI, "__init__", counted)
    together = threading.Barrier(20)

    def when_all_are_there(request: Request) -> Reply:
        together.wait(timeout=20)
        return completion(GOOD)

    with OpenAIStub(*[when_all_are_there] * 20, completion(GOOD)) as stub:
        agent = agent_for(stub)
        replies = await asyncio.gather(*(agent.start_episode(seed).act(OBSERVATION) for seed in range(20)))
        assert {request.body["seed"] for request in stub.requests} == set(range(20))
        assert len(made) == 1
        assert all(reply.action == ACTION for reply in replies)
        before = {request.connection for request in stub.requests}
        await agent.act(OBSERVATION)
        assert stub.requests[-1].connection in before  # connections are kept alive
        await agent.aclose()
        assert made[0].is_closed()
        await agent.aclose()
        await agent.act(OBSERVATION)  # a later run of the same agent connects anew
        assert len(made) == 2
        await agent.aclose()


@pytest.mark.parametrize(
    ("option", "episode", "sent"), [(0, None, 0), (0, 7, 7), (5, 7, 12), (1, 2**31, 1), (-1, 0, 2**31 - 1)]
)
async def test_the_seed_is_the_options_plus_the_episodes(option: int, episode: int | None, sent: int) -> None:
    with OpenAIStub(completion(GOOD)) as stub:
        agent = agent_for(stub, seed=option)
        playing = agent if episode is None else agent.start_episode(episode)
        await playing.act(OBSERVATION)
        await agent.aclose()
    assert stub.requests[0].body["seed"] == sent


async def test_no_seed_is_sent_when_none_is_wanted() -> None:
    _, stub = await reply_to(completion(GOOD), seed=None)
    assert "seed" not in stub.requests[0].body


# -- how it is chosen ---------------------------------------------------------------------------------------------


async def test_the_text_after_the_colon_is_the_model() -> None:
    with OpenAIStub(completion(GOOD)) as stub:
        found = load_registry({"API_BASE_URL": stub.url, "API_KEY": KEY}).check()
        chosen = choose_agent(found, "openai:org/model:tag")
        assert isinstance(chosen.agent, OpenAIAgent)
        assert chosen.model == "org/model:tag"
        assert KEY not in repr(chosen)
        await chosen.agent.act(OBSERVATION)
        await chosen.agent.aclose()
    assert stub.requests[0].body["model"] == "org/model:tag"


async def test_without_a_model_or_a_ticket_it_says_so() -> None:
    with pytest.raises(AgentError, match="needs a model: --agent openai:"):
        await OpenAIAgent.from_environ({}).act(OBSERVATION)
    with pytest.raises(AgentError, match="no ticket is open"):
        await agent_for("http://localhost/v1").act(attrs.evolve(OBSERVATION, ticket=None))


def test_offering_it_loads_no_openai() -> None:
    program = "import sys, supportbench as s; s.load_registry({}).check(); sys.exit('openai' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
