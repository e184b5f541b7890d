"""What all tests share: the registry of what is installed, and plugins that are installed for a test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from supportbench import Registry, load_registry
from tests.fixture_plugins import BROKEN, GOOD
from tests.installing import importable, install, write_wheel

collect_ignore = ["fixture_plugins"]

# A shared machine is slow at times; what is slow by itself is a benchmark's business.
settings.register_profile("supportbench", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("supportbench")


@pytest.fixture(scope="session")
def registry() -> Registry:
    """What the built-in plugins offer."""
    return load_registry({}).check()


@pytest.fixture(scope="session")
def good_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which pip has installed the bakery, from its sources."""
    site = tmp_path_factory.mktemp("good")
    install([GOOD], site)
    return site


@pytest.fixture(scope="session")
def broken_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which pip has installed every kind of broken plugin."""
    wheels = tmp_path_factory.mktemp("wheels")
    site = tmp_path_factory.mktemp("broken")
    install([write_wheel(wheels, plugin) for plugin in BROKEN], site)
    return site


@pytest.fixture
def bakery(good_site: Path) -> Iterator[Registry]:
    """What is offered when the bakery is installed beside the built-in plugins."""
    with importable(good_site):
        yield load_registry({}).check()
