"""The bench: every judge that the rubrics of one registry name, each made once."""

from __future__ import annotations

from collections.abc import Mapping

from supportbench import EndpointOptions
from supportbench_judge.judge import Judge
from supportbench_judge.options import JudgeOptions
from supportbench_judge.place import MODEL, Place
from supportbench_judge.sittings import Sittings


class Bench:
    """Makes judges from options; components whose options name the same model, asked alike, share one."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._seats: dict[tuple[EndpointOptions, int | None, int], tuple[Judge, Sittings]] = {}

    def seat(self, options: JudgeOptions) -> tuple[Judge, Sittings]:
        """Return the judge of these options, whatever its criteria, and its sittings.

        Raises:
            ValueError: no model is named, or the environment says something impossible.
        """
        model = options.model or self._environ.get(MODEL, "").strip()
        if not model:
            raise ValueError(
                f"no model is named that could judge: set {MODEL}, or give each component that judges the option model"
            )
        place = Place.from_environ(self._environ)
        asked = EndpointOptions(
            model=model,
            temperature=options.temperature,
            timeout_s=place.timeout_s,
            max_retries=place.max_retries,
            max_output_tokens=options.max_output_tokens,
            structured_output=options.structured_output,
        )
        key = (asked, options.seed, options.votes)
        if key not in self._seats:
            judge = Judge(place, asked, seed=options.seed, votes=options.votes)
            self._seats[key] = (judge, Sittings(judge))
        return self._seats[key]
