"""The tickets that every contender serves, as plain data: to read them takes nothing of the package under test."""

from __future__ import annotations

import json
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


def write_tickets(path: Path, number: int) -> Path:
    """Write so many tickets to a file for `--tickets`: those of triage again and again, each with an id of its own.

    Their answer keys are as short as those of someone who labels that many: two concepts a text, three phrases each.
    """
    cases = [case for task in read_tasks() for case in task["cases"]]
    lines = []
    for place in range(number):
        case = cases[place % len(cases)]
        key = {
            name: [concept[:3] for concept in value[:2]] if name.endswith("_concepts") else value
            for name, value in case["answer_key"].items()
        }
        line = {**case["ticket"], "ticket_id": f"T-{place}", "answer_key": key}
        lines.append(json.dumps({name: value for name, value in line.items() if name != "extra"}) + "\n")
    path.write_text("".join(lines), encoding="utf-8")
    return path
