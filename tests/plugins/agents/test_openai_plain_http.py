"""Answers over plain HTTP, however they are sent: plain ones cost one request, others one more at most."""

from __future__ import annotations

import gzip

import pytest

from supportbench import AgentError, AgentReply
from tests.plugins.agents.asking import ACTION, GOOD, OBSERVATION, agent_for
from tests.stubs.openai_endpoint import completion
from tests.stubs.rough_endpoint import Answer, RoughEndpoint

BODY = completion(GOOD).body
JSON = b"Content-Type: application/json\r\n"


def with_length(body: bytes = BODY, more: bytes = b"", status: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return b"%b\r\n%b%bContent-Length: %d\r\n\r\n%b" % (status, JSON, more, len(body), body)


def in_chunks(size: int, trailer: bytes = b"") -> bytes:
    pieces = [BODY[place : place + size] for place in range(0, len(BODY), size)]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return b"HTTP/1.1 200 OK\r\n%bTransfer-Encoding: chunked\r\n\r\n%b0\r\n%b\r\n" % (JSON, chunks, trailer)


async def _acts(endpoint: RoughEndpoint, number: int = 3, max_retries: int = 0) -> list[AgentReply | AgentError]:
    agent = agent_for(endpoint.url, max_retries=max_retries, timeout_s=5)
    outcomes: list[AgentReply | AgentError] = []
    for _ in range(number):
        try:
            outcomes.append(await agent.act(OBSERVATION))
        except AgentError as error:
            outcomes.append(error)
    await agent.aclose()
    return outcomes


@pytest.mark.parametrize(
    ("data", "then"),
    [
        pytest.param(with_length(), "stay", id="with its length"),
        pytest.param(with_length(more=b"Connection: close\r\n"), "close", id="and then closed"),
        pytest.param(with_length(status=b"HTTP/1.0 200 OK"), "close", id="by an old server"),
        pytest.param(with_length().replace(b"Content-Type", b"cOnTeNt-tYpE"), "stay", id="with odd letters"),
        pytest.param(in_chunks(7), "stay", id="in small pieces"),
        pytest.param(in_chunks(100, b"X-Checksum: 1\r\n"), "stay", id="in pieces with a trailer"),
        pytest.param(with_length(b" \n" + BODY + b"\n"), "stay", id="with blanks around"),
    ],
)
async def test_one_request_is_enough(data: bytes, then: str) -> None:
    with RoughEndpoint(lambda asked: Answer(data=data, then=then)) as endpoint:
        outcomes = await _acts(endpoint)
        assert [outcome.action for outcome in outcomes if isinstance(outcome, AgentReply)] == [ACTION] * 3
        assert endpoint.requests == 3


@pytest.mark.parametrize(
    ("data", "then"),
    [
        pytest.param(b"HTTP/1.1 200 OK\r\n%b\r\n%b" % (JSON, BODY), "close", id="without its length"),
        pytest.param(b"HTTP/1.1 103 Early Hints\r\n\r\n" + with_length(), "stay", id="behind a hint"),
        pytest.param(with_length(gzip.compress(BODY), b"Content-Encoding: gzip\r\n"), "stay", id="compressed"),
    ],
)
async def test_what_is_not_plain_is_asked_once_more_and_from_then_on_otherwise(data: bytes, then: str) -> None:
    with RoughEndpoint(lambda asked: Answer(data=data, then=then)) as endpoint:
        outcomes = await _acts(endpoint)
        assert [outcome.action for outcome in outcomes if isinstance(outcome, AgentReply)] == [ACTION] * 3
        assert endpoint.requests == 4


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"220 mail.example ESMTP\r\n", id="no HTTP"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", id="a length that is none"),
        pytest.param(with_length()[:-9], id="half an answer"),
        pytest.param(in_chunks(50)[:-40], id="half of the pieces"),
        pytest.param(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", id="an upgrade"),
    ],
)
async def test_what_is_no_answer_is_an_error_and_not_waited_for(data: bytes) -> None:
    with RoughEndpoint(lambda asked: Answer(data=data, then="close")) as endpoint:
        for outcome in await _acts(endpoint, 2):
            assert isinstance(outcome, AgentError), outcome


async def test_a_head_without_end_is_given_up() -> None:
    with RoughEndpoint(lambda asked: Answer(data=b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * (17 << 20))) as endpoint:
        (outcome,) = await _acts(endpoint, 1)
    assert "does not end: the answer has more than 16 MiB" in str(outcome)


async def test_what_comes_unasked_for_is_no_answer_to_the_next_question() -> None:
    other = completion({**GOOD, "summary": "Of somebody else."}).body
    with RoughEndpoint(lambda asked: Answer(data=with_length() + with_length(other))) as endpoint:
        outcomes = await _acts(endpoint, max_retries=1)
    assert [outcome.action for outcome in outcomes if isinstance(outcome, AgentReply)] == [ACTION] * 3


async def test_a_connection_that_is_closed_behind_an_answer_costs_no_ticket() -> None:
    with RoughEndpoint(lambda asked: Answer(data=with_length(), then="close")) as endpoint:
        outcomes = await _acts(endpoint, 5, max_retries=2)  # it may be closed while the next question is on its way
    assert [outcome.action for outcome in outcomes if isinstance(outcome, AgentReply)] == [ACTION] * 5
