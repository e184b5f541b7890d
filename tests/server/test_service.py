"""The service of one worker: what begins with it and ends with it."""

from __future__ import annotations

import socket

import attrs
import httpx
import pytest

from supportbench import (
    ComponentScore,
    Rubric,
    RubricComponent,
    Submission,
)
from supportbench.errors import StoreError
from supportbench.server.service import Service
from supportbench.settings import ServerSettings
from tests.offering import a_task, registry_of
from tests.server.serving import serving
from tests.shop import a_shop, provider


@attrs.frozen
class _Options:
    model: str = "small"


class Judge:
    """A component with options, each setting of which holds a connection, say."""

    name = "judge"
    Options = _Options

    def __init__(self, ended: list[str], model: str = "none") -> None:
        self._ended = ended
        self._model = model

    def configured(self, options: _Options) -> Judge:
        return Judge(self._ended, options.model)

    async def score(self, submission: Submission) -> ComponentScore:
        return ComponentScore(score=1.0)

    async def aclose(self) -> None:
        self._ended.append(self._model)


class TestAtTheEnd:
    def test_everything_that_plugins_offer_is_closed_once_also_what_was_configured_meanwhile(self) -> None:
        ended: list[str] = []
        rubric = Rubric(
            name="judged", components=[RubricComponent(use="judge", weight=1.0, options={"model": "large"})]
        )
        tasks = provider("triage", test=[a_task("t", rubric="judged")])
        registry = registry_of(components=[Judge(ended)], rubrics=[rubric], providers=[tasks])
        with serving(registry) as served:
            assert httpx.post(f"{served.url}/reset").status_code == 200
            assert ended == []
        assert sorted(ended) == ["large", "none"]

    async def test_a_store_that_cannot_be_reached_at_the_start_is_let_go_of(self) -> None:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            port = closed.getsockname()[1]
            service = Service(ServerSettings(store=f"redis://127.0.0.1:{port}"), a_shop())
            with pytest.raises(StoreError, match="is it running"):
                async with service.running():
                    pass


async def test_two_services_live_beside_each_other() -> None:
    services = [Service(ServerSettings(max_sessions=1), a_shop()) for _ in range(2)]
    async with services[0].running(), services[1].running():
        for service in services:
            session = service.sessions.open_live("")
            assert service.sessions.is_live(session.session_id, "")
        assert [service.sessions.active for service in services] == [1, 1]
