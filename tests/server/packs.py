"""Providers that are hard to serve: endless ones, failing ones, and one whose every word is hostile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from supportbench import Registry, StaticTasks, Task, Taxonomy
from tests.offering import Told, registry_of
from tests.shop import TOLD, told_task

MANY: Final = 1_000_000


class Endless:
    """A provider that makes its tasks when they are asked for, and counts how often it is."""

    def __init__(self, name: str = "triage") -> None:
        self.name = name
        self.made = 0

    def splits(self) -> Sequence[str]:
        return ("train", "test")

    def num_tasks(self, split: str) -> int:
        return {"train": MANY, "test": 3}[split]

    def task(self, split: str, index: int) -> Task:
        if not 0 <= index < self.num_tasks(split):
            raise IndexError(index)
        self.made += 1
        return told_task(f"{split}-{index}", 1)

    def find(self, task_id: str) -> tuple[str, int] | None:
        split, _, number = task_id.partition("-")
        return (split, int(number)) if split in self.splits() and number.isdecimal() else None

    def taxonomies(self) -> Sequence[Taxonomy]:
        return (Taxonomy(),)


class Moody(Endless):
    """A provider that fails at one of its methods, as long as it is in the mood."""

    def __init__(self, fails_at: str, name: str = "moody") -> None:
        super().__init__(name)
        self.fails_at = fails_at

    def _fail_at(self, method: str) -> None:
        if self.fails_at in (method, "everything"):
            raise ZeroDivisionError("the answer key is P1")

    def splits(self) -> Sequence[str]:
        self._fail_at("splits")
        return super().splits()

    def num_tasks(self, split: str) -> int:
        self._fail_at("num_tasks")
        return super().num_tasks(split)

    def task(self, split: str, index: int) -> Task:
        self._fail_at("task")
        return super().task(split, index)

    def find(self, task_id: str) -> tuple[str, int] | None:
        self._fail_at("find")
        return super().find(task_id)

    def taxonomies(self) -> Sequence[Taxonomy]:
        self._fail_at("taxonomies")
        return super().taxonomies()


class Answers(Endless):
    """A provider that answers one question with what it may not."""

    def __init__(self, **answers: Any) -> None:
        super().__init__("wrong")
        for method, answer in answers.items():
            setattr(self, method, lambda *_, answer=answer: answer)


def shop_of(*providers: Any) -> Registry:
    """Return the registry of these providers, whose tasks are graded by what an action says of itself."""
    return registry_of(components=[Told("told")], rubrics=[TOLD], providers=providers)


EVIL: Final = "</title><script>alert(\"1\")</script><img src=x onerror='alert(2)'>&amp;"


def evil_pack() -> StaticTasks:
    """Return a provider whose names and texts are all written against a page."""
    texts: dict[str, Any] = {"title": EVIL, "difficulty": EVIL, "description": EVIL, "instructions": EVIL}
    name = EVIL.replace("/", "").replace(":", "").replace(",", "")
    words = Taxonomy(priorities=(EVIL, "P3"), queues=(EVIL, "billing"), dispositions=(EVIL, "respond"))
    return StaticTasks(name=name, splits={EVIL: (told_task(EVIL, taxonomy=words, **texts),), "test": ()})
