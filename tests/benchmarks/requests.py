"""What a request to an OpenAI-compatible endpoint takes of the process that asks, by who sends it.

    python -m tests.benchmarks.requests [--requests N] [--concurrency C]

A stub in a process of its own answers at once over plain HTTP. `ours` is what `openai:MODEL` and judges ask through.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final, TypeAlias

from supportbench.endpoint.chat_client import ChatClient
from supportbench.endpoint.parameters import EndpointOptions
from tests.stubs.rough_endpoint import polite_endpoint

_PROPERTIES: Final = {name: {"type": "string"} for name in ("summary", "priority", "queue", "disposition", "response")}
_SCHEMA: Final = {"type": "object", "properties": _PROPERTIES, "additionalProperties": False}
REQUEST: Final[Mapping[str, Any]] = {
    "model": "stub",
    "messages": [{"role": "system", "content": "x" * 2500}, {"role": "user", "content": "y" * 1200}],
    "temperature": 0.0,
    "seed": 1,
    "max_tokens": 1000,
    "response_format": {"type": "json_schema", "json_schema": {"name": "triage", "strict": True, "schema": _SCHEMA}},
}
Ask: TypeAlias = Callable[[], Awaitable[object]]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=2_000, help="by each (default %(default)s)")
    parser.add_argument("--concurrency", type=int, default=64, help="at once (default %(default)s)")
    asked = parser.parse_args()
    ours = None
    for name, opened in (
        ("ours", _ours),
        ("httpx", _httpx),
        ("openai, any request", _openai_post),
        ("openai, chat completion", _openai_create),
    ):
        with polite_endpoint(0) as url:
            taken_ms = asyncio.run(_taken_ms(opened(url), asked.requests, asked.concurrency))
        ours = ours or taken_ms
        print(f"{name:<24} {taken_ms:6.3f} ms a request, {taken_ms / ours:5.2f} x ours")


async def _taken_ms(opened: AbstractAsyncContextManager[Ask], number: int, concurrency: int) -> float:
    """Return the milliseconds of this process' processor that a request takes, once all is warm."""
    async with opened as ask:
        await _asked(ask, concurrency, concurrency)
        begun_s = time.process_time()
        await _asked(ask, number, concurrency)
        return (time.process_time() - begun_s) / number * 1000


async def _asked(ask: Ask, number: int, concurrency: int) -> None:
    left = iter(range(number))

    async def some() -> None:
        for _ in left:
            await ask()

    await asyncio.gather(*(some() for _ in range(concurrency)))


@asynccontextmanager
async def _ours(url: str) -> AsyncIterator[Ask]:
    client = ChatClient(url, "none", EndpointOptions(model="stub"))
    yield lambda: client.complete(REQUEST)
    await client.aclose()


@asynccontextmanager
async def _httpx(url: str) -> AsyncIterator[Ask]:
    import httpx

    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx.AsyncClient(limits=limits) as client:

        async def ask() -> object:
            return (await client.post(f"{url}/chat/completions", json=REQUEST)).json()

        yield ask


@asynccontextmanager
async def _openai_post(url: str) -> AsyncIterator[Ask]:
    from openai import AsyncOpenAI

    async with AsyncOpenAI(base_url=url, api_key="none") as client:
        yield lambda: client.post("/chat/completions", body=REQUEST, cast_to=object)


@asynccontextmanager
async def _openai_create(url: str) -> AsyncIterator[Ask]:
    from openai import AsyncOpenAI

    async with AsyncOpenAI(base_url=url, api_key="none") as client:
        yield lambda: client.chat.completions.create(**REQUEST)


if __name__ == "__main__":
    main()
