"""Sending chat completions: openai's client, kept out of the way of answers that need none.

Timeouts, retries, back-off and what an error means are the business of openai's client. An answer that comes at once
needs nothing of all that, and putting a request together takes that client longer than sending it. So it sends the
first request; later ones are sent like that one, by the same HTTP client. Whatever then comes other than an answer is
laid before openai's client as the outcome of its own first attempt, and from there on it decides.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextvars import ContextVar
from typing import Any, Final

import attrs
import msgspec

from supportbench.endpoint.parameters import EndpointOptions

MOST_BYTES: Final = 16 << 20
"""Of an answer: a thousand times what one takes."""

# For the client's door for any request: `chat.completions.create` looks at the parameters' types one by one and makes
# objects of the answer, which takes half of the whole.
_CHAT_COMPLETIONS: Final = "/chat/completions"


class ChatClient:
    """Asks one endpoint, from one event loop; it is to be closed."""

    def __init__(self, base_url: str, key: str, options: EndpointOptions) -> None:
        from openai import AsyncOpenAI

        self._http = _http_client()
        self._openai = AsyncOpenAI(
            http_client=self._http,
            api_key=key,
            base_url=base_url,
            timeout=options.timeout_s,
            max_retries=options.max_retries,
        )

    async def complete(self, body: Mapping[str, Any]) -> object:
        """Return the JSON that the endpoint answers to the body, which need not be a chat completion.

        Raises:
            openai.OpenAIError: there was no answer, after retries.
            ValueError: it is no JSON, or too long (`AnswerTooLongError`).
        """
        attempt = await self._http.attempt(body)
        answered = None if attempt is None else attempt.answer
        if answered is not None:
            return answered
        token = _attempted.set(attempt)
        try:
            return await self._openai.post(_CHAT_COMPLETIONS, body=body, cast_to=object)
        finally:
            _attempted.reset(token)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._openai.close()


@attrs.define
class _Attempt:
    """What came of a request: a response or an exception. It is taken once, as the next attempt is another one."""

    response: Any = None
    exception: Exception | None = None
    taken: bool = False

    @property
    def answer(self) -> object | None:
        """The JSON of a plain answer; None where openai's client has to say what this is."""
        response = self.response
        if response is None or response.status_code != 200 or "json" not in response.headers.get("content-type", ""):
            return None
        try:
            answer: object = msgspec.json.decode(response.content)
        except ValueError:
            return None
        return answer

    def take(self) -> Any:
        self.taken = True
        if self.exception is not None:
            raise self.exception
        return self.response


_attempted: Final[ContextVar[_Attempt | None]] = ContextVar("_attempted", default=None)


def _http_client() -> Any:
    """Return openai's HTTP client on aiohttp, where that is installed, else its own, which takes longer."""
    from openai import DefaultAioHttpClient, DefaultAsyncHttpxClient

    hooks = {"response": [_leave_throttling_to_us, _bound]}
    try:
        return _attempting(DefaultAioHttpClient)(event_hooks=hooks)
    except RuntimeError:  # so openai says that it has no aiohttp
        return _attempting(DefaultAsyncHttpxClient)(event_hooks=hooks)


def _attempting(http_client: Any) -> Any:
    """Return the class of HTTP client with an `attempt` of its own, whose outcome it gives to openai's client."""

    class AttemptingClient(http_client):  # type: ignore[misc]  # of a library that is imported when it is needed
        """Remembers what the first request of openai's client was like."""

        _like_first: Callable[[bytes], Any] | None = None

        async def attempt(self, body: Mapping[str, Any]) -> _Attempt | None:
            """Send the body as openai's client sent its first one; None where there was none yet."""
            if self._like_first is None:
                return None
            try:
                return _Attempt(response=await super().send(self._like_first(msgspec.json.encode(body))))
            except Exception as error:  # whatever it is, openai's client says what it means
                return _Attempt(exception=error)

        async def send(self, request: Any, **how: Any) -> Any:
            attempt = _attempted.get()
            if attempt is not None and not attempt.taken:
                return attempt.take()
            if self._like_first is None:
                self._like_first = _like(request)
            return await super().send(request, **how)

    return AttemptingClient


def _like(request: Any) -> Callable[[bytes], Any]:
    """Return what makes a request like this one, with another body."""
    headers = request.headers.copy()
    del headers["content-length"]
    kind, method, url, extensions = type(request), request.method, request.url, dict(request.extensions)
    return lambda content: kind(method, url, headers=headers, content=content, extensions=dict(extensions))


def first_cause(error: BaseException) -> BaseException:
    """Return the error with which it began: on aiohttp, a refused connection counts as a time-out on the way up."""
    while (earlier := error.__cause__ or error.__context__) is not None:
        error = earlier
    return error


class AnswerTooLongError(ValueError):
    """An answer goes on and on."""


async def _bound(response: Any) -> None:
    """Have the body read up to a limit: it is all in memory before anybody looks at it."""
    parts = response.aiter_bytes  # as it comes out of a compressed one

    async def bounded(*args: Any, **kwargs: Any) -> AsyncIterator[bytes]:
        size = 0
        async for part in parts(*args, **kwargs):
            size += len(part)
            if size > MOST_BYTES:
                raise AnswerTooLongError(f"the answer has more than {MOST_BYTES >> 20} MiB")
            yield part

    response.aiter_bytes = bounded


async def _leave_throttling_to_us(response: Any) -> None:
    """Have a 429 not tried again by openai's client, which knows of one request only."""
    if response.status_code == 429:
        response.headers["x-should-retry"] = "false"  # openai's client obeys a server that says so
