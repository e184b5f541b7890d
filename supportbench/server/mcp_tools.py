"""Calling the tools: arguments in, a result out, whatever goes wrong with the episode or the arguments."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import cached_property
from typing import Any, Literal

import attrs

from supportbench import codec
from supportbench.choosing import TaskChooser
from supportbench.errors import (
    ActionError,
    DecodeError,
    EpisodeBusyError,
    EpisodeNotOpenError,
    PluginCallError,
    ResetError,
    StoreError,
    SupportbenchError,
    UnknownNameError,
)
from supportbench.models import SupportQueueAction, SupportQueueState
from supportbench.protocol import ResetRequest
from supportbench.server.catalogue import TasksQuery
from supportbench.server.mcp_descriptors import TOOLS, Tool, descriptors
from supportbench.server.mcp_texts import faults_text, state_text, tasks_text, ticket_text, triage_text
from supportbench.server.played import Played
from supportbench.server.refusals import Refusal, refusal_of
from supportbench.server.service import Service
from supportbench.server.task_list import TaskList
from supportbench.turns import Turn
from supportbench.wording import did_you_mean, shown

ToolErrorType = Literal["invalid_args", "execution_error", "timeout"]
"""OpenEnv's words for why a tool failed."""


@attrs.frozen(kw_only=True)
class ToolResult:
    """What a tool answers: a text, and the same as JSON; with an `error` only what is wrong, and what to do about it.

    `reward` and `done` are those of the step that the call was, if it was one.
    """

    text: str
    structured: Mapping[str, Any] | None = None
    error: ToolErrorType | None = None
    reward: float | None = None
    done: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return the result of `tools/call`, in MCP's names and in those that OpenEnv's client reads.

        A failed call has no `structuredContent`, which would have to fit the tool's schema; `data` says what happened.
        """
        failed = self.error is not None
        told = {"error": {"error_type": self.error, "message": self.text}}
        return {
            "content": [{"type": "text", "text": self.text}],
            **({} if failed else {"structuredContent": self.structured}),
            "isError": failed,
            "structured_content": self.structured,
            "is_error": failed,
            "data": told if failed else self.structured,
            "meta": None,
        }


class Tools:
    """The tools of one server, to be called in any of its sessions."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._tasks = TaskList(service.registry, service.settings.provider)
        self._chooser = TaskChooser(service.registry, service.settings.provider)
        self._doing: Mapping[str, Callable[[Any, Played, float | None], Awaitable[ToolResult]]] = {
            "list_tasks": self._list_tasks,
            "start_episode": self._start_episode,
            "read_ticket": self._read_ticket,
            "submit_triage": self._submit_triage,
            "get_state": self._get_state,
        }

    @cached_property
    def descriptors(self) -> list[dict[str, Any]]:
        """The tools as `tools/list` answers them; as long as a provider fails at its taxonomies, a `ProviderError`."""
        return descriptors(self._service.registry)

    def find(self, name: str) -> Tool:
        """Return the tool; raises `UnknownNameError` suggesting one."""
        try:
            return TOOLS[name]
        except KeyError:
            raise UnknownNameError(f"Unknown tool: {shown(name)}. {did_you_mean(name, TOOLS)}") from None

    async def call(
        self, tool: Tool, arguments: Mapping[str, Any], played: Played, timeout_s: float | None = None
    ) -> ToolResult:
        """Call the tool; what is wrong with the arguments or the episode is a result too, with an `error`.

        `timeout_s` is how long a triage may take to be graded.

        Raises:
            RefusedError: there is no such session, or no place for one more.
            StoreError: the sessions cannot be reached.
        """
        try:
            return await self._doing[tool.name](tool.read(arguments), played, timeout_s)
        except StoreError:
            raise
        except SupportbenchError as error:
            refusal = refusal_of(error)
            if refusal.code in ("SESSION_ERROR", "CAPACITY_REACHED"):
                raise
            self._service.refused(refusal, error, played.session_id)
            return await self._failed(tool, error, refusal, played)

    async def _list_tasks(self, asked: TasksQuery, played: Played, timeout_s: float | None) -> ToolResult:
        parts = self._tasks.parts(asked.provider, asked.split)
        page = await self._tasks.page(parts, start=int(asked.cursor or 0), limit=asked.limit)
        return ToolResult(text=tasks_text(page), structured=codec.unstructure(page))

    async def _start_episode(self, asked: ResetRequest, played: Played, timeout_s: float | None) -> ToolResult:
        turn = await played.reset(asked)
        self._service.counts["resets"] += 1
        seen = turn.observation
        return ToolResult(text=ticket_text(seen), structured=codec.unstructure(seen))

    async def _read_ticket(self, asked: object, played: Played, timeout_s: float | None) -> ToolResult:
        state = await played.state()
        if state.task is None:
            raise EpisodeNotOpenError("No episode is open: call start_episode first.")
        seen = self._turn(state).observation
        return ToolResult(text=ticket_text(seen), structured=codec.unstructure(seen))

    async def _submit_triage(self, action: SupportQueueAction, played: Played, timeout_s: float | None) -> ToolResult:
        turn = await played.step(action, timeout_s)
        self._service.stepped(turn)
        seen = turn.observation
        return ToolResult(
            text=triage_text(seen), structured=codec.unstructure(seen), reward=seen.reward, done=seen.done
        )

    async def _get_state(self, asked: object, played: Played, timeout_s: float | None) -> ToolResult:
        state = await played.state()
        return ToolResult(text=state_text(state), structured=codec.unstructure(state))

    def _turn(self, state: SupportQueueState) -> Turn:
        """Return the turn that an open episode stands at; raises `ResetError` when its task is not there any more."""
        card = state.task
        assert card is not None  # noqa: S101 - the caller has looked
        opened = self._service.graders.open(self._chooser.at(card.provider, card.split, card.index))
        if opened.card != card:
            raise ResetError(
                f"Task {card.task_id!r} is not the one that this episode began with: its pack has changed."
            )
        return Turn.from_state(state, opened)

    async def _failed(self, tool: Tool, error: SupportbenchError, refusal: Refusal, played: Played) -> ToolResult:
        if isinstance(error, DecodeError):
            return ToolResult(text=faults_text(tool.name, error.faults), error="invalid_args")
        if isinstance(error, ActionError):
            told = f"{error} The ticket is still open. Next: correct that and call submit_triage again."
            return ToolResult(text=told, error="invalid_args")
        if isinstance(error, EpisodeNotOpenError):
            return ToolResult(text=await _why_not_open(played), error="execution_error")
        if tool.name in ("list_tasks", "start_episode") and refusal.status in (404, 422):
            return ToolResult(text=f"{error} Next: see what list_tasks has, and try again.", error="invalid_args")
        kind: ToolErrorType = "timeout" if refusal.status == 504 else "execution_error"
        return ToolResult(text=f"{refusal.message} {_next_move(error, refusal)}", error=kind)


async def _why_not_open(played: Played) -> str:
    state = await played.state()
    if state.done:
        return "The episode is done. Next: call start_episode to begin another."
    return "No episode is open. Next: call start_episode."


def _next_move(error: SupportbenchError, refusal: Refusal) -> str:
    if isinstance(error, EpisodeBusyError) or refusal.status in (409, 504):
        return "Next: call read_ticket to see where the episode stands."
    if isinstance(error, PluginCallError):
        return "Nothing has changed. Next: try again; if it goes on failing, whoever runs this server has to look."
    return "Next: call start_episode to begin another episode."
