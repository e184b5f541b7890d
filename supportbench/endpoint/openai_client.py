"""The openai client, as it is wanted here: quick, and with what concerns more than one request left to us."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

from supportbench.endpoint.parameters import EndpointOptions

MOST_BYTES: Final = 16 << 20
"""Of an answer: a thousand times what one takes."""

CHAT_COMPLETIONS: Final = "/chat/completions"
"""For the client's door for any request: `chat.completions.create` looks at the parameters' types one by one and makes
objects of the answer, which takes half of the whole."""


def openai_client(base_url: str, key: str, options: EndpointOptions) -> Any:
    """Return a client for the endpoint; it is to be closed."""
    from openai import AsyncOpenAI

    return AsyncOpenAI(
        http_client=_http_client(),
        api_key=key,
        base_url=base_url,
        timeout=options.timeout_s,
        max_retries=options.max_retries,
    )


def _http_client() -> Any:
    """Return openai's HTTP client on aiohttp, where that is installed, else its own, which takes longer.

    A 429 is not tried again by openai's client, which knows of one request only.
    """
    from openai import DefaultAioHttpClient, DefaultAsyncHttpxClient

    hooks = {"response": [_leave_throttling_to_us, _bound]}
    try:
        return DefaultAioHttpClient(event_hooks=hooks)
    except RuntimeError:  # so openai says that it has no aiohttp
        return DefaultAsyncHttpxClient(event_hooks=hooks)


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
    if response.status_code == 429:
        response.headers["x-should-retry"] = "false"  # openai's client obeys a server that says so
