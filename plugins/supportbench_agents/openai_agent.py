"""The agent `openai:MODEL`: what the model answers is what gets graded, or else it is an error."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from supportbench import AgentError, AgentReply, SupportQueueAction, SupportQueueObservation, Usage
from supportbench_agents.openai_answer import UnusableAnswerError, read_action, shortened
from supportbench_agents.openai_connection import Connection, EndpointError
from supportbench_agents.openai_endpoint import Completion, Endpoint
from supportbench_agents.openai_parameters import OpenAIOptions
from supportbench_agents.openai_prompt import answer_schema, first_messages, prompt_fingerprint, repair_messages

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
    """

    name = "openai"
    version = "1"
    Options = OpenAIOptions

    connection: Connection
    options: OpenAIOptions | None = None
    seed: int | None = None
    _endpoint: Endpoint | None = attrs.field(default=None, repr=False, eq=False, alias="endpoint")

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> OpenAIAgent:
        """Return the agent for this environment; it still lacks a model (see `configured`)."""
        return cls(connection=Connection.from_environ(environ))

    @property
    def model(self) -> str | None:
        """The model that is asked."""
        return self.options.model if self.options else None

    @property
    def data_fingerprint(self) -> str:
        """A string that changes with the prompt's texts."""
        return prompt_fingerprint()

    def configured(self, options: OpenAIOptions) -> OpenAIAgent:
        """Return the agent that asks this model, with connections of its own; raises ValueError for a bad base URL."""
        connection = attrs.evolve(self.connection, base_url=options.base_url or self.connection.base_url)
        connection.check_url()
        options = attrs.evolve(options, base_url=connection.base_url)
        endpoint = Endpoint(connection, options)
        return OpenAIAgent(connection=connection, options=options, endpoint=endpoint).start_episode(0)

    def start_episode(self, seed: int) -> OpenAIAgent:
        """Return the agent for one episode; it shares the connections of this one."""
        if self.options is None or self.options.seed is None:
            return self
        return attrs.evolve(self, seed=(self.options.seed + seed) % _SEEDS)

    async def act(self, observation: SupportQueueObservation) -> AgentReply:
        """Return the model's action for the open ticket, and the usage of all turns.

        Raises:
            AgentError: no answer, or none that is an action; its `usage` is what was used until then.
        """
        if self._endpoint is None:
            raise AgentError("Agent 'openai' needs a model: --agent openai:gpt-4o-mini")
        if observation.ticket is None:
            raise AgentError(f"Agent 'openai:{self.model}' was asked to act, but no ticket is open")
        messages, schema = first_messages(observation, observation.ticket), answer_schema(observation)
        usage, problem = Usage(), ""
        try:
            for _ in ("the answer", "the repair turn"):
                completion = await self._endpoint.complete(messages, schema, self.seed)
                usage += completion.usage
                try:
                    return AgentReply(action=_action(completion, observation), usage=usage)
                except UnusableAnswerError as found:
                    # Faults are shortened, and half a key is one that nobody would recognise and black out.
                    repeats_key = self.connection.without_key(completion.text) != completion.text
                    error = UnusableAnswerError(("it repeats the key",)) if repeats_key else found
                    said = self.connection.without_key(completion.text or completion.refusal or "")
                    beginning = f"it begins: {shortened(said)}" if said.strip() else "it has no text"
                    problem = f"the answer is no action, even after a repair turn: {error}; {beginning}"
                    messages = repair_messages(messages, said, error.faults)
        except EndpointError as error:
            problem = str(error)
        where = f"agent 'openai:{self.model}' failed at ticket {observation.ticket.ticket_id!r}"
        raise AgentError(f"{where}: {self.connection.without_key(problem)}", usage=usage)

    async def aclose(self) -> None:
        """Close the connections that all episodes share."""
        if self._endpoint is not None:
            await self._endpoint.aclose()


def _action(completion: Completion, observation: SupportQueueObservation) -> SupportQueueAction:
    """Return the action that the completion is.

    Raises:
        UnusableAnswerError: it is none, and asking again may help.
        EndpointError: it is none, and asking again with the same ticket cannot help.
    """
    if completion.finish_reason == "content_filter":
        raise EndpointError("the endpoint's content filter withheld the answer")
    if completion.refusal:
        raise UnusableAnswerError(("it is a refusal to answer",))
    if completion.finish_reason == "length":
        raise UnusableAnswerError(("it was cut off at the limit of output tokens (max_output_tokens)",))
    if not completion.text.strip():
        raise UnusableAnswerError(("it is empty",))
    return read_action(completion.text, observation)
