"""Model Context Protocol: the environment as five tools, over JSON-RPC 2.0."""

from __future__ import annotations

from typing import Any

from supportbench.server.played import Played
from supportbench.server.service import Service


class Mcp:
    """Answers JSON-RPC messages of one caller; `own` is the session of the WebSocket that they come by, if any."""

    def __init__(self, service: Service, owner: str, *, own: Played | None = None) -> None:
        self._service = service
        self._owner = owner
        self._own = own

    async def answer(self, data: Any) -> dict[str, Any] | None:
        """Return the answer to a message, None to a notification."""
        raise NotImplementedError
