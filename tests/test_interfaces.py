"""`StaticTasks`: a provider of tasks that are all in memory."""

from __future__ import annotations

import attrs
import pytest

from supportbench import StaticTasks, TaskProvider, Taxonomy
from tests.offering import a_task

BAKERY = Taxonomy(priorities=("now", "later"), queues=("billing",), dispositions=("respond",))
ONE, TWO = a_task("one"), a_task("two")
OVEN = attrs.evolve(
    a_task("oven", 1),
    taxonomy=BAKERY,
    cases=[
        attrs.evolve(case, answer_key=attrs.evolve(case.answer_key, priority="now")) for case in a_task("oven", 1).cases
    ],
)
TASKS = StaticTasks(name="static", splits={"train": [ONE], "test": (TWO, OVEN), "empty": ()})


def test_is_a_task_provider() -> None:
    assert isinstance(TASKS, TaskProvider)
    assert TASKS.name == "static"


def test_has_splits_in_the_order_given_and_counts_them() -> None:
    assert TASKS.splits() == ("train", "test", "empty")
    assert [TASKS.num_tasks(split) for split in TASKS.splits()] == [1, 2, 0]


def test_has_tasks_by_split_and_index() -> None:
    assert TASKS.task("train", 0) is ONE
    assert TASKS.task("test", 1) is OVEN


@pytest.mark.parametrize("index", [-1, 2, 10**9])
def test_an_index_outside_the_split_is_an_index_error(index: int) -> None:
    with pytest.raises(IndexError):
        TASKS.task("test", index)


def test_an_unknown_split_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        TASKS.num_tasks("validation")
    with pytest.raises(KeyError):
        TASKS.task("validation", 0)


def test_finds_by_id_what_it_has() -> None:
    assert TASKS.find("oven") == ("test", 1)
    assert TASKS.find("nothing") is None


def test_has_every_taxonomy_once() -> None:
    assert TASKS.taxonomies() == (Taxonomy(), BAKERY)


def test_refuses_a_task_id_that_occurs_twice() -> None:
    with pytest.raises(ValueError, match="task id 'one' occurs twice among the tasks of 'twice'"):
        StaticTasks(name="twice", splits={"train": [ONE], "test": [ONE]})


def test_is_not_changed_by_what_happens_to_the_lists_that_it_was_made_of() -> None:
    tasks = [ONE]
    provider = StaticTasks(name="p", splits={"test": tasks})
    tasks.append(TWO)
    assert provider.num_tasks("test") == 1
