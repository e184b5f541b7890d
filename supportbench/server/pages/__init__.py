"""The pages for people: `/`, which tells programs the same as JSON, `/docs`, and `/web`."""

from __future__ import annotations

import re
from importlib.metadata import metadata
from typing import Any, Final

from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler

from supportbench.server.answers import json_answer
from supportbench.server.catalogue import DISTRIBUTION
from supportbench.server.gate import origins_of
from supportbench.server.mounting import root_of
from supportbench.server.openapi import ApiDocument
from supportbench.server.operations import HTML, JSON, PROVIDER_FAILS, Answer, Operation, declared
from supportbench.server.pages.front import Overview, front_page, overview, shown_tasks
from supportbench.server.pages.reference import reference_page
from supportbench.server.pages.rendering import page
from supportbench.server.service import Service
from supportbench.server.task_list import TaskList

AnyRequest = Request[Any, Any, Any]


def page_routes(service: Service, task_list: TaskList, document: ApiDocument) -> list[HTTPRouteHandler]:
    """Return the routes of the pages."""
    told = metadata(DISTRIBUTION)
    version = told["Version"]
    framed_by = tuple(origins_of(service.settings))
    written: dict[str, str] = {}

    @get("/", opt=declared(_FRONT))
    async def front(request: AnyRequest) -> Response[bytes]:
        root = root_of(request)
        seen = overview(service, task_list, name=DISTRIBUTION, version=version, description=told["Summary"], root=root)
        if not _wants_page(request):
            return json_answer(seen, headers={"Vary": "Accept"})
        content = front_page(
            seen,
            await shown_tasks(task_list, seen),
            base_url=str(request.base_url).rstrip("/"),
            root=root,
            asks_token=bool(service.settings.tokens),
        )
        return page(title=DISTRIBUTION, version=version, content=content, root=root, framed_by=framed_by)

    @get("/docs", opt=declared(_DOCS))
    async def docs(request: AnyRequest) -> Response[bytes]:
        if "docs" not in written:
            written["docs"] = reference_page(document.of(request.app))
        title = f"The API of {DISTRIBUTION}"
        return page(title=title, version=version, content=written["docs"], root=root_of(request), framed_by=framed_by)

    @get("/web", opt=declared(_WEB), status_code=307)
    async def web(request: AnyRequest) -> Response[bytes]:
        return Response(b"", status_code=307, headers={"Location": f"{root_of(request)}/"})

    return [front, docs, web]


def _wants_page(request: AnyRequest) -> bool:
    """Return whether the request would rather have HTML than JSON; who does not say gets JSON."""
    wishes = {JSON: 0.0, HTML: 0.0}
    for wish in request.headers.get("accept", "").split(","):
        media, *parameters = (part.strip().lower() for part in wish.split(";"))
        if media in wishes:
            wishes[media] = max(wishes[media], _quality(parameters))
    return wishes[HTML] > wishes[JSON]


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        if match := _QUALITY.fullmatch(parameter):
            return float(match[1])
    return 1.0


_QUALITY: Final = re.compile(r"q\s*=\s*([01](?:\.\d{0,3})?)")
_FRONT: Final = Operation(
    summary="Tell what is served here",
    description="JSON, or a page for people where `Accept` prefers `text/html`.",
    tag="Pages",
    headers={"Accept": "`text/html` for the page."},
    answers={
        200: Answer(description="What is served.", content={JSON: Overview, HTML: str}, headers={"Vary": "`Accept`."})
    },
)
_DOCS: Final = Operation(
    summary="Show the API as a page",
    tag="Pages",
    answers={200: Answer(description="The page.", content={HTML: str})},
    refuses={502: PROVIDER_FAILS},
)
_WEB: Final = Operation(
    summary="Lead to the page at `/`",
    description="Where OpenEnv's web interface is looked for.",
    tag="Pages",
    answers={307: Answer(description="It is at `/`.", headers={"Location": "The path of the page."})},
)
