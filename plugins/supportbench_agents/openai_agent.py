"""The agent `openai:MODEL`: what the model answers is what gets graded, or else it is an error."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import attrs

from supportbench import (
    AgentError,
    AgentReply,
    AnswerForm,
    Endpoint,
    EndpointConnection,
    EndpointError,
    KeptAnswers,
    SupportQueueObservation,
    answers_folder,
)
from supportbench_agents.openai_answer import read_action
from supportbench_agents.openai_options import OpenAIOptions
from supportbench_agents.openai_prompt import answer_schema, first_messages, prompt_fingerprint, repair_text

_SEEDS = 1 << 31  # some endpoints take no larger ones


@attrs.frozen(kw_only=True)
class OpenAIAgent:
    """Asks a language model at any OpenAI-compatible endpoint.

    The environment says where it is (`API_BASE_URL`, else `OPENAI_BASE_URL`, else OpenAI's) and what opens it
    (`API_KEY`, else `HF_TOKEN`, else `OPENAI_API_KEY`); the option `base_url` goes before it. An endpoint on this
    machine needs no key.

    The model is asked for an answer by JSON Schema where the endpoint takes one. An answer that is no action is sent
    back once with what is wrong with it; there is no second repair, and never a rule or a default in the model's place.

    The seed that is sent is the option `seed` plus the episode's, modulo 2^31: repeats of a task are different draws,
    and the same run sends the same requests. With `seed` None no seed is sent.

    `usage` counts the model's answers as calls and sums their tokens; an endpoint that reports no tokens leaves 0.
    Attempts that the client repeats on its own (429, 5xx, timeouts) are no calls.

    With SUPPORTBENCH_AGENT_CACHE=on answers that were usable are kept, and the same request of the same repeat is not
    sent twice: such an answer uses nothing.
    """

    name = "openai"
    version = "1"
    Options = OpenAIOptions

    connection: EndpointConnection
    options: OpenAIOptions | None = None
    seed: int | None = None
    answers: Path | None = attrs.field(default=None, repr=False)
    draw: int = attrs.field(default=0, repr=False)
    _endpoint: Endpoint | None = attrs.field(default=None, repr=False, eq=False, alias="endpoint")

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> OpenAIAgent:
        """Return the agent for this environment; it still lacks a model (see `configured`)."""
        return cls(
            connection=EndpointConnection.from_environ(environ),
            answers=answers_folder(environ, "SUPPORTBENCH_AGENT_CACHE"),
        )

    @property
    def model(self) -> str | None:
        """The model that is asked."""
        return self.options.model if self.options else None

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables that it reads, the key among them."""
        return self.connection.variables.names

    @property
    def data_fingerprint(self) -> str:
        """A string that changes with the prompt's texts."""
        return prompt_fingerprint()

    def configured(self, options: OpenAIOptions) -> OpenAIAgent:
        """Return the agent that asks this model, with connections of its own.

        Raises:
            ValueError: the base URL is bad, or there is no key that can be sent there.
        """
        connection = attrs.evolve(self.connection, base_url=options.base_url or self.connection.base_url)
        connection.check_url()
        try:
            connection.usable_key()  # better now than at every ticket
        except EndpointError as error:
            raise ValueError(str(error)) from None
        options = attrs.evolve(options, base_url=connection.base_url)
        kept = None if self.answers is None else KeptAnswers(self.answers, "agent")
        endpoint = Endpoint(connection, options.of_endpoint, kept=kept)
        endpoint.prepare()
        return OpenAIAgent(connection=connection, options=options, endpoint=endpoint).start_episode(0)

    def start_episode(self, seed: int) -> OpenAIAgent:
        """Return the agent for one episode; it shares the connections of this one."""
        own = None if self.options is None or self.options.seed is None else (self.options.seed + seed) % _SEEDS
        return attrs.evolve(self, seed=own, draw=seed)

    async def act(self, observation: SupportQueueObservation) -> AgentReply:
        """Return the model's action for the open ticket, and the usage of all turns.

        Raises:
            AgentError: no answer, or none that is an action; its `usage` is what was used until then.
        """
        if self._endpoint is None:
            raise AgentError("Agent 'openai' needs a model: --agent openai:gpt-4o-mini")
        if observation.ticket is None:
            raise AgentError(f"Agent 'openai:{self.model}' was asked to act, but no ticket is open")
        form = AnswerForm(name="triage", noun="action", schema=answer_schema(observation))
        messages = first_messages(observation, observation.ticket)
        try:
            answer = await self._endpoint.ask(
                messages,
                form,
                lambda text: read_action(text, observation),
                seed=self.seed,
                repair=repair_text(),
                # Without a seed repeats send the same, and are different draws all the same.
                decisive={"messages": messages, "repair": repair_text(), "draw": self.draw},
            )
        except EndpointError as error:
            failure = error
        else:
            return AgentReply(action=answer.value, usage=answer.usage)
        where = f"agent 'openai:{self.model}' failed at ticket {observation.ticket.ticket_id!r}"
        raise AgentError(f"{where}: {failure}", usage=failure.usage)

    async def aclose(self) -> None:
        """Close the connections that all episodes share."""
        if self._endpoint is not None:
            await self._endpoint.aclose()
