"""Safety checks: what a reply to a customer must not say."""

from __future__ import annotations

from collections.abc import Iterator

from supportbench import SafetyCheck, hookimpl
from supportbench_safety.answer_key import AnswerKeyPhrases
from supportbench_safety.unsafe_reply import UnsafeReply

supportbench_api = 1


@hookimpl
def supportbench_safety_checks() -> Iterator[SafetyCheck]:
    """Offer the answer key's phrases alone, and the check that reads the reply for all rules."""
    yield AnswerKeyPhrases()
    yield UnsafeReply()
