"""One act of the agent `openai:MODEL` for tests: the ticket, a good answer, and what an act came to."""

from __future__ import annotations

from typing import Any

from supportbench import (
    AgentError,
    AgentReply,
    SupportQueueAction,
    SupportQueueObservation,
    Ticket,
    structure,
)
from supportbench_agents.openai_agent import OpenAIAgent
from tests.stubs.openai_endpoint import OpenAIStub, Step

KEY = "sk-very-secret-0123456789"
GOOD: dict[str, Any] = {
    "summary": "Charged twice.",
    "priority": "P2",
    "queue": "billing",
    "disposition": "respond",
    "response": "We are looking into it.",
    "confidence": 0.75,
}
ACTION = structure(GOOD, SupportQueueAction)
TICKET = Ticket(
    ticket_id="T-1",
    subject="Charged twice",
    body="Hello,\nwe were charged twice.\n\nAda",
    customer_tier="growth",
    product_area="billing",
    sla_hours=8,
    recent_events=("two charges on 1 March",),
    extra={"region": "eu-2"},
)
OBSERVATION = SupportQueueObservation(
    task_id="t",
    task_title="T",
    difficulty="easy",
    instructions="You work for Quillharbor. A refund costs $5 ${more}.",
    current_index=0,
    total_tickets=1,
    ticket=TICKET,
    allowed_priorities=("P1", "P2", "P3"),
    allowed_queues=("billing", "technical"),
    allowed_dispositions=("respond", "escalate"),
    scoring_weights={"priority": 1.0},
    last_feedback={"reward": 0.123},
    info={"episode_id": "secret-episode"},
)


def agent_for(
    stub: OpenAIStub | str, *, environ: dict[str, str] | None = None, model: str = "stub", **options: Any
) -> OpenAIAgent:
    url = stub if isinstance(stub, str) else stub.url
    agent = OpenAIAgent.from_environ({"API_BASE_URL": url, "API_KEY": KEY} if environ is None else environ)
    return agent.configured(structure({"model": model, "max_retries": 0, **options}, OpenAIAgent.Options))


async def played(*script: Step, **options: Any) -> tuple[AgentReply | AgentError, OpenAIStub]:
    """Return what one `act` came to, and the stub with its requests."""
    with OpenAIStub(*script) as stub:
        agent = agent_for(stub, **options)
        try:
            return await agent.act(OBSERVATION), stub
        except AgentError as error:
            return error, stub
        finally:
            await agent.aclose()


async def reply_to(*script: Step, **options: Any) -> tuple[AgentReply, OpenAIStub]:
    outcome, stub = await played(*script, **options)
    assert isinstance(outcome, AgentReply), outcome
    return outcome, stub


async def error_after(*script: Step, **options: Any) -> tuple[AgentError, OpenAIStub]:
    outcome, stub = await played(*script, **options)
    assert isinstance(outcome, AgentError), outcome
    assert str(outcome).startswith("agent 'openai:stub' failed at ticket 'T-1': ")
    return outcome, stub


def with_changes(**changes: Any) -> dict[str, Any]:
    return {key: value for key, value in (GOOD | changes).items() if value is not ...}


def formats(stub: OpenAIStub) -> list[str | None]:
    return [request.body.get("response_format", {}).get("type") for request in stub.requests]
