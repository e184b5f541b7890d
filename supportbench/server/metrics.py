"""`/metrics`: what this worker counts, for Prometheus; read when it is asked for, so that a step pays nothing.

Every figure is one worker's: of several behind one port, a scrape reaches any one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib.metadata import version
from typing import Any, Final

from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler

from supportbench.server.operations import TEXT, Answer, Operation, declared
from supportbench.server.service import Service

AnyRequest = Request[Any, Any, Any]

OPENMETRICS: Final = "application/openmetrics-text"


def metrics_routes(service: Service, turned_away: Callable[[], Mapping[int, int]]) -> list[HTTPRouteHandler]:
    """Return the route of the metrics; `turned_away` tells how many requests the gate has refused, by status."""

    @cache
    def registry() -> Any:
        return _registry(service, turned_away)

    @get("/metrics", opt=declared(_METRICS))
    async def metrics(request: AnyRequest) -> Response[bytes]:
        written, media_type = _exposition(registry(), request.headers.get("accept", ""))
        return Response(written, headers={"Content-Type": media_type})

    return [metrics]


def _registry(service: Service, turned_away: Callable[[], Mapping[int, int]]) -> Any:
    """Return a registry of this application alone: two of them live in one process."""
    # Imported when metrics are first asked for: it takes as long as a tenth of the server's start.
    from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector  # noqa: PLC0415

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(service, turned_away))
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


def _exposition(registry: Any, accept: str) -> tuple[bytes, str]:
    """Return the figures and their media type: OpenMetrics where that is accepted, else the text format."""
    from prometheus_client.exposition import choose_encoder  # noqa: PLC0415

    # The library reads an Accept header itself, but falls over one that is no good.
    accepted = {wish.partition(";")[0].strip().lower() for wish in accept.split(",")}
    encoder, media_type = choose_encoder(OPENMETRICS if OPENMETRICS in accepted else "")
    return encoder(registry), media_type


class _Collector:
    def __init__(self, service: Service, turned_away: Callable[[], Mapping[int, int]]) -> None:
        self._service = service
        self._turned_away = turned_away

    def collect(self) -> Iterator[Any]:
        """Yield the figures as they stand."""
        from prometheus_client.core import (  # noqa: PLC0415
            CounterMetricFamily,
            GaugeMetricFamily,
            InfoMetricFamily,
        )

        service = self._service
        recorder = service.recorder
        yield InfoMetricFamily("supportbench_build", "What is running.", {"version": version("supportbench")})
        for name, told, value in (
            ("uptime_seconds", "How long this worker has been up.", time.time() - service.started_at),
            ("sessions_active", "Sessions that this worker holds open.", service.sessions.active),
            ("sessions_max", "Sessions that this worker holds at most.", service.settings.max_sessions),
            ("websockets_open", "WebSockets that are connected to this worker.", len(service.sockets)),
        ):
            yield GaugeMetricFamily(f"supportbench_{name}", told, value=value)
        for name, told, value in (
            ("resets", "Episodes that this worker began.", service.counts["resets"]),
            ("steps", "Actions that this worker graded.", service.counts["steps"]),
            ("episodes_finished", "Episodes that this worker finished.", service.counts["episodes"]),
        ):
            yield CounterMetricFamily(f"supportbench_{name}", told, value=value)
        if recorder is not None:
            yield CounterMetricFamily(
                "supportbench_recordings_lost",
                "Episodes of this worker that ended but could not be recorded.",
                value=recorder.lost,
            )
        refused = CounterMetricFamily(
            "supportbench_errors", "Requests that this worker refused or failed at, by OpenEnv's code.", labels=["code"]
        )
        for code, count in sorted(service.errors.items()):
            refused.add_metric([code], count)
        yield refused
        turned = CounterMetricFamily(
            "supportbench_requests_turned_away",
            "Requests and connections that this worker turned away before looking at them, by status.",
            labels=["status"],
        )
        for status, count in sorted(self._turned_away().items()):
            turned.add_metric([str(status)], count)
        yield turned


_METRICS: Final = Operation(
    summary="Give figures for Prometheus",
    description="Of this worker alone: with several workers, scrape each where it can be told apart, or none.",
    tag="Server",
    answers={
        200: Answer(
            description="In the text format, or as OpenMetrics if that is asked for.",
            content={TEXT: str, OPENMETRICS: str},
        )
    },
)
