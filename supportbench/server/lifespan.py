"""An application's start and end, as uvicorn runs them, with what goes wrong kept for whoever started the process."""

from __future__ import annotations

import logging
from typing import Any

import uvicorn
from uvicorn.lifespan.on import LifespanOn


class Lifespan(LifespanOn):
    """uvicorn's lifespan; `failure` is what the application raised, `told` what it said of it."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.failure: BaseException | None = None
        self.told = ""
        self.logger = logging.Logger("lifespan", logging.CRITICAL + 1)  # what it would say is said by the server

    async def main(self) -> None:
        """Run the application's lifespan."""
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        try:
            await self.config.loaded_app(scope, self.receive, self.send)
        except BaseException as error:  # whatever it is; uvicorn would log it and forget it
            self.failure = _unwrapped(error)
            self.error_occurred = True
            if self.startup_event.is_set():
                self.shutdown_failed = True
            else:
                self.startup_failed = True
        finally:
            self.startup_event.set()
            self.shutdown_event.set()

    async def send(self, message: Any) -> None:
        """Take the application's message."""
        if message["type"].endswith(".failed"):
            self.told = message.get("message", "")
            message = {**message, "message": ""}
        await super().send(message)


def _unwrapped(error: BaseException) -> BaseException:
    """Return what stands alone in a group of exceptions, which frameworks put around it."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
