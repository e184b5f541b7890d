"""What the parts of a step take by themselves, in this process; prints JSON.

    python -m tests.benchmarks.parts --rubric default --actions FILE

A message is decoded, its action graded within the environment's step, and the next observation encoded, as the server
does it for a WebSocket. Every text is met once in each part.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from supportbench import Submission, SupportQueueAction, SupportQueueEnvironment, load_registry
from supportbench.graders import Graders
from supportbench.protocol import ResetRequest
from supportbench.server.messages import StepMessage, read_message
from supportbench.server.wire import turn_frame
from supportbench.turns import Turn
from tests.benchmarks.measured import Parts

_MOST: Final = 8_000
_TASKS: Final = 3


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rubric", required=True)
    parser.add_argument("--actions", type=Path, required=True, help="JSON Lines of actions")
    asked = parser.parse_args()
    with asked.actions.open(encoding="utf-8") as file:
        texts = [f'{{"type":"step","data":{line.strip()}}}' for line in itertools.islice(file, 2 * _MOST)]
    begun = time.process_time()
    messages = [read_message(text) for text in texts]
    decode = time.process_time() - begun
    actions = [message.action for message in messages if isinstance(message, StepMessage)]
    half = len(actions) // 2
    grade = asyncio.run(_grading(asked.rubric, actions[:half]))
    turns, step = asyncio.run(_stepping(asked.rubric, actions[half:]))
    begun = time.process_time()
    for turn in turns:
        turn_frame(turn)
    encode = time.process_time() - begun
    parts = Parts(
        decode=decode / len(texts) * 1e6,
        environment=(step / len(turns) - grade / half) * 1e6,
        grade=grade / half * 1e6,
        encode=encode / len(turns) * 1e6,
    )
    sys.stdout.write(msgspec.json.encode(parts).decode() + "\n")


async def _grading(rubric: str, actions: Sequence[SupportQueueAction]) -> float:
    """Return how many seconds it takes to grade the actions."""
    registry = load_registry({}).check()
    graders = Graders(registry, registry.rubrics[rubric])
    provider = registry.providers["triage"]
    tasks = [provider.task("test", index) for index in range(_TASKS)]
    places = itertools.cycle([(graders.for_task(task), task, case) for task in tasks for case in task.cases])
    submitted = [
        (grader, Submission(task=task, case=case, action=action))
        for action, (grader, task, case) in zip(actions, places, strict=False)
    ]
    begun = time.process_time()
    for grader, submission in submitted:
        await grader.grade(submission)
    return time.process_time() - begun


async def _stepping(rubric: str, actions: Sequence[SupportQueueAction]) -> tuple[list[Turn], float]:
    """Return the turns that the actions lead to, and how many seconds their steps took; resets are not in it."""
    registry = load_registry({}).check()
    environment = SupportQueueEnvironment(registry, graders=Graders(registry, registry.rubrics[rubric]))
    turns: list[Turn] = []
    took = 0.0
    remaining = iter(actions)
    for seed in itertools.count():
        turn = await environment.begin(ResetRequest(seed=seed))
        episode = list(itertools.islice(remaining, len(turn.opened.cases)))
        begun = time.process_time()
        turns += [await environment.advance(action) for action in episode]
        took += time.process_time() - begun
        if len(turns) == len(actions):
            break
    return turns, took


if __name__ == "__main__":
    main()
