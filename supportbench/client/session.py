"""`SupportQueueClient`: one session on a server, played over a WebSocket; and its twin for code that is not async."""

from __future__ import annotations

import atexit
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack
from functools import partial
from types import TracebackType
from typing import Final, Self, TypeVar

import msgspec
from anyio.from_thread import BlockingPortal, start_blocking_portal

from supportbench import codec
from supportbench.client.address import ServerAddress, check_token
from supportbench.client.answers import read_result, read_state
from supportbench.client.connection import Connection
from supportbench.client.container import Container
from supportbench.errors import ServerConnectionError
from supportbench.models import SupportQueueAction, SupportQueueState
from supportbench.protocol import StepResult, check_seconds

T = TypeVar("T")

TIMEOUT_S: Final = 600.0
"""How long an answer is waited for; longer than a server's own limit, so that it is the server who says no."""

CONNECT_TIMEOUT_S: Final = 10.0
_GRACE_S: Final = 10.0


class SupportQueueClient:
    """A session on a server: `reset`, `step`, `state`, as the environment itself has them::

        async with SupportQueueClient("http://localhost:8000") as env:
            result = await env.reset(task_id="easy_inbox_cleanup")
            while not result.done:
                result = await env.step(policy(result.observation))

    `base_url` is http(s):// or ws(s)://, or a `Container` that is started with the client and removed with it. With
    `session_id` the client attaches to a live session, which outlives the connection; otherwise the session begins and
    ends with the connection. Calls that are made at the same time take turns. A call that is cancelled leaves the
    connection as it is; what it asked for may be done all the same, and the next call waits for that answer, drops it
    and goes on: `state()` tells where the episode stands.
    """

    def __init__(
        self,
        base_url: str | Container,
        token: str | None = None,
        *,
        session_id: str | None = None,
        timeout_s: float = TIMEOUT_S,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
    ) -> None:
        self._container = base_url if isinstance(base_url, Container) else None
        self._address = ServerAddress.from_url(base_url) if isinstance(base_url, str) else None
        self._token = check_token(token)
        self._session_id = session_id
        self._timeout_s = check_seconds("timeout_s", timeout_s)
        self._connect_timeout_s = check_seconds("connect_timeout_s", connect_timeout_s)
        self._connection: Connection | None = None

    @classmethod
    def from_docker_image(
        cls,
        name: str,
        *,
        port: int | None = None,
        env: Mapping[str, str] | None = None,
        token: str | None = None,
        health_timeout_s: float = 60.0,
        timeout_s: float = TIMEOUT_S,
    ) -> Self:
        """Return a client whose server is a container of that image, which lives as long as the client is connected.

        `env` is what the server finds in its environment; with a `token` it also finds that, and asks for it.
        `port` is the port on loopback, a free one if it is None. See `Container` for what may go wrong.
        """
        known = dict(env or {})
        if token:
            known.setdefault("SUPPORTBENCH_TOKEN", token)
        return cls(Container(name, port=port, env=known, health_timeout_s=health_timeout_s), token, timeout_s=timeout_s)

    @property
    def base_url(self) -> str | None:
        """Where the server is; None for a container that does not run."""
        return None if self._address is None else self._address.http

    @property
    def is_connected(self) -> bool:
        """Whether `connect` was called, and `close` not yet."""
        return self._connection is not None

    def sync(self) -> SyncSupportQueueClient:
        """Return the twin for code that is not asynchronous: `with SupportQueueClient(url).sync() as env:`."""
        if self._connection is not None:
            raise ServerConnectionError("This client is connected already. Call sync() first, then connect its twin.")
        return SyncSupportQueueClient(self)

    async def connect(self) -> Self:
        """Connect, after starting the container if there is one; does nothing when connected.

        Raises:
            ServerConnectionError: there is no server, or it refuses the token.
            ContainerError: the container did not come up.
        """
        if self._connection is not None:
            return self
        try:
            if self._container is not None:
                self._address = ServerAddress.from_url(await self._container.start())
            assert self._address is not None  # noqa: S101 - there is one or the other
            self._connection = await Connection.open(
                self._address, token=self._token, session_id=self._session_id, timeout_s=self._connect_timeout_s
            )
        except BaseException:
            await self.close()
            raise
        return self

    async def reset(
        self,
        *,
        seed: int | None = None,
        episode_id: str | None = None,
        provider: str | None = None,
        task_id: str | None = None,
        split: str | None = None,
        index: int | None = None,
    ) -> StepResult:
        """Begin an episode; the arguments are those of `SupportQueueEnvironment.reset`.

        Raises:
            RefusedMessageError: an argument is unknown, impossible or contradicts another.
            CapacityReachedError, SessionError: the server has no session for this client.
            ClientError: there is no answer, or none that fits.
        """
        asked = {
            "seed": seed,
            "episode_id": episode_id,
            "provider": provider,
            "task_id": task_id,
            "split": split,
            "index": index,
        }
        given = {name: value for name, value in asked.items() if value is not None}
        return read_result(await self._ask({"type": "reset", "data": given}, self._timeout_s), str(self._address))

    async def step(self, action: SupportQueueAction, *, timeout_s: float | None = None) -> StepResult:
        """Have the action graded for the open ticket; the server gives up after `timeout_s`, if that is given.

        Raises:
            RefusedMessageError: the task's taxonomy does not allow a value.
            ExecutionError: no episode is open, a grader is at fault, or grading took too long.
            ClientError: there is no answer, or none that fits.
        """
        question = {"type": "step", "data": codec.unstructure(action)}
        patience_s = self._timeout_s
        if timeout_s is not None:
            question["timeout_s"] = check_seconds("timeout_s", timeout_s)
            patience_s = max(patience_s, timeout_s + _GRACE_S)
        return read_result(await self._ask(question, patience_s), str(self._address))

    async def state(self) -> SupportQueueState:
        """Return where the episode stands; raises `ClientError` where there is no answer, or none that fits."""
        return read_state(await self._ask({"type": "state"}, self._timeout_s), str(self._address))

    async def close(self) -> None:
        """Close the connection and remove the container, if there is one; closing twice does no harm."""
        connection, self._connection = self._connection, None
        try:
            if connection is not None:
                await connection.close()
        finally:
            if self._container is not None:
                self._address = None
                await self._container.stop()

    async def __aenter__(self) -> Self:
        return await self.connect()

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        place = self._container if self._address is None else self._address.http
        return f"<{type(self).__name__} {place} {'connected' if self.is_connected else 'not connected'}>"

    async def _ask(self, question: object, timeout_s: float) -> str | bytes:
        if self._connection is None:
            raise ServerConnectionError("Not connected. Use `async with`, or call connect() first.")
        return await self._connection.ask(msgspec.json.encode(question, enc_hook=codec.plain), timeout_s)


