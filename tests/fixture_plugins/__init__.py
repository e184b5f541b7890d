"""Plugins to install in tests: `good` is a pack as one would publish it; `broken` has each way to get one wrong."""

from pathlib import Path

from tests.fixture_plugins.broken import BROKEN

__all__ = ["BROKEN", "GOOD"]

GOOD = Path(__file__).parent / "good"
