"""How many actions a second one core grades with the default rubric, and how much memory 100,000 of them take.

    python -m tests.benchmarks.grading [--actions N] [--rounds R]

Every text is distinct and of real size: a summary of about 140 characters, a reply of about 340, their words drawn from
the installed tickets. The yardstick of the same run is the work that no grader could do without: splitting both texts
into words and looking each one up in a dictionary.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import itertools
import random
import resource
import statistics
import time
from collections.abc import Callable, Iterator

from supportbench import Submission, SupportQueueAction, Task, load_registry
from supportbench.graders import Graders

SUMMARY_CHARS, REPLY_CHARS = 140, 340


def submissions(tasks: list[Task], count: int, seed: int = 5) -> Iterator[Submission]:
    """Yield submissions whose texts never repeat."""
    rng = random.Random(seed)  # noqa: S311 - texts to grade, no secrets
    words = sorted({word for task in tasks for case in task.cases for word in case.ticket.body.split()})
    places = itertools.cycle([(task, case) for task in tasks for case in task.cases])
    for number, (task, case) in zip(range(count), places, strict=False):
        action = SupportQueueAction(
            priority=rng.choice(task.taxonomy.priorities),
            queue=rng.choice(task.taxonomy.queues),
            disposition=rng.choice(task.taxonomy.dispositions),
            summary=_text(rng, words, SUMMARY_CHARS, number),
            response=_text(rng, words, REPLY_CHARS, number),
            confidence=0.5,
        )
        yield Submission(task=task, case=case, action=action)


def _text(rng: random.Random, words: list[str], size: int, number: int) -> str:
    chosen: list[str] = [f"#{number}"]
    length = len(chosen[0])
    while length < size:
        chosen.append(rng.choice(words))
        length += len(chosen[-1]) + 1
    return " ".join(chosen)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--actions", type=int, default=10_000, help="graded a round (default %(default)s)")
    parser.add_argument(
        "--rounds", type=int, default=7, help="rounds, of which the median counts (default %(default)s)"
    )
    asked = parser.parse_args()
    registry = load_registry({}).check()
    provider = registry.providers["triage"]
    tasks = [provider.task("test", index) for index in range(provider.num_tasks("test"))]
    graders = Graders(registry)

    async def grade_all(batch: list[Submission]) -> None:
        for submission in batch:
            await graders.for_task(submission.task).grade(submission)

    def look_up_all(batch: list[Submission]) -> None:
        known: dict[str, str] = {}
        for submission in batch:
            for text in (submission.action.summary, submission.action.response):
                for word in text.split():
                    known.setdefault(word, word)

    rates, ratios = [], []
    for round_number in range(asked.rounds):
        batch = list(submissions(tasks, asked.actions, seed=round_number))
        gc.collect()
        grading = _seconds(lambda: asyncio.run(grade_all(batch)))  # noqa: B023 - called at once
        yardstick = _seconds(lambda: look_up_all(batch))  # noqa: B023
        rates.append(asked.actions / grading)
        ratios.append(grading / yardstick)
    print(f"graded actions a second: median {statistics.median(rates):,.0f} [{min(rates):,.0f} .. {max(rates):,.0f}]")
    print(f"times the cost of looking every word up once: median {statistics.median(ratios):.2f}")

    print("\nactions graded   peak memory, MiB")
    stream = submissions(tasks, 100_000, seed=99)
    for graded in range(0, 100_001, 20_000):
        if graded:
            for _ in range(20):
                asyncio.run(grade_all(list(itertools.islice(stream, 1_000))))
        print(f"{graded:>14,} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:>18.1f}")


def _seconds(work: Callable[[], None]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


if __name__ == "__main__":
    main()
