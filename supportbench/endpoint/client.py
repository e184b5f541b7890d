"""An OpenAI-compatible endpoint: the client, one request at a time, and what it has refused so far.

Timeouts, retries and back-off (5xx, lost connections) are the openai client's. What is ours is what concerns more than
one request: which parameters the endpoint takes (one that it refuses is left out or replaced, and remembered), how many
requests at once (`throttle`), and which answers are known already (`kept_answers`).
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from string import Template
from typing import Any, Final, Generic, TypeVar

import attrs

from supportbench import codec
from supportbench.endpoint.chat_client import AnswerTooLongError, ChatClient, first_cause
from supportbench.endpoint.completion import Completion, completion_in, member
from supportbench.endpoint.connection import EndpointConnection
from supportbench.endpoint.kept_answers import KeptAnswers
from supportbench.endpoint.parameters import AnswerForm, EndpointOptions, Messages, refused_by, request_for, said_in
from supportbench.endpoint.throttle import Throttle, asked_wait_s
from supportbench.errors import EndpointError, EndpointFailure, UnusableAnswerError
from supportbench.models import Usage
from supportbench.wording import counted, shortened

T = TypeVar("T")

logger: Final = logging.getLogger("supportbench.endpoint")
_LONGEST_WAIT_S: Final = 60.0
_SHORTEST_SECRET: Final = 12
_WRONG_URL: Final = "is the base URL right? Most end in /v1"


@attrs.frozen(kw_only=True)
class EndpointAnswer(Generic[T]):
    """What was read from a model's answer, and the usage of all turns that it took."""

    value: T
    usage: Usage


