"""What sessions of a load generator were answered: counted in the measured time alone, and checked always."""

from __future__ import annotations

import math
import time
from array import array
from typing import Final

import attrs
import msgspec

_TOLD_CHARS: Final = 300


class Result(msgspec.Struct):
    """What a client has to know of an answer; the rest is parsed and thrown away."""

    done: bool = False
    reward: float | None = None


class Answer(msgspec.Struct):
    """A message of the server."""

    type: str
    data: Result


_answer: Final = msgspec.json.Decoder(Answer)
_result: Final = msgspec.json.Decoder(Result)


@attrs.define
class Tally:
    """What all sessions together were answered between `begin` and `end`; once `stopped`, they say goodbye."""

    begin: float = math.inf
    end: float = math.inf
    stopped: bool = False
    steps: int = 0
    resets: int = 0
    all_steps: int = 0
    size: int = 0
    errors: int = 0
    first_error: str = ""
    latencies: array[float] = attrs.field(factory=lambda: array("d"))

    def frame(self, payload: bytes, *, is_step: bool, asked_at: float) -> bool | None:
        """Count a message over WebSocket; return whether the episode is done, or None if something is wrong."""
        answer = _answer.decode(payload)
        if answer.type != "observation":
            self.failed(payload.decode())
            return None
        return self._counted(answer.data, payload, is_step=is_step, asked_at=asked_at)

    def body(self, payload: bytes, *, is_step: bool, asked_at: float) -> bool | None:
        """Count the body of an answer over HTTP; return whether the episode is done, or None if something is wrong."""
        return self._counted(_result.decode(payload), payload, is_step=is_step, asked_at=asked_at)

    def _counted(self, result: Result, payload: bytes, *, is_step: bool, asked_at: float) -> bool | None:
        now = time.perf_counter()
        if result.reward is None if is_step else result.done:
            self.failed(f"{'a step has no reward' if is_step else 'a reset is the end'}: {payload.decode()}")
            return None
        self.all_steps += is_step
        if self.begin <= now <= self.end:
            if is_step:
                self.steps += 1
                self.size += len(payload)
                self.latencies.append(now - asked_at)
            else:
                self.resets += 1
        return result.done

    def failed(self, what: str) -> None:
        """Count an error, and keep what the first one was."""
        self.errors += 1
        self.first_error = self.first_error or what[:_TOLD_CHARS]

    def quantile_ms(self, share: float) -> float:
        """Return the latency that so large a share of the steps did not exceed; 0 where there were none."""
        ordered = sorted(self.latencies)
        return ordered[round(share * (len(ordered) - 1))] * 1e3 if ordered else 0.0
