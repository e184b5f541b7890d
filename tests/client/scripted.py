"""A server of OpenEnv's WebSocket protocol whose answers a test may alter, hold back, or replace by something odd.

Its answers are real: they come from an environment of this process, one for each connection.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import attrs
from websockets.asyncio.server import ServerConnection, serve

from supportbench import Registry, SupportQueueAction, SupportQueueEnvironment, load_registry, structure, unstructure

Frame = dict[str, Any]


async def nothing(question: Frame, socket: ServerConnection) -> None:
    """Let the server answer the question."""


@attrs.define
class Script:
    """What the server does: `before` an answer (it may wait, or close), `alter` the answer; and what it was asked."""

    before: Callable[[Frame, ServerConnection], Awaitable[None]] = nothing
    alter: Callable[[Frame], Frame | str | bytes] = lambda frame: frame
    questions: list[Frame] = attrs.Factory(list)
    paths: list[str] = attrs.Factory(list)
    headers: list[dict[str, str]] = attrs.Factory(list)


@asynccontextmanager
async def scripted(script: Script | None = None, registry: Registry | None = None) -> AsyncIterator[str]:
    """Within the block the server is up at the URL."""
    script = script or Script()
    installed = registry or load_registry({}).check()

    async def talk(socket: ServerConnection) -> None:
        assert socket.request is not None
        script.paths.append(socket.request.path)
        script.headers.append(dict(socket.request.headers.raw_items()))
        environment = SupportQueueEnvironment(installed)
        async for text in socket:
            question = json.loads(text)
            script.questions.append(question)
            answer = await _answer(environment, question)
            await script.before(question, socket)
            altered = script.alter(answer)
            await socket.send(json.dumps(altered) if isinstance(altered, dict) else altered)

    async with serve(talk, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield f"http://127.0.0.1:{port}"


async def _answer(environment: SupportQueueEnvironment, question: Frame) -> Frame:
    if question["type"] == "state":
        return {"type": "state", "data": unstructure(environment.state)}
    if question["type"] == "reset":
        seen = unstructure(await environment.reset(**question["data"]))
    else:
        seen = unstructure(await environment.step(structure(question["data"], SupportQueueAction)))
    reward, done = seen.pop("reward"), seen.pop("done")
    return {"type": "observation", "data": {"observation": seen, "reward": reward, "done": done}}


def error(code: str, message: str = "No.") -> Frame:
    """Return an error frame."""
    return {"type": "error", "data": {"message": message, "code": code}}


@asynccontextmanager
async def answering(text: bytes | None) -> AsyncIterator[str]:
    """Within the block somebody at the URL says the same to everybody, whatever they want; None is to say nothing."""
    talking: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        talking.add(task)
        try:
            await reader.readuntil(b"\r\n\r\n")
            if text is None:
                await reader.read()
            else:
                writer.write(text)
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    await asyncio.wait_for(asyncio.gather(*talking), 10)
