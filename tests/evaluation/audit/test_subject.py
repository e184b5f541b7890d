"""What is audited: all tasks or a sample, in units on which a constant decision says something."""

from __future__ import annotations

import itertools

import pytest

from supportbench import Registry, RunError, StaticTasks, Taxonomy
from supportbench.evaluation.audit.floors import best_constant, constant_actions
from supportbench.evaluation.audit.subject import POOL, Audit, choose
from tests.evaluation.audit.auditing import audited, registry_with
from tests.evaluation.audit.packs import a_case, a_task


@pytest.mark.parametrize(
    ("task_id", "floor"),
    [
        ("easy_inbox_cleanup", 0.55),
        ("medium_sla_defense", 0.41667),
        ("hard_exec_escalations", 0.4625),
    ],
)
async def test_the_floor_of_a_bundled_task_is_its_best_constant_decision(
    registry: Registry, task_id: str, floor: float
) -> None:
    (unit,) = choose(Audit(provider="triage", task_id=task_id), registry).units
    found, action = await best_constant(unit)
    assert found == pytest.approx(floor, abs=1e-5)
    assert (action.summary, action.response) == ("", "")


def test_every_decision_is_tried_where_they_are_few_and_the_likely_ones_where_they_are_many() -> None:
    (unit,) = choose(Audit(provider="house"), registry_with([a_task()])).units
    taxonomy = unit.tasks[0].chosen.task.taxonomy
    tried = [(action.priority, action.queue, action.disposition) for action in constant_actions(unit)]
    assert tried == list(itertools.product(taxonomy.priorities, taxonomy.queues, taxonomy.dispositions))
    many = Taxonomy(queues=("billing", "technical", "success", "security", *(f"queue {place}" for place in range(30))))
    (unit,) = choose(Audit(provider="house"), registry_with([a_task(taxonomy=many)])).units
    assert {action.queue for action in constant_actions(unit)} == {"billing", "technical", "success", "security"}


def test_a_task_is_a_unit_and_those_of_one_ticket_are_one_together() -> None:
    own = a_task("other", a_case(3), taxonomy=Taxonomy(queues=("security", "reception")))
    tasks = [a_task(), *(a_task(f"t{place}", a_case(place)) for place in range(3)), own]
    units = choose(Audit(provider="house"), registry_with(tasks)).units
    assert [(unit.name, unit.tickets, unit.is_measurable) for unit in units] == [
        ("monday", 4, True),
        (f"{POOL} (1)", 3, True),
        ("other", 1, False),
    ]


def test_a_sample_is_told_and_the_seed_chooses_it() -> None:
    registry = registry_with(a_task(f"t{place}", a_case(place)) for place in range(40))
    chosen = [choose(Audit(provider="house", most_tickets=10, seed=seed), registry) for seed in (1, 1, 2)]
    names = [[task.card.task_id for task in subject.tasks] for subject in chosen]
    assert names[0] == names[1] != names[2]
    assert [len(each) for each in names] == [10, 10, 10]
    assert chosen[0].sampled == "10 of 40 tasks"
    assert choose(Audit(provider="house", most_tickets=40), registry).sampled == ""


def test_of_a_task_with_too_many_tickets_the_first_are_audited() -> None:
    subject = choose(Audit(provider="house", most_tickets=3), registry_with([a_task("one"), a_task("two")]))
    assert [unit.tickets for unit in subject.units] == [3]
    assert subject.sampled == "1 of 2 tasks, the first 3 of its 4 tickets"


def test_every_split_is_audited() -> None:
    pack = StaticTasks(name="pack", splits={"train": [a_task("one")], "test": [a_task("two")]})
    subject = choose(Audit(provider="pack"), registry_with([a_task()]).with_provider(pack))
    assert {(task.card.split, task.card.task_id) for task in subject.tasks} == {("train", "one"), ("test", "two")}


def test_a_provider_without_tasks_has_nothing_to_audit() -> None:
    empty = StaticTasks(name="empty", splits={"test": []})
    with pytest.raises(RunError, match="Provider 'empty' has no tasks to audit"):
        choose(Audit(provider="empty"), registry_with([a_task()]).with_provider(empty))


async def test_the_report_says_what_was_audited_in_enough_detail_to_do_it_again(registry: Registry) -> None:
    report = await audited(registry, "triage", seed=5)
    assert report.seed == 5
    assert [(task.task_id, task.tickets) for task in report.tasks] == [
        ("easy_inbox_cleanup", 2),
        ("medium_sla_defense", 3),
        ("hard_exec_escalations", 4),
    ]
    assert all(task.rubric.fingerprint and task.fingerprint for task in report.tasks)
