"""From what a person writes (`openai:gpt-4o-mini`) to an agent that can play."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import attrs

from supportbench import codec
from supportbench.errors import AgentError, UnknownNameError, boundary
from supportbench.interfaces import Agent
from supportbench.models import AgentReply, SupportQueueAction, SupportQueueObservation, fields
from supportbench.offers import configure, data_fingerprint_of, is_dishonest, options_given, version_of
from supportbench.registry import Registry
from supportbench.wording import did_you_mean


@attrs.frozen(kw_only=True)
class ChosenAgent:
    """An agent ready to play: `label` is what the person wrote, `model` the language model behind it, if any.

    `options` are those in force, defaults and environment included, where the agent tells them as its `options`.
    """

    label: str
    agent: Agent
    version: str
    model: str | None = None
    options: Mapping[str, Any] = attrs.field(factory=dict)
    data_fingerprint: str | None = None

    def for_episode(self, seed: int) -> Agent:
        """Return the agent for one episode; one that keeps nothing between tickets serves all of them."""
        start = getattr(self.agent, "start_episode", None)
        if start is None:
            return self.agent
        with boundary(AgentError, f"agent {self.label!r}", "the start of an episode"):
            agent: Agent = start(seed)
            return agent


def choose_agent(registry: Registry, label: str, options: Mapping[str, Any] | None = None) -> ChosenAgent:
    """Return the agent that the label names; what stands behind its first colon fills the first of its options.

    Raises:
        UnknownNameError: no such agent, or it takes no argument.
        OptionsError: its options are wrong.
    """
    if fields.writable_text(label) != label:
        raise UnknownNameError(f"There is no agent {label!a}: that is no valid Unicode.")
    name, colon, argument = label.partition(":")
    if name not in registry.agents:
        honest = [entry.name for entry in registry.agents.entries.values() if not is_dishonest(entry.value)]
        raise UnknownNameError(f"There is no agent {name!r}. {did_you_mean(name, honest)}")
    agent = registry.agents[name]
    given = options_given(agent, name, argument if colon else None, options or {}, f"agent {name!r}")
    configured, filled = configure(agent, given, f"agent {name!r}")
    with boundary(AgentError, f"agent {name!r}", "the options and the model that it tells"):
        model, in_force = getattr(configured, "model", None), getattr(configured, "options", None)
    return ChosenAgent(
        label=label,
        agent=configured,
        version=version_of(agent),
        model=fields.writable_text(model) if isinstance(model, str) else None,
        options=codec.unstructure(in_force) if attrs.has(type(in_force)) else filled,
        data_fingerprint=data_fingerprint_of(configured),
    )


async def ask(
    agent: Agent, label: str, observation: SupportQueueObservation, *, timeout_s: float | None = None
) -> AgentReply:
    """Return the agent's reply to an observation; raises `AgentError` whatever goes wrong in it, or when it is late."""
    ticket = observation.ticket.ticket_id if observation.ticket else "none"
    try:
        async with asyncio.timeout(timeout_s):
            with boundary(AgentError, f"agent {label!r}", f"ticket {ticket!r}"):
                reply = await agent.act(observation)
                if isinstance(reply, SupportQueueAction):
                    return AgentReply(action=reply)
                if isinstance(reply, AgentReply) and isinstance(reply.action, SupportQueueAction):
                    return reply
                raise AgentError(
                    f"Agent {label!r} must return a SupportQueueAction, it returned {type(reply).__name__}"
                )
    except TimeoutError:
        raise AgentError(f"Agent {label!r} did not answer ticket {ticket!r} within {timeout_s:g} s") from None
