"""Where the application is mounted: ASGI's `root_path`, which a proxy or another application may set."""

from __future__ import annotations

from typing import Any

from litestar import Request


def root_of(request: Request[Any, Any, Any]) -> str:
    """Return the path below which the routes are found, empty at the top; without a slash at its end."""
    return str(request.scope.get("root_path", "")).rstrip("/")
