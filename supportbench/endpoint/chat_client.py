"""Sending chat completions: openai's client, kept out of the way of answers that need none.

Timeouts, retries, back-off and what an error means are the business of openai's client. An answer that comes at once
needs nothing of all that, and such a request takes that client twenty times as long as it must. So it puts one request
together, which is sent nowhere, and requests like that one are sent by `plain_http`, where the way to the endpoint is
plain enough. Whatever then comes other than an answer is laid before openai's client as the outcome of its own first
attempt, and from there on it decides.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextvars import ContextVar
from typing import Any, Final
from urllib.request import getproxies, proxy_bypass

import attrs
import msgspec

from supportbench.endpoint.parameters import EndpointOptions
from supportbench.endpoint.plain_http import NotPlainError, PlainHttp, PlainResponse, PlainTimeouts, TooLongError

MOST_BYTES: Final = 16 << 20
"""Of an answer: a thousand times what one takes."""

# For the client's door for any request: `chat.completions.create` looks at the parameters' types one by one and makes
# objects of the answer, which takes half of the whole.
_CHAT_COMPLETIONS: Final = "/chat/completions"

_REDIRECTIONS: Final = range(300, 400)
_OWN_HEADERS: Final = ("content-length", "accept-encoding")


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
        self._rehearsing = asyncio.Lock()

    async def complete(self, body: Mapping[str, Any]) -> object:
        """Return the JSON that the endpoint answers to the body, which need not be a chat completion.

        Raises:
            openai.OpenAIError: there was no answer, after retries.
            ValueError: it is no JSON, or too long (`AnswerTooLongError`).
        """
        if not self._http.is_rehearsed:
            async with self._rehearsing:
                if not self._http.is_rehearsed:
                    await self._complete(body, _rehearsal())
        attempt = await self._http.attempt(body)
        answer = None if attempt is None else attempt.answer
        return await self._complete(body, attempt) if answer is None else answer

    async def _complete(self, body: Mapping[str, Any], attempt: _Attempt | None) -> object:
        """Have openai's client complete it, whose first attempt has come to this."""
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
    """What came of a request. It is taken once, since the next attempt is another one."""

    outcome: PlainResponse | Exception
    is_taken: bool = False

    @property
    def answer(self) -> object | None:
        """The JSON of a plain answer; None where openai's client has to say what this is."""
        outcome = self.outcome
        if isinstance(outcome, Exception) or outcome.status != 200:
            return None
        if not any(name.lower() == b"content-type" and b"json" in value for name, value in outcome.headers):
            return None
        try:
            answer: object = msgspec.json.decode(outcome.body)
        except ValueError:
            return None
        return answer

    def take(self, request: Any) -> Any:
        """Return the response to the request, or raise, as the HTTP library of openai's client would."""
        self.is_taken = True
        library = sys.modules[type(request).__module__.partition(".")[0]]
        outcome = self.outcome
        if isinstance(outcome, PlainResponse):
            headers = list(outcome.headers)
            return library.Response(outcome.status, headers=headers, content=outcome.body, request=request)
        if isinstance(outcome, TimeoutError):
            raise library.ReadTimeout("", request=request) from outcome
        if isinstance(outcome, OSError):
            raise library.ReadError(str(outcome), request=request) from outcome
        raise outcome


def _rehearsal() -> _Attempt:
    """Return what openai's client takes for an answer, so that it puts a request together which is sent nowhere."""
    return _Attempt(PlainResponse(status=200, headers=[(b"content-type", b"application/json")], body=b"{}"))


_attempted: Final[ContextVar[_Attempt | None]] = ContextVar("_attempted", default=None)


def _http_client() -> Any:
    """Return openai's HTTP client with an `attempt` of its own, whose outcome it gives to openai's client."""
    from openai import DefaultAsyncHttpxClient

    class AttemptingClient(DefaultAsyncHttpxClient):  # in here, as openai is imported when it is needed
        """Learns from the first request what they are like, and sends those that `attempt` leaves to it."""

        is_rehearsed = False
        _plain: PlainHttp | None = None

        async def attempt(self, body: Mapping[str, Any]) -> _Attempt | None:
            """Send the body in a request like the first one; None where such requests take more than plain HTTP."""
            if self._plain is None:
                return None
            try:
                response = await self._plain.post(msgspec.json.encode(body))
            except NotPlainError:
                self._give_up_plain()
                return None
            except TooLongError:
                return _Attempt(AnswerTooLongError())
            except OSError as error:
                return _Attempt(error)
            if response.status in _REDIRECTIONS:
                self._give_up_plain()
                return None
            return _Attempt(response)

        async def send(self, request: Any, **how: Any) -> Any:
            if not self.is_rehearsed:
                self._plain = _plain_http_like(request)
                self.is_rehearsed = True
            attempt = _attempted.get()
            if attempt is not None and not attempt.is_taken:
                return _throttling_left_to_us(attempt.take(request))
            return await super().send(request, **how)

        async def aclose(self) -> None:
            self._give_up_plain()
            await super().aclose()

        def _give_up_plain(self) -> None:
            plain, self._plain = self._plain, None
            if plain is not None:
                plain.close()

    return AttemptingClient(event_hooks={"response": [_look_at]})


def _plain_http_like(request: Any) -> PlainHttp | None:
    """Return what sends requests like this one, but for their bodies; None where it takes more than plain HTTP."""
    url = request.url
    if url.scheme != "http" or ({"http", "all"} & getproxies().keys() and not proxy_bypass(url.host)):
        return None
    lines = [b"%b %b HTTP/1.1" % (request.method.encode(), url.raw_path)]
    lines += [
        b"%b: %b" % (name, value) for name, value in request.headers.raw if name.lower().decode() not in _OWN_HEADERS
    ]
    lines += [b"accept-encoding: identity", b"content-length: "]
    timeout = request.extensions.get("timeout", {})
    return PlainHttp(
        url.host,
        url.port or 80,
        b"\r\n".join(lines),
        timeouts=PlainTimeouts(connect_s=timeout.get("connect"), read_s=timeout.get("read")),
        most_bytes=MOST_BYTES,
    )


def first_cause(error: BaseException) -> BaseException:
    """Return the error with which it began."""
    while (earlier := error.__cause__ or error.__context__) is not None:
        error = earlier
    return error


class AnswerTooLongError(ValueError):
    """An answer goes on and on."""

    def __init__(self) -> None:
        super().__init__(f"the answer has more than {MOST_BYTES >> 20} MiB")


async def _look_at(response: Any) -> None:
    """Bound a response that begins to come: all of it is in memory before anybody looks at it."""
    parts = response.aiter_bytes  # as it comes out of a compressed one

    async def bounded(*args: Any, **kwargs: Any) -> AsyncIterator[bytes]:
        size = 0
        async for part in parts(*args, **kwargs):
            size += len(part)
            if size > MOST_BYTES:
                raise AnswerTooLongError
            yield part

    response.aiter_bytes = bounded
    _throttling_left_to_us(response)


def _throttling_left_to_us(response: Any) -> Any:
    """Have a 429 not tried again by openai's client, which knows of one request only."""
    if response.status_code == 429:
        response.headers["x-should-retry"] = "false"  # openai's client obeys a server that says so
    return response
