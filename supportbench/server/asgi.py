"""The application for other servers than ours: `uvicorn supportbench.server.asgi:app`, or gunicorn, or granian.

`app` is made from `SUPPORTBENCH_*` when it is first asked for; to import this module does nothing.
"""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Mapping
from contextlib import redirect_stdout

from supportbench.registry import load_registry
from supportbench.server.app import ServerApp, create_app
from supportbench.server.process import Served
from supportbench.settings import ServerSettings

app: ServerApp


def open_app(settings: ServerSettings, environ: Mapping[str, str]) -> ServerApp:
    """Return the application that serves what is installed; raises as `load_registry` and `create_app` do."""
    with redirect_stdout(sys.stderr):  # what a plugin prints is no data of ours
        return create_app(settings, load_registry(environ, settings.block).check())


def open_served(settings: ServerSettings, environ: Mapping[str, str]) -> Served:
    """Return the application as our own processes serve it."""
    opened = open_app(settings, environ)
    return Served(app=opened, drain=opened.service.drain)


def main() -> None:
    """Run `supportbench serve` with the process's arguments and environment."""
    # The command stands above the server, so it is run as a program and not imported.
    sys.argv[1:1] = ["serve"]
    runpy.run_module("supportbench", run_name="__main__")


def __getattr__(name: str) -> ServerApp:
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    made = globals()["app"] = open_app(ServerSettings.from_environ(os.environ), os.environ)
    return made
