"""What all tests share: the registry of what is installed, and plugins that are installed for a test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, settings

from supportbench import Registry, load_registry
from tests.fixture_plugins import BROKEN, GOOD
from tests.installing import importable, install, write_wheel

collect_ignore = ["fixture_plugins"]

# A shared machine is slow at times; what is slow by itself is a benchmark's business.
settings.register_profile("supportbench", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# `pytest --hypothesis-profile=deep` searches ten times as long.
settings.register_profile("deep", settings.get_profile("supportbench"), max_examples=1000)
settings.load_profile("supportbench")

_MOST_PROCESSES: Final = 8


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return into how many processes `-n auto` shares the tests out.

    One more than there are processors, since many a test waits for a server. From some number on, a further process
    costs more (it imports and collects everything) than it takes over.
    """
    return min((os.cpu_count() or 1) + 1, _MOST_PROCESSES)


@pytest.fixture(scope="session", autouse=True)
def no_certificates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let clients of HTTP, here and in processes of tests, trust nobody: no test leaves this machine, or speaks TLS.

    Otherwise each client first reads the certificates of all the world, which takes 20 ms.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_DIR", str(tmp_path_factory.mktemp("no-certificates")))
        patch.delenv("SSL_CERT_FILE", raising=False)
        yield


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
