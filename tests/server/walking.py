"""Every route of an application, and a value for whatever its path asks for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from litestar.routes import HTTPRoute

from supportbench.server.app import ServerApp

_PARAMETER: Final = re.compile(r"\{([a-z_]+)(?::[a-z]+)?\}")


def routes_of(app: ServerApp) -> list[tuple[str, str]]:
    """Return (method, path) of everything that the application answers over HTTP, parameters in braces."""
    found: set[tuple[str, str]] = set()
    litestar: Any = app._gate._app
    for route in litestar._litestar.routes:
        if isinstance(route, HTTPRoute):
            found.update((method, route.path) for method in route.methods)
    assert ("POST", "/reset") in found
    return sorted(found)


def filled(path: str, values: Mapping[str, str]) -> str:
    """Return the path with its parameters filled in; one that has no value gets its own name."""
    return _PARAMETER.sub(lambda match: values.get(match[1], match[1]), path)


def walked(app: ServerApp, *many: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield (method, path) of each route, once for each of the mappings of parameters."""
    seen = set()
    for method, path in routes_of(app):
        for values in many or ({},):
            place = method, filled(path, values)
            if place not in seen:
                seen.add(place)
                yield place
