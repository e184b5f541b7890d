"""The tickets that every contender serves, as plain data: to read them takes nothing of the package under test."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Final

_FOLDER: Final = Path(__file__).parents[2] / "plugins" / "supportbench_triage" / "tasks"

PRIORITIES: Final = ("P1", "P2", "P3", "P4")
QUEUES: Final = ("billing", "security", "technical", "success", "trust_safety")
DISPOSITIONS: Final = ("respond", "request_info", "escalate", "close")


def read_tasks() -> list[dict[str, Any]]:
    """Return the three tasks of triage as their files have them, sorted by name."""
    return [tomllib.loads(path.read_text(encoding="utf-8")) for path in sorted(_FOLDER.glob("*.toml"))]
