"""Results without what differs from one run to the next: its id and its times."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from supportbench.codec import unstructure
from supportbench.evaluation.results import Results


def timeless(results: Results | Path) -> dict[str, Any]:
    """Return the results, or those in a run's folder, without the run's id, its duration and the agent's latencies."""
    data = unstructure(results) if isinstance(results, Results) else json.loads((results / "results.json").read_text())
    statistics = data["statistics"] and {key: value for key, value in data["statistics"].items() if key != "latency_s"}
    kept = {key: value for key, value in data.items() if key not in ("run_id", "duration_s")}
    return {**kept, "statistics": statistics}
