"""An OpenAI-compatible endpoint: the client, one request at a time, and what it has refused so far.

Timeouts, retries and back-off (429, 5xx, lost connections, Retry-After) are the openai client's. What is ours is to
find out which parameters the endpoint takes: one that it refuses is left out or replaced, and remembered.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterable
from string import Template
from typing import Any, Final, Generic, TypeVar

import attrs

from supportbench.endpoint.connection import EndpointConnection
from supportbench.endpoint.parameters import AnswerForm, EndpointOptions, Messages, refused_by, request_for, said_in
from supportbench.errors import EndpointError, EndpointFailure, UnusableAnswerError
from supportbench.models import Usage
from supportbench.wording import counted, shortened

T = TypeVar("T")

logger: Final = logging.getLogger("supportbench.endpoint")
_LONGEST_WAIT_S: Final = 60.0
_MOST_TOKENS: Final = 1 << 40
_WRONG_URL: Final = "is the base URL right? Most end in /v1"


@attrs.frozen(kw_only=True)
class Completion:
    """What the model answered, why it stopped and what that took; `refusal` is its own reason not to answer."""

    text: str
    refusal: str | None
    finish_reason: str | None
    usage: Usage


@attrs.frozen(kw_only=True)
class EndpointAnswer(Generic[T]):
    """What was read from a model's answer, and the usage of all turns that it took."""

    value: T
    usage: Usage


