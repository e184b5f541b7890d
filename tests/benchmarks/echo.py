"""The raw echo: an ASGI application that answers everything with the same observation, over HTTP and WebSocket.

It is the physical limit: what uvicorn, its WebSocket layer and the event loop cost by themselves. The answer is about
as large as one of ours, and every third step says that the episode is done, so that steps and resets mix as they do
there.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from tests.benchmarks.tickets import DISPOSITIONS, PRIORITIES, QUEUES, read_tasks

Message = MutableMapping[str, Any]
App = Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]

_DONE_EVERY = 3


def create_app() -> App:
    """Return the application."""
    running, done = _result(done=False), _result(done=True)
    frames = [_frame(running), _frame(running), _frame(done)]
    head = {
        "type": "http.response.start",
        "status": 200,
        "headers": [(b"content-type", b"application/json"), (b"content-length", str(len(done)).encode())],
    }
    body = {"type": "http.response.body", "body": done.encode()}

    async def app(
        scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        if scope["type"] == "lifespan":
            while (await receive())["type"] != "lifespan.shutdown":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})
        elif scope["type"] == "http":
            while (await receive()).get("more_body"):
                pass
            await send(head)
            await send(body)
        else:
            await _play(receive, send)

    async def _play(receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        steps = 0
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return
            text = message["text"]
            if text.startswith('{"type":"step"'):
                await send(frames[steps % _DONE_EVERY])
                steps += 1
            elif text.startswith('{"type":"close"'):
                await send({"type": "websocket.close"})
                return
            else:
                await send(frames[0])

    return app


def _result(*, done: bool) -> str:
    task = read_tasks()[0]
    score = {"score": 0.5, "weight": 0.25, "contribution": 0.125}
    names = ("priority", "queue", "disposition")
    observation = {
        **{name: task[name] for name in ("task_id", "difficulty", "instructions")},
        "task_title": task["title"],
        "current_index": 1,
        "total_tickets": 2,
        "ticket": task["cases"][0]["ticket"],
        "allowed_priorities": PRIORITIES,
        "allowed_queues": QUEUES,
        "allowed_dispositions": DISPOSITIONS,
        "scoring_weights": dict.fromkeys(names, 0.25),
        "last_feedback": {"reward": 0.5, "components": dict.fromkeys(names, score), "findings": [], "penalty": 0.0},
        "cumulative_reward": 0.5,
        "info": {"step_count": 1},
        "metadata": {},
    }
    return json.dumps({"observation": observation, "reward": 0.5, "done": done}, separators=(",", ":"))


def _frame(result: str) -> Message:
    return {"type": "websocket.send", "text": f'{{"type":"observation","data":{result}}}'}
