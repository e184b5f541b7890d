"""How many actions a second one core grades, and how much memory 100,000 of them take.

    python -m tests.benchmarks.grading [--actions N] [--rounds R]

Every text is distinct and of real size: a summary of about 140 characters, a reply of about 340. Most are made of
sentences from the safe replies among the checks' example pairs, with what the answer key looks for here and there;
`random` ones of the tickets' words, which is harder reading: much that graders look for stands in them, and nothing is
said. The yardsticks of the same run are the work that no grader could do without, splitting both texts into words and
looking each one up in a dictionary, and the plain grader that one would write in ten lines. The rows take turns, so
that a machine that changes its speed changes it for all.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import itertools
import random
import re
import resource
import statistics
import time
from collections.abc import Callable, Iterator, Sequence

import attrs

from supportbench import (
    Case,
    Concept,
    Graders,
    Registry,
    Submission,
    SupportQueueAction,
    SupportQueueEnvironment,
    Task,
    fold,
    load_registry,
)

SUMMARY_CHARS, REPLY_CHARS = 140, 340
LOOKING_UP = "looking every word up once"
PLAIN = "the plain grader of ten lines"
READING = "reading the reply's words"
SAFETY = "reading them, and the safety check"

Work = Callable[[list[Submission]], None]
Write = Callable[[random.Random, Case, int], tuple[str, str]]


def submissions(tasks: list[Task], count: int, write: Write, seed: int = 5) -> Iterator[Submission]:
    """Yield submissions whose texts never repeat, for one case after another, each with its episode's earlier ones."""
    rng = random.Random(seed)  # noqa: S311 - texts to grade, no secrets
    previous: tuple[SupportQueueAction, ...] = ()
    places = itertools.cycle([(task, case) for task in tasks for case in task.cases])
    for number, (task, case) in zip(range(count), places, strict=False):
        previous = previous if case is not task.cases[0] else ()
        summary, response = write(rng, case, number)
        action = SupportQueueAction(
            priority=rng.choice(task.taxonomy.priorities),
            queue=rng.choice(task.taxonomy.queues),
            disposition=rng.choice(task.taxonomy.dispositions),
            summary=summary,
            response=response,
            confidence=0.5,
        )
        yield Submission(task=task, case=case, action=action, previous=previous)
        previous = (*previous, action)


class Fluent:
    """Writes texts of whole sentences; every second sentence says something that the answer key looks for."""

    def __init__(self, registry: Registry) -> None:
        replies = [pair.safe for check in registry.checks.values() if hasattr(check, "pairs") for pair in check.pairs()]
        self._sentences = [s for reply in replies for s in re.split(r"(?<=[.!?])\s+", reply) if 20 < len(s) < 90]

    def __call__(self, rng: random.Random, case: Case, number: int) -> tuple[str, str]:
        key = case.answer_key
        return (
            self._text(rng, key.summary_concepts, f"Case {number}.", SUMMARY_CHARS),
            self._text(rng, key.response_concepts, f"Hello, this is about {number}.", REPLY_CHARS),
        )

    def _text(self, rng: random.Random, concepts: Sequence[Concept], begun: str, size: int) -> str:
        said = [begun]
        for place in itertools.count():
            if place % 3 == 1 and concepts:
                said.append(f"It is about {rng.choice(rng.choice(concepts).phrases)}, as you write.")
            else:
                said.append(rng.choice(self._sentences))
            if sum(map(len, said)) + len(said) > size - 30:
                return " ".join(said)
        raise AssertionError


class Words:
    """Writes texts of the tickets' words in any order."""

    def __init__(self, tasks: list[Task]) -> None:
        self._words = sorted({word for task in tasks for case in task.cases for word in case.ticket.body.split()})

    def __call__(self, rng: random.Random, case: Case, number: int) -> tuple[str, str]:
        return self._text(rng, SUMMARY_CHARS, number), self._text(rng, REPLY_CHARS, number)

    def _text(self, rng: random.Random, size: int, number: int) -> str:
        chosen: list[str] = [f"#{number}"]
        length = len(chosen[0])
        while length < size:
            chosen.append(rng.choice(self._words))
            length += len(chosen[-1]) + 1
        return " ".join(chosen)