class Endpoint:
    """One endpoint with one model, shared by all who ask it; its client is made when it is first needed.

    It belongs to one event loop at a time: `aclose` before another one uses it.
    """

    def __init__(
        self, connection: EndpointConnection, options: EndpointOptions, *, kept: KeptAnswers | None = None
    ) -> None:
        self.connection = connection
        self._options = options
        self._kept = kept
        self._throttle = Throttle(connection.base_url, patience=options.max_retries)
        self._refused: frozenset[str] = frozenset()
        self._client: ChatClient | None = None
        self._making = threading.Lock()

    async def ask(
        self,
        messages: Messages,
        form: AnswerForm,
        read: Callable[[str], T],
        *,
        seed: int | None,
        repair: str,
        decisive: object = None,
    ) -> EndpointAnswer[T]:
        """Return what `read` makes of the model's answer to the messages.

        An answer that `read` refuses (`UnusableAnswerError`) is sent back once with its faults; `repair` is the text
        that does so, in which `$faults` stands for them. There is no second repair.

        Where answers are kept, one to the same question costs nothing: `decisive`, unless given the messages, is what
        makes it the same, together with the endpoint, its options, the form and the seed.

        Raises:
            EndpointError: no answer, or none that can be used; its `usage` is what was used until then.
        """
        key = None if self._kept is None else self._key(messages, form, seed, decisive)
        if self._kept is None or key is None:
            return (await self._asked(messages, form, read, seed, repair))[0]
        known = await self._kept.get(key)
        if known is not None:
            with suppress(UnusableAnswerError):  # of another version, or damaged: asked for anew, and put in its place
                return EndpointAnswer(value=read(known), usage=Usage())
        answer, text = await self._asked(messages, form, read, seed, repair)
        await self._kept.put(key, text)
        return answer

    async def _asked(
        self, messages: Messages, form: AnswerForm, read: Callable[[str], T], seed: int | None, repair: str
    ) -> tuple[EndpointAnswer[T], str]:
        """Return what was read and the text that it was read from."""
        usage, failure = Usage(), EndpointError("")
        for _ in ("the answer", "the repair turn"):
            try:
                completion = await self.complete(messages, form, seed)
                usage += completion.usage
                text = self._without_secret(completion.whole_text)
                return EndpointAnswer(value=read(text), usage=usage), text
            except UnusableAnswerError as found:
                # Faults are shortened, and half a key is one that nobody would recognise and black out.
                repeats_key = self.connection.without_key(completion.text) != completion.text
                unusable = UnusableAnswerError(("it repeats the key",)) if repeats_key else found
                said = self.connection.without_key(completion.text or completion.refusal or "")
            except EndpointError as error:
                failure = EndpointError(self.connection.without_key(str(error)), reason=error.reason, usage=usage)
                break
            told = f"the answer is no {form.noun}, even after a repair turn: {unusable}"
            if not form.private:
                told += f"; it begins: {shortened(said)}" if said.strip() else "; it has no text"
            reason: EndpointFailure = "refused" if completion.refusal else "unusable"
            failure = EndpointError(self.connection.without_key(told), reason=reason, usage=usage)
            messages = _repair_messages(messages, said, repair, unusable.faults)
        raise failure

    async def complete(self, messages: Messages, form: AnswerForm, seed: int | None) -> Completion:
        """Return the model's answer to the messages.

        A parameter that the endpoint says it does not take is left out, and from then on never sent; what was left out
        of a request that failed all the same is forgotten.

        Raises:
            EndpointError: there was no answer, after the client's retries.
        """
        client = self._client
        if client is None:
            client = await asyncio.to_thread(self._made_client, self.connection.usable_key())
        from openai import APIStatusError, OpenAIError, RateLimitError

        refused = self._refused
        problem: EndpointError | None = None
        throttled = 0
        while problem is None:
            request = request_for(self._options, messages, form, seed, refused)
            try:
                async with self._throttle as sent_at, asyncio.timeout(self._longest_s):
                    answered = await client.complete(request)
            except RateLimitError as error:
                throttled += 1
                spent = error.code == "insufficient_quota"  # which no waiting mends
                if spent or not self._throttle.refused(sent_at, asked_wait_s(error.response.headers)):
                    problem = self._describe(error, form, throttled)
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
                self._throttle.answered()
                self._remember(refused)
                return self._completion(answered, form)
        # Raised out here, so that no exception that holds the request, and with it the key, hangs on to it.
        raise problem

    def _without_secret(self, text: str) -> str:
        """Return the text; raises `UnusableAnswerError` where the key is in it: that is not to be kept anywhere.

        A shorter one than `_SHORTEST_SECRET` opens nothing that needs opening, and may be a word.
        """
        if len(self.connection.key or "") >= _SHORTEST_SECRET and self.connection.without_key(text) != text:
            raise UnusableAnswerError(("it repeats the key",))
        return text

    def _key(self, messages: Messages, form: AnswerForm, seed: int | None, decisive: object) -> str:
        """Return what an answer is kept under; neither what opens the endpoint decides one, nor limits of time."""
        options = self._options
        return codec.fingerprint(
            {
                "url": self.connection.base_url,
                "model": options.model,
                "temperature": options.temperature,
                "max_output_tokens": options.max_output_tokens,
                "structured_output": options.structured_output,
                "form": {"name": form.name, "schema": form.schema},
                "seed": seed,
                "decisive": messages if decisive is None else decisive,
            }
        )

    @property
    def _longest_s(self) -> float:
        """How long one request may take with all its attempts.

        The client's own timeout is for each piece that it reads, which an endpoint can draw out for ever; between
        attempts it waits up to a minute when it is told to.
        """
        retries = self._options.max_retries
        return self._options.timeout_s * (retries + 1) + _LONGEST_WAIT_S * retries

    def prepare(self) -> None:
        """Make the client: most of a second, which the first answers would else seem to have taken.

        Raises:
            EndpointError: a key is needed and there is none, or it cannot be sent.
        """
        self._made_client(self.connection.usable_key())

    async def aclose(self) -> None:
        """Close the connections; a later request opens new ones."""
        client, self._client = self._client, None
        self._throttle = Throttle(self.connection.base_url, patience=self._options.max_retries)
        if client is not None:
            await client.aclose()

    def _made_client(self, key: str) -> ChatClient:
        with self._making:
            client = self._client
            if client is None:
                client = self._client = ChatClient(self.connection.base_url, key, self._options)
            return client

    def _remember(self, refused: frozenset[str]) -> None:
        for name in sorted(refused - self._refused):
            logger.warning("%s at %s takes no %s", self._options.model, self.connection.base_url, name)
        self._refused |= refused

    def _describe(self, error: Exception, form: AnswerForm, attempts_made: int = 0) -> EndpointError:
        from openai import APIConnectionError, APIStatusError, APITimeoutError

        url = self.connection.base_url
        attempts = counted(attempts_made or self._options.max_retries + 1, "attempt")
        reason: EndpointFailure = "failed"
        if isinstance(error, APITimeoutError):
            reason = "timed out"
            text = f"no answer from {url} within {self._options.timeout_s:g} s, in {attempts}"
        elif isinstance(error, APIConnectionError):
            reason = "unreachable"
            text = f"cannot reach {url}, in {attempts}: {first_cause(error)}"
        elif isinstance(error, APIStatusError):
            text = f"{url} answered {error.status_code}"
            if error.status_code in (401, 403):
                reason = "no key"
                text += f" to {self.connection.key_origin}"
            elif error.status_code == 429 or error.status_code >= 500:
                text += f" in {attempts}"
            text += f": {self._repeated(said_in(error), form) or 'no more than that'}"
        elif isinstance(error, AnswerTooLongError):
            text = f"{url} does not end: {error}"
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
        completion = completion_in(answered)
        if completion is None:
            said = self._repeated(member(answered, "error") or "", form) or _WRONG_URL
            text = f"{self.connection.base_url} answered with something that is no chat completion: {said}"
            raise EndpointError(shortened(self.connection.without_key(text), 400))
        used = completion.usage
        if not used.input_tokens:  # the endpoint reports no tokens, and nothing is known
            return completion
        cost_usd = self.connection.prices.cost_usd(self.connection.base_url, self._options.model, used)
        if cost_usd is None:
            return completion
        return attrs.evolve(completion, usage=attrs.evolve(used, cost_usd=cost_usd))


def _repair_messages(messages: Messages, answer: str, repair: str, faults: Iterable[str]) -> Messages:
    """Return the messages with the model's unusable answer behind them, and what is wrong with it."""
    listed = "\n".join(f"- {fault}" for fault in faults)
    return (
        *messages,
        {"role": "assistant", "content": answer or "(an empty answer)"},  # some endpoints refuse an empty message
        {"role": "user", "content": Template(repair).substitute(faults=listed)},
    )
