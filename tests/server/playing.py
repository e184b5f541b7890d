"""A server as `supportbench serve` runs it, in a thread of the test's process, and a client that plays on it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
import threading
from collections.abc import Coroutine, Iterator
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Final, TypeVar

import httpx
import uvloop
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from supportbench import ComponentScore, Registry, Rubric, RubricComponent, Submission, load_registry, unstructure
from supportbench.server.app import ServerApp, create_app
from supportbench.server.process import Served, Server
from supportbench.server.sessions import Sessions
from supportbench.settings import ServerSettings
from tests.offering import a_task, an_action, registry_of
from tests.server.processes import until
from tests.shop import provider

T = TypeVar("T")

PATIENCE_S: Final = 30.0
ACTION: Final[dict[str, Any]] = unstructure(an_action())


class Complaints(logging.Handler):
    """What one thread logged as an error since it was last asked for."""

    def __init__(self, thread: int | None) -> None:
        super().__init__(logging.ERROR)
        self._thread = thread
        self._messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:  # there may be several servers in the process
            self._messages.append(f"{record.name}: {record.getMessage()}")

    def taken(self) -> list[str]:
        """Return the messages and forget them: the test has expected them."""
        taken, self._messages = self._messages, []
        return taken


class Playground:
    """A running server: where it is, the application inside, and what was left by whoever called."""

    def __init__(self, app: ServerApp, loop: asyncio.AbstractEventLoop, port: int, complaints: Complaints) -> None:
        self.app = app
        self.port = port
        self.complaints = complaints
        self.loop = loop
        # Keeps no cookies; making one takes longer than a request.
        jar = CookieJar(DefaultCookiePolicy(allowed_domains=()))
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{port}", cookies=jar, timeout=PATIENCE_S)
        self._own_tasks = frozenset(asyncio.all_tasks(loop))

    @property
    def url(self) -> str:
        """The base URL for HTTP."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws(self) -> str:
        """The base URL for WebSockets."""
        return f"ws://127.0.0.1:{self.port}"

    @property
    def sessions(self) -> Sessions:
        """The sessions of the application."""
        return self.app.service.sessions

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what the work returns that is done on the server's event loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(PATIENCE_S)

    def leftovers(self) -> dict[str, Any]:
        """Return what is left of connections, beside the sessions of the store: nothing when all have gone."""
        tasks = asyncio.all_tasks(self.loop) - self._own_tasks
        found = {
            "sessions": self.sessions.active - len(self.sessions._places.of_the_store()),
            "sockets": len(self.app.service.sockets),
            "tasks": [str(task) for task in tasks if not task.done()],
        }
        return {what: left for what, left in found.items() if left}

    def comes_to_rest(self) -> None:
        """Wait until nothing is left of connections; nobody has complained."""
        with contextlib.suppress(AssertionError):
            until(lambda: not self.leftovers())
        assert self.leftovers() == {}
        assert self.complaints.taken() == []

    @contextlib.contextmanager
    def player(self, query: str = "", **options: Any) -> Iterator[Player]:
        """Within the block a client is connected to `/ws`."""
        url = f"{self.ws}/ws{query}"
        with connect(url, open_timeout=PATIENCE_S, close_timeout=PATIENCE_S, max_size=None, **options) as connection:
            yield Player(connection)

    @contextlib.contextmanager
    def dialled(self) -> Iterator[socket.socket]:
        """Within the block a plain connection is open."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S) as connection:
            yield connection


class Player:
    """A client of `/ws` that may say anything."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    def say(self, frame: str | bytes | dict[str, Any]) -> None:
        """Send a frame; a dict as JSON."""
        self.connection.send(json.dumps(frame) if isinstance(frame, dict) else frame)

    def hear(self) -> dict[str, Any]:
        """Return the next frame."""
        text = self.connection.recv(timeout=PATIENCE_S)
        assert isinstance(text, str), "OpenEnv's frames are text"
        frame: dict[str, Any] = json.loads(text)
        return frame

    def ask(self, frame: str | bytes | dict[str, Any]) -> dict[str, Any]:
        """Send a frame and return the next one."""
        self.say(frame)
        return self.hear()

    def reset(self, **data: Any) -> dict[str, Any]:
        """Return the data of the first observation's frame."""
        return self._observed({"type": "reset", "data": data})

    def step(self, **changes: Any) -> dict[str, Any]:
        """Return the data of the next observation's frame."""
        return self._observed(step(**changes))

    def state(self) -> dict[str, Any]:
        """Return the state."""
        frame = self.ask({"type": "state"})
        assert frame["type"] == "state", frame
        state: dict[str, Any] = frame["data"]
        return state

    def refused(self, frame: str | bytes | dict[str, Any]) -> dict[str, Any]:
        """Return the data of the error frame that answers; the connection goes on, and nothing has changed."""
        before = self.state()
        data = self.error(frame)
        assert self.state() == before
        return data

    def error(self, frame: str | bytes | dict[str, Any]) -> dict[str, Any]:
        """Return the data of the error frame that answers."""
        answer = self.ask(frame)
        assert answer["type"] == "error", answer
        data: dict[str, Any] = answer["data"]
        return data

    def end(self) -> tuple[int, str] | None:
        """Return the code and reason with which the server closes, None if it goes without a word."""
        try:
            unexpected = self.connection.recv(timeout=PATIENCE_S)
        except ConnectionClosed as closed:
            return None if closed.rcvd is None else (closed.rcvd.code, closed.rcvd.reason)
        raise AssertionError(f"the server goes on: {unexpected!r}")

    def vanish(self) -> None:
        """Go without a word."""
        self.connection.socket.shutdown(socket.SHUT_RDWR)

    def _observed(self, frame: dict[str, Any]) -> dict[str, Any]:
        answer = self.ask(frame)
        assert answer["type"] == "observation", answer
        data: dict[str, Any] = answer["data"]
        return data


