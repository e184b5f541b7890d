"""Everything of the server that is read rather than played."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from litestar.handlers import HTTPRouteHandler

from supportbench.server.catalogue import catalogue_routes
from supportbench.server.metrics import metrics_routes
from supportbench.server.openapi import ApiDocument, openapi_routes
from supportbench.server.pages import page_routes
from supportbench.server.schemas import Schemas
from supportbench.server.service import Service
from supportbench.server.task_api import task_api_routes
from supportbench.server.task_list import TaskList


def reading_routes(service: Service, turned_away: Callable[[], Mapping[int, int]]) -> list[HTTPRouteHandler]:
    """Return the routes that change nothing; `turned_away` tells how many requests the gate has refused, by status."""
    task_list = TaskList(service.registry, service.settings.provider)
    schemas = Schemas(service.registry)
    document = ApiDocument(service.settings, schemas)
    return [
        *catalogue_routes(service, schemas, task_list),
        *task_api_routes(task_list),
        *openapi_routes(document),
        *page_routes(service, task_list, document),
        *metrics_routes(service, turned_away),
    ]