class SyncSupportQueueClient:
    """A `SupportQueueClient` for scripts, notebooks and training loops; it has the same methods, which block::

        with SupportQueueClient("http://localhost:8000").sync() as env:
            result = env.reset(seed=0)

    The connection lives on an event loop in a thread of its own, so that it does not matter whether one runs already.
    What nobody closes is closed at the end of the program.
    """

    def __init__(self, client: SupportQueueClient) -> None:
        self._client = client
        self._stack = ExitStack()
        self._portal: BlockingPortal | None = None

    @property
    def base_url(self) -> str | None:
        """Where the server is; None for a container that does not run."""
        return self._client.base_url

    @property
    def is_connected(self) -> bool:
        """Whether `connect` was called, and `close` not yet."""
        return self._client.is_connected

    def connect(self) -> Self:
        """Connect, after starting the container if there is one; raises like `SupportQueueClient.connect`."""
        if self._portal is not None:
            return self
        self._portal = self._stack.enter_context(start_blocking_portal())
        try:
            self._call(self._client.connect)
        except BaseException:
            self.close()
            raise
        atexit.register(self.close)  # or a program that forgets to would hang: its thread ends before the connection
        return self

    def reset(
        self,
        *,
        seed: int | None = None,
        episode_id: str | None = None,
        provider: str | None = None,
        task_id: str | None = None,
        split: str | None = None,
        index: int | None = None,
    ) -> StepResult:
        """Begin an episode; raises like `SupportQueueClient.reset`."""
        place = {"provider": provider, "task_id": task_id, "split": split}
        return self._call(partial(self._client.reset, seed=seed, episode_id=episode_id, index=index, **place))

    def step(self, action: SupportQueueAction, *, timeout_s: float | None = None) -> StepResult:
        """Have the action graded for the open ticket; raises like `SupportQueueClient.step`."""
        return self._call(partial(self._client.step, action, timeout_s=timeout_s))

    def state(self) -> SupportQueueState:
        """Return where the episode stands; raises like `SupportQueueClient.state`."""
        return self._call(self._client.state)

    def close(self) -> None:
        """Close the connection and remove the container, if there is one; closing twice does no harm."""
        if self._portal is None:
            return
        atexit.unregister(self.close)
        try:
            self._call(self._client.close)
        finally:
            self._portal = None
            self._stack.close()

    def __enter__(self) -> Self:
        return self.connect()

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{self._client!r}.sync()"

    def _call(self, function: Callable[[], Awaitable[T]]) -> T:
        if self._portal is None:
            raise ServerConnectionError("Not connected. Use `with`, or call connect() first.")
        called = self._portal.start_task_soon(function)
        try:
            return called.result()
        except BaseException:
            called.cancel()  # Ctrl-C interrupts the waiting, not what is waited for
            raise