class Endpoint:
    """One endpoint with one model, shared by all who ask it; its client is made when it is first needed.

    It belongs to one event loop at a time: `aclose` before another one uses it.
    """

    def __init__(self, connection: EndpointConnection, options: EndpointOptions) -> None:
        self.connection = connection
        self._options = options
        self._refused: frozenset[str] = frozenset()
        self._client: Any = None
        self._making = threading.Lock()

    async def ask(
        self, messages: Messages, form: AnswerForm, read: Callable[[str], T], *, seed: int | None, repair: str
    ) -> EndpointAnswer[T]:
        """Return what `read` makes of the model's answer to the messages.

        An answer that `read` refuses (`UnusableAnswerError`) is sent back once with its faults; `repair` is the text
        that does so, in which `$faults` stands for them. There is no second repair.

        Raises:
            EndpointError: no answer, or none that can be used; its `usage` is what was used until then.
        """
        usage, failure = Usage(), EndpointError("")
        for _ in ("the answer", "the repair turn"):
            try:
                completion = await self.complete(messages, form, seed)
                usage += completion.usage
                return EndpointAnswer(value=read(_answer_in(completion)), usage=usage)
            except UnusableAnswerError as found:
                # Faults are shortened, and half a key is one that nobody would recognise and black out.
                repeats_key = self.connection.without_key(completion.text) != completion.text
                unusable = UnusableAnswerError(("it repeats the key",)) if repeats_key else found
                said = self.connection.without_key(completion.text or completion.refusal or "")
            except EndpointError as error:
                failure = EndpointError(self.connection.without_key(str(error)), reason=error.reason, usage=usage)
                break
            text = f"the answer is no {form.noun}, even after a repair turn: {unusable}"
            if not form.private:
                text += f"; it begins: {shortened(said)}" if said.strip() else "; it has no text"
            reason: EndpointFailure = "refused" if completion.refusal else "unusable"
            failure = EndpointError(self.connection.without_key(text), reason=reason, usage=usage)
            messages = _repair_messages(messages, said, repair, unusable.faults)
        raise failure

    async def complete(self, messages: Messages, form: AnswerForm, seed: int | None) -> Completion:
        """Return the model's answer to the messages.

        A parameter that the endpoint says it does not take is left out, and from then on never sent; what was left out
        of a request that failed all the same is forgotten.

        Raises:
            EndpointError: there was no answer, after the client's retries.
        """
        key = self.connection.usable_key()
        client = self._client or await asyncio.to_thread(self._made_client, key)
        from openai import APIStatusError, OpenAIError

        refused = self._refused
        problem: EndpointError | None = None
        while problem is None:
            request = request_for(self._options, messages, form, seed, refused)
            try:
                async with asyncio.timeout(self._longest_s):
                    answered = await client.chat.completions.create(**request)
            except APIStatusError as error:
                newly = refused_by(error, request, self._options)
                refused |= newly
                if not newly:
                    problem = self._describe(error, form)
            except (OpenAIError, ValueError) as error:
                problem = self._describe(error, form)
            except TimeoutError:
                text = f"no whole answer from {self.connection.base_url} within {self._longest_s:g} s"
                problem = EndpointError(text, reason="timed out")
            else:
                self._remember(refused)
                return self._completion(answered, form)
        # Raised out here, so that no exception that holds the request, and with it the key, hangs on to it.
        raise problem

    @property
    def _longest_s(self) -> float:
        """How long one request may take with all its attempts.

        The client's own timeout is for each piece that it reads, which an endpoint can draw out for ever; between
        attempts it waits up to a minute when it is told to.
        """
        retries = self._options.max_retries
        return self._options.timeout_s * (retries + 1) + _LONGEST_WAIT_S * retries

    async def aclose(self) -> None:
        """Close the connections; a later request opens new ones."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    def _made_client(self, key: str) -> Any:
        with self._making:
            if self._client is None:
                from openai import AsyncOpenAI

                client = AsyncOpenAI(
                    api_key=key,
                    base_url=self.connection.base_url,
                    timeout=self._options.timeout_s,
                    max_retries=self._options.max_retries,
                )
                client.chat.completions  # noqa: B018 - imported on first sight, and better here than in the event loop
                self._client = client
            return self._client

    def _remember(self, refused: frozenset[str]) -> None:
        for name in sorted(refused - self._refused):
            logger.warning("%s at %s takes no %s", self._options.model, self.connection.base_url, name)
        self._refused |= refused

    def _describe(self, error: Exception, form: AnswerForm) -> EndpointError:
        from openai import APIConnectionError, APIStatusError, APITimeoutError

        url, tries = self.connection.base_url, self._options.max_retries + 1
        attempts = counted(tries, "attempt")
        reason: EndpointFailure = "failed"
        if isinstance(error, APITimeoutError):
            reason = "timed out"
            text = f"no answer from {url} within {self._options.timeout_s:g} s, in {attempts}"
        elif isinstance(error, APIConnectionError):
            reason = "unreachable"
            text = f"cannot reach {url}, in {attempts}: {error.__cause__ or error}"
        elif isinstance(error, APIStatusError):
            text = f"{url} answered {error.status_code}"
            if error.status_code in (401, 403):
                reason = "no key"
                text += f" to {self.connection.key_origin}"
            elif error.status_code == 429 or error.status_code >= 500:
                text += f" in {attempts}"
            text += f": {self._repeated(said_in(error), form) or 'no more than that'}"
        else:
            text = f"{url} answered with something that is no chat completion: {type(error).__name__}"
        return EndpointError(shortened(self.connection.without_key(text), 400), reason=reason)

    def _repeated(self, said: object, form: AnswerForm) -> str:
        """Return what an error may repeat of the endpoint's words; of what is private, where to read them."""
        words = shortened(self.connection.without_key(str(said)), 400)
        if not (words and form.private):
            return words
        logger.debug("%s said: %s", self.connection.base_url, words)
        return "its words, which may repeat the question, are in the log at level debug (supportbench -vv)"

    def _completion(self, answered: Any, form: AnswerForm) -> Completion:
        choices = getattr(answered, "choices", None)
        choice = choices[0] if isinstance(choices, list) and choices else None
        message = getattr(choice, "message", None)
        if choice is None or message is None:
            said = self._repeated(getattr(answered, "error", None) or "", form) or _WRONG_URL
            text = f"{self.connection.base_url} answered with something that is no chat completion: {said}"
            raise EndpointError(shortened(self.connection.without_key(text), 400))
        used = getattr(answered, "usage", None)
        usage = Usage(
            input_tokens=_count(getattr(used, "prompt_tokens", None)),
            output_tokens=_count(getattr(used, "completion_tokens", None)),
            calls=1,
        )
        told = usage.input_tokens > 0  # else the endpoint reports no tokens, and nothing is known
        cost_usd = (
            self.connection.prices.cost_usd(self.connection.base_url, self._options.model, usage) if told else None
        )
        return Completion(
            text=message.content if isinstance(message.content, str) else "",
            refusal=getattr(message, "refusal", None),
            finish_reason=choice.finish_reason,
            usage=attrs.evolve(usage, cost_usd=cost_usd),
        )


def _answer_in(completion: Completion) -> str:
    """Return the text of an answer that is whole.

    Raises:
        UnusableAnswerError: it is not, and asking again may help.
        EndpointError: it is not, and asking the same again cannot help.
    """
    if completion.finish_reason == "content_filter":
        raise EndpointError("the endpoint's content filter withheld the answer", reason="withheld")
    if completion.refusal:
        raise UnusableAnswerError(("it is a refusal to answer",))
    if completion.finish_reason == "length":
        raise UnusableAnswerError(("it was cut off at the limit of output tokens (max_output_tokens)",))
    if not completion.text.strip():
        raise UnusableAnswerError(("it is empty",))
    return completion.text


def _repair_messages(messages: Messages, answer: str, repair: str, faults: Iterable[str]) -> Messages:
    """Return the messages with the model's unusable answer behind them, and what is wrong with it."""
    listed = "\n".join(f"- {fault}" for fault in faults)
    return (
        *messages,
        {"role": "assistant", "content": answer or "(an empty answer)"},  # some endpoints refuse an empty message
        {"role": "user", "content": Template(repair).substitute(faults=listed)},
    )


def _count(value: object) -> int:
    """Return a number of tokens; what no answer could have used counts as not reported."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_TOKENS else 0