def step(**changes: Any) -> dict[str, Any]:
    """Return the message of a step with a good action, but for these changes."""
    return {"type": "step", "data": {**ACTION, **changes}}


@contextlib.contextmanager
def playground(registry: Registry | None = None, **settings: Any) -> Iterator[Playground]:
    """Within the block a server with these settings is up; in the end no connection, task or complaint is left."""
    wanted = ServerSettings(port=0, **settings)
    app = create_app(wanted, registry or load_registry({}).check())
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    loops: list[asyncio.AbstractEventLoop] = []
    started = threading.Event()

    def on_started() -> None:
        loops.append(asyncio.get_running_loop())
        started.set()

    server = Server(Served(app=app, drain=app.service.drain), wanted, on_started=on_started)

    def run() -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(server.serve([listener]))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    complaints = Complaints(thread.ident)
    logging.getLogger().addHandler(complaints)
    try:
        assert started.wait(PATIENCE_S), "the server did not start"
        ground = Playground(app, loops[0], listener.getsockname()[1], complaints)
        with ground.http:
            yield ground
        ground.comes_to_rest()
    finally:
        server.should_exit = True
        thread.join(PATIENCE_S)
        listener.close()
        logging.getLogger().removeHandler(complaints)
        assert not thread.is_alive(), "the server did not end"


class Turnstile:
    """A component that waits until the test opens it; it counts who came, who waits, and who was sent away."""

    name = "turnstile"

    def __init__(self) -> None:
        self.open = threading.Event()
        self.came = self.waiting = self.cancelled = 0

    async def score(self, submission: Submission) -> ComponentScore:
        """Wait, then give a half."""
        self.came += 1
        self.waiting += 1
        try:
            while not self.open.is_set():  # noqa: ASYNC110 - the event is another thread's
                await asyncio.sleep(0.002)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.waiting -= 1
        return ComponentScore(score=0.5)

    def registry(self, tickets: int = 3) -> Registry:
        """Return a registry with one task, which only this component grades."""
        return graded_by(self, tickets)


def graded_by(component: Any, tickets: int = 3) -> Registry:
    """Return a registry with one task, which only that component grades."""
    rubric = Rubric(name="house", components=[RubricComponent(use=component.name, weight=1.0)])
    task = a_task("wait", tickets, rubric="house")
    return registry_of(components=[component], rubrics=[rubric], providers=[provider("triage", test=[task])])
