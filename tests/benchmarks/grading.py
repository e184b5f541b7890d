"""How many actions a second one core grades, and how much memory 100,000 of them take.

    python -m tests.benchmarks.grading [--actions N] [--rounds R]

Every text is distinct and of real size: a summary of about 140 characters, a reply of about 340, their words drawn from
the installed tickets. The yardstick of the same run is the work that no grader could do without: splitting both texts
into words and looking each one up in a dictionary. The rows take turns, so that a machine that changes its speed
changes it for all.
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

import attrs

from supportbench import Graders, Submission, SupportQueueAction, SupportQueueEnvironment, Task, load_registry

SUMMARY_CHARS, REPLY_CHARS = 140, 340
YARDSTICK = "looking every word up once"

Work = Callable[[list[Submission]], None]


def submissions(tasks: list[Task], count: int, seed: int = 5) -> Iterator[Submission]:
    """Yield submissions whose texts never repeat, for one case after another."""
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


def _grading(graders: Graders) -> Work:
    async def grade_all(batch: list[Submission]) -> None:
        for submission in batch:
            await graders.for_task(submission.task).grade(submission)

    return lambda batch: asyncio.run(grade_all(batch))


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
    parser.add_argument("--actions", type=int, default=10_000, help="graded a round (default %(default)s)")
    parser.add_argument(
        "--rounds", type=int, default=7, help="rounds, of which the median counts (default %(default)s)"
    )
    asked = parser.parse_args()
    registry = load_registry({}).check()
    provider = registry.providers["triage"]
    tasks = [provider.task("test", index) for index in range(provider.num_tasks("test"))]
    default = Graders(registry)
    exact = Graders(registry, override=registry.rubrics["exact"])
    rows: dict[str, Work] = {
        YARDSTICK: _look_up_all,
        "grade, default": _grading(default),
        "grade, default, unsafe replies": _grading(default),
        "grade, exact": _grading(exact),
        "reset and step, default": _stepping(SupportQueueEnvironment(registry, graders=default)),
        "reset and step, exact": _stepping(SupportQueueEnvironment(registry, graders=exact)),
    }
    seconds: dict[str, list[float]] = {name: [] for name in rows}
    for round_number in range(asked.rounds):
        for name, work in rows.items():
            batch = list(submissions(tasks, asked.actions, seed=round_number))
            if "unsafe" in name:
                batch = list(map(_saying_something_unsafe, batch))
            gc.collect()
            seconds[name].append(_seconds(lambda: work(batch)))  # noqa: B023 - called at once
    print(f"{'of one core':<32}{'actions/s':>10}{'µs each':>9}{'min':>7}{'max':>7}{'× yardstick':>13}")
    yardstick = statistics.median(seconds[YARDSTICK])
    for name, times in seconds.items():
        median = statistics.median(times)
        each = "".join(f"{1e6 * t / asked.actions:>{width}.1f}" for t, width in ((median, 9), (min(times), 7)))
        row = f"{name:<32}{asked.actions / median:>10,.0f}{each}{1e6 * max(times) / asked.actions:>7.1f}"
        print(f"{row}{median / yardstick:>13.2f}")

    print("\nactions graded   peak memory, MiB")
    grade_all = rows["grade, default"]
    stream = submissions(tasks, 100_000, seed=99)
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
