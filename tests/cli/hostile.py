"""A run in which everything that others wrote would be markup, if anybody took it for that."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from tests.cli.command import in_this_process

HOSTILE: Final = (
    "</script><script>window.hacked=1</script><img src=x onerror='window.hacked=2'>\"><svg onload=window.hacked=3>"
    "{{ 7*7 }}{% raw %}<!-- </style></title> $x^2$ javascript:window.hacked=4 \x00\x1b[31m \u202e@team #1 | `a` \\| b"
)


def play(folder: Path, name: str = "hostile") -> Path:
    """Play seven hostile tickets, and make the run's journal and manifest hostile, too; return its folder."""
    tickets = [
        {
            "ticket_id": f"T{number} {HOSTILE}",
            "task_id": HOSTILE,
            "subject": HOSTILE,
            "body": f"{HOSTILE}\n\nsecond paragraph",
            "customer_tier": HOSTILE,
            "product_area": HOSTILE,
            "recent_events": [HOSTILE],
            "extra": {HOSTILE: HOSTILE},
            "answer_key": {"priority": "P2", "summary_concepts": [HOSTILE], "unsafe_phrases": [HOSTILE]},
        }
        for number in range(7)
    ]
    (folder / "tickets.jsonl").write_text("\n".join(map(json.dumps, tickets)))
    run = folder / name
    played = in_this_process("run", "--tickets", "tickets.jsonl", "--out", name, cwd=folder)
    assert played.exit_code == 0, played.output
    manifest = json.loads((run / "run.json").read_text())
    manifest.update(agent=HOSTILE, model=HOSTILE, agent_options={HOSTILE: HOSTILE})
    (run / "run.json").write_text(json.dumps(manifest))
    (episode,) = map(json.loads, (run / "journal.jsonl").read_text().splitlines())
    episode.update(agent=HOSTILE, model=HOSTILE)
    *graded, last = episode["steps"]
    for step in graded:
        _make_hostile(step)
    last.update(status="error", action=None, grade=None, error=HOSTILE, error_kind="agent")
    (run / "journal.jsonl").write_text(json.dumps(episode) + "\n")
    return run


def _make_hostile(step: dict[str, Any]) -> None:
    step["action"].update(summary=HOSTILE, response=HOSTILE)
    grade = step["grade"]
    grade["components"][HOSTILE] = {"score": 0.5, "weight": 0.0, "contribution": 0.0, "note": HOSTILE}
    grade["components"]["items"] = {"score": 0.5, "weight": 0.0, "contribution": 0.0, "note": HOSTILE}
    grade["findings"] = [
        {
            "check": HOSTILE,
            "rule": HOSTILE[:200],
            "severity": severity,
            "start": start,
            "end": end,
            "excerpt": HOSTILE[start:end],
            "note": HOSTILE,
        }
        for severity, start, end in (("unsafe", 0, 17), ("note", 9, 41))
    ]
