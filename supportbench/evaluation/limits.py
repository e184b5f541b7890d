"""What a run may use: tokens, dollars, and time for an answer; and what stops one before all is played."""

from __future__ import annotations

import attrs
from attrs import field
from attrs.validators import ge, gt, optional

from supportbench.errors import RunError
from supportbench.models import Episode, Usage


@attrs.frozen(kw_only=True)
class Limits:
    """What all of a run may use at most, the agent's calls and the judges', what its journal has included.

    No episode is begun once as much was used; those under way are played to their end, so that what was paid for is
    kept. `timeout_s` is how long the agent may take for one ticket; longer is an error.
    """

    max_tokens: int | None = field(default=None, validator=optional(ge(1)))
    max_cost_usd: float | None = field(default=None, validator=optional(gt(0)))
    timeout_s: float | None = field(default=None, validator=optional(gt(0)))


class RunStoppedError(RunError):
    """A run was stopped before all was played; the message is the end of a sentence about it.

    `wider` is the option that has to say more for it to go on, if it is one.
    """

    def __init__(self, message: str, *, wider: str | None = None) -> None:
        super().__init__(message)
        self.wider = wider


class Budget:
    """What a run has used so far, and why it should begin no further episode, if it should not.

    Where the last `patience` episodes all failed to reach the server that they are played on, the others would, too.
    """

    def __init__(self, limits: Limits, *, patience: int) -> None:
        self._limits = limits
        self._patience = patience
        self._tokens = 0
        self._cost_usd = 0.0
        self._has_unknown_cost = False
        self._lost = 0

    @property
    def is_limited(self) -> bool:
        """Whether there is any limit to what may be used."""
        return self._limits.max_tokens is not None or self._limits.max_cost_usd is not None

    def add(self, episode: Episode) -> None:
        """Count what an episode used."""
        for step in episode.steps:
            for usage in (step.usage, step.grading_usage):
                if usage is not None:
                    self._add(usage)
        is_lost = any(step.error_kind == "server" for step in episode.steps)
        self._lost = self._lost + 1 if is_lost else 0

    def _add(self, usage: Usage) -> None:
        self._tokens += usage.input_tokens + usage.output_tokens
        self._cost_usd += usage.cost_usd or 0.0
        self._has_unknown_cost |= usage.calls > 0 and usage.cost_usd is None

    @property
    def has_unknown_cost(self) -> bool:
        """Whether dollars are limited, and something was used of which no price is known."""
        return self._limits.max_cost_usd is not None and self._has_unknown_cost

    @property
    def limit_reached(self) -> str | None:
        """The option whose limit is reached, None where none is."""
        most_tokens, most_usd = self._limits.max_tokens, self._limits.max_cost_usd
        if most_usd is not None and self._cost_usd >= most_usd:
            return "--max-cost"
        return "--max-tokens" if most_tokens is not None and self._tokens >= most_tokens else None

    @property
    def reason_to_stop(self) -> str | None:
        """Why no further episode should begin, as the end of a sentence about the run; None where it should."""
        if self._lost >= self._patience:
            return f"since its last {self._lost} episodes were lost with the server; see --retry-errors"
        if self.has_unknown_cost:
            return (
                "since no price is known of a model that it asks, so that --max-cost could not be kept: name it in the "
                "file of SUPPORTBENCH_PRICES"
            )
        if self.limit_reached == "--max-cost":
            return f"at --max-cost {self._limits.max_cost_usd:g} (US dollars used: {self._cost_usd:.4f})"
        if self.limit_reached == "--max-tokens":
            return f"at --max-tokens {self._limits.max_tokens} (used: {self._tokens})"
        return None
