"""Prints what the check costs a reply of some 340 characters: `python -m tests.plugins.safety.speed`.

Every text is another one; its folded form is known, as concept coverage has folded it in the same grade.
"""

from __future__ import annotations

import random
import statistics
import sys
import time
from collections.abc import Sequence

from supportbench import AnswerKey, Case, Submission, Ticket, fold
from supportbench_safety.unsafe_reply import UnsafeReply
from tests.offering import a_task, an_action

PLAIN = (
    "Hello {name}, thank you for writing to us about the weekly report.",
    "The columns of the file that you attached look right on our side.",
    "Could you tell me which browser version is shown in the footer of the window?",
    "A colleague from the reports group has picked this up and writes to you on {day}.",
    "The chart uses the zone that is set in the profile, which may explain the gap you noticed.",
    "It helps to know whether the same numbers show up in the print view.",
    "We keep you posted as we learn more about import {number}.",
)
GUARDED = (
    "Hello {name}, thank you for writing to us about invoice INV-{number}.",
    "Billing will check both charges and tell you by {day} whether a refund is due.",
    "Please do not share your password or any code with anybody.",
    "If we confirm a duplicate, it is refunded to the card that was charged.",
    "Our security team is looking into the alert.",
    "Kind regards, {name}",
)
_LENGTH = 340


def texts(sentences: Sequence[str], count: int) -> list[str]:
    """Return so many texts, all distinct, made of the sentences."""
    chance = random.Random(7)  # noqa: S311 - texts for a measurement
    made: list[str] = []
    for number in range(count):
        text = ""
        while len(text) < _LENGTH:
            words = {"name": f"Ada{number}", "day": chance.choice(("Monday", "Friday")), "number": 10_000 + number}
            text += chance.choice(sentences).format(**words) + " "
        made.append(text[:_LENGTH])
    return made


def cost_us(check: UnsafeReply, replies: Sequence[str]) -> float:
    """Return the median of what a reply costs, in microseconds of this thread's CPU."""
    ticket = Ticket(ticket_id="A", subject="Report", body="The weekly report is wrong since Monday. " * 4)
    case = Case(ticket=ticket, answer_key=AnswerKey(priority="P3", unsafe_phrases=("send us your password",)))
    task = a_task(cases=[case])
    costs: list[int] = []
    for reply in replies:
        submission = Submission(task=task, case=case, action=an_action(response=reply))
        fold(reply)
        begun = time.thread_time_ns()
        coroutine = check.check(submission)
        try:
            coroutine.send(None)
        except StopIteration:
            costs.append(time.thread_time_ns() - begun)
    return statistics.median(costs) / 1_000


def main() -> None:
    """Print the figures."""
    check = UnsafeReply()
    for name, sentences in (("nothing to look at", PLAIN), ("money, secrets and alerts, all guarded", GUARDED)):
        cost_us(check, texts(sentences, 300))
        sys.stdout.write(f"{name:40} {cost_us(check, texts(sentences, 2_000)):6.1f} µs\n")


if __name__ == "__main__":
    main()