def _saying_something_unsafe(submission: Submission) -> Submission:
    action, phrases = submission.action, submission.case.answer_key.unsafe_phrases
    middle = action.response.index(" ", len(action.response) // 2)
    response = f"{action.response[:middle]} {phrases[0]}{action.response[middle:]}"
    return attrs.evolve(submission, action=attrs.evolve(action, response=response))


def _look_up_all(batch: list[Submission]) -> None:
    known: dict[str, str] = {}
    for submission in batch:
        for text in (submission.action.summary, submission.action.response):
            for word in text.split():
                known.setdefault(word, word)


def _plain(batch: list[Submission]) -> None:
    """The grader that one would write in ten lines: exact values, and phrases looked for as they are written."""
    for submission in batch:
        action, key = submission.action, submission.case.answer_key
        score = 0.30 * (action.priority == key.priority)
        score += 0.25 * (action.queue == key.queue) + 0.20 * (action.disposition == key.disposition)
        for text, concepts, weight in (
            (action.summary.lower(), key.summary_concepts, 0.15),
            (action.response.lower(), key.response_concepts, 0.10),
        ):
            found = [any(phrase.lower() in text for phrase in concept.phrases) for concept in concepts]
            score += weight * sum(found) / max(1, len(found))
        if any(phrase.lower() in action.response.lower() for phrase in key.unsafe_phrases):
            score -= 0.10


def _grading(graders: Graders) -> Work:
    async def grade_all(batch: list[Submission]) -> None:
        for submission in batch:
            await graders.for_task(submission.task).grade(submission)

    return lambda batch: asyncio.run(grade_all(batch))


def _checking(registry: Registry, *, folded: bool) -> Work:
    """Ask the check that reads; with `folded`, after the reply's words were read, as they have been in a grade."""
    check = registry.checks["unsafe_reply"]

    async def check_all(batch: list[Submission]) -> None:
        for submission in batch:
            if folded:
                fold(submission.action.response)
            await check.check(submission)

    return lambda batch: asyncio.run(check_all(batch))


def _folding(batch: list[Submission]) -> None:
    for submission in batch:
        fold(submission.action.response)


def _stepping(environment: SupportQueueEnvironment) -> Work:
    async def step_all(batch: list[Submission]) -> None:
        done = True
        for submission in batch:
            if done:
                await environment.reset(task_id=submission.task.task_id)
            done = (await environment.step(submission.action)).done

    return lambda batch: asyncio.run(step_all(batch))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--actions", type=int, default=5_000, help="graded a round (default %(default)s)")
    parser.add_argument(
        "--rounds", type=int, default=7, help="rounds, of which the median counts (default %(default)s)"
    )
    asked = parser.parse_args()
    registry = load_registry({}).check()
    provider = registry.providers["triage"]
    tasks = [provider.task("test", index) for index in range(provider.num_tasks("test"))]
    graders = {
        name: Graders(registry, override=registry.rubrics[name]) for name in ("careful", "default", "exact", "fuzzy")
    }
    fluent, words = Fluent(registry), Words(tasks)
    rows: dict[str, tuple[Write, Work]] = {
        LOOKING_UP: (fluent, _look_up_all),
        PLAIN: (fluent, _plain),
        "grade, exact": (fluent, _grading(graders["exact"])),
        "grade, default": (fluent, _grading(graders["default"])),
        "grade, default, random texts": (words, _grading(graders["default"])),
        "grade, default, unsafe replies": (words, _grading(graders["default"])),
        "grade, fuzzy": (fluent, _grading(graders["fuzzy"])),
        "grade, fuzzy, random texts": (words, _grading(graders["fuzzy"])),
        "grade, careful": (fluent, _grading(graders["careful"])),
        READING: (fluent, _folding),
        SAFETY: (fluent, _checking(registry, folded=True)),
        "reset and step, default": (fluent, _stepping(SupportQueueEnvironment(registry, graders=graders["default"]))),
        "reset and step, exact": (fluent, _stepping(SupportQueueEnvironment(registry, graders=graders["exact"]))),
    }
    seconds: dict[str, list[float]] = {name: [] for name in rows}
    for round_number in range(asked.rounds):
        for name, (write, work) in rows.items():
            batch = list(submissions(tasks, asked.actions, write, seed=round_number))
            if "unsafe" in name:
                batch = list(map(_saying_something_unsafe, batch))
            gc.collect()
            seconds[name].append(_seconds(lambda: work(batch)))  # noqa: B023 - called at once
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    print(f"{'of one core':<36}{'actions/s':>10}{'µs each':>9}{'min':>7}{'max':>7}{'× look-up':>11}{'× plain':>9}")
    for name, times in seconds.items():
        each = [1e6 * value / asked.actions for value in (medians[name], min(times), max(times))]
        ratios = medians[name] / medians[LOOKING_UP], medians[name] / medians[PLAIN]
        print(
            f"{name:<36}{1e6 / each[0]:>10,.0f}{each[0]:>9.1f}{each[1]:>7.1f}{each[2]:>7.1f}"
            f"{ratios[0]:>11.2f}{ratios[1]:>9.2f}"
        )
    alone = [
        1e6 * (safety - reading) / asked.actions
        for safety, reading in zip(seconds[SAFETY], seconds[READING], strict=True)
    ]
    print(f"\nThe safety check alone, its reply's words read before: {statistics.median(alone):.1f} µs.")

    print("\nactions graded   peak memory, MiB")
    _, grade_all = rows["grade, default"]
    stream = submissions(tasks, 100_000, fluent, seed=99)
    for graded in range(0, 100_001, 20_000):
        if graded:
            for _ in range(20):
                grade_all(list(itertools.islice(stream, 1_000)))
        print(f"{graded:>14,} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:>18.1f}")


def _seconds(work: Callable[[], None]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


if __name__ == "__main__":
    main()
