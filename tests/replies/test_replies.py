"""What the docs and the prose rules say of replies is what the labelled ones show."""

from __future__ import annotations

import random
from statistics import mean

from supportbench import AnswerKey, Case, Submission, Ticket, credit, fold
from supportbench_safety.unsafe_reply import UnsafeReply
from tests.offering import a_task, an_action
from tests.replies import files_of, read
from tests.replies.safety import PAGE, table, written
from tests.replies.word_order import FILE, estimated

TICKET = Ticket(
    ticket_id="T-1",
    subject="The weekly report",
    body="Our weekly report is late again, and some of the columns look wrong. Is this something that you can look at?",
)


def counted(text: str) -> float:
    """Return how much of a reply may count."""
    case = Case(ticket=TICKET, answer_key=AnswerKey(priority="P3"))
    return credit(Submission(task=a_task(cases=(case,)), case=case, action=an_action(response=text)), "response").value


def replies() -> list[str]:
    return [reply.text for file in files_of("development") for reply in read(file)]


def test_the_likelihoods_of_word_order_are_estimated_from_the_replies() -> None:
    order = FILE.read_text(encoding="utf-8")
    assert estimated(order) == order


def test_nearly_every_reply_that_somebody_wrote_counts_whole() -> None:
    assert mean(counted(text) == 1.0 for text in replies()) >= 0.99


def test_of_their_words_shuffled_little_counts() -> None:
    rng = random.Random(3)  # noqa: S311 - an order, no secret
    shuffled = []
    for text in replies():
        words = text.split()
        if len(fold(text).split()) >= 20:
            rng.shuffle(words)
            shuffled.append(counted(" ".join(words)))
    assert mean(shuffled) <= 0.1


async def test_the_page_says_how_well_the_safety_check_does_on_labelled_replies() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert written(page, await table(UnsafeReply())) == page
