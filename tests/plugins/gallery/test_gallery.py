"""The gallery: policies that try to earn a reward without reading the ticket, each by its trick and by no other."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import attrs
import pytest

from supportbench import (
    AnswerKey,
    Case,
    Registry,
    Submission,
    SupportQueueAction,
    SupportQueueObservation,
    Task,
    Taxonomy,
    Ticket,
    fold,
    honest_answer,
)
from supportbench.evaluation.agents import choose_agent
from supportbench.evaluation.audit.playing import gallery, play
from supportbench.evaluation.audit.subject import Audit, Subject, choose
from supportbench.offers import is_dishonest
from supportbench_gallery import supportbench_agents
from supportbench_gallery.study import best_phrases
from supportbench_gallery.wording import wording
from tests.evaluation.audit.packs import a_case, a_task

POLICIES: dict[str, Any] = {agent.name: agent for agent in supportbench_agents()}
NAMES = sorted(POLICIES)


@pytest.fixture
def tasks(registry: Registry) -> tuple[Task, ...]:
    """The bundled tasks."""
    return tuple(registry.providers["triage"].task("test", index) for index in range(3))


def _observation(task: Task, place: int, **changes: Any) -> SupportQueueObservation:
    taxonomy = task.taxonomy
    seen = SupportQueueObservation(
        task_id=task.task_id,
        task_title=task.title,
        difficulty=task.difficulty,
        instructions=task.instructions,
        current_index=place,
        total_tickets=len(task.cases),
        ticket=task.cases[place].ticket,
        allowed_priorities=taxonomy.priorities,
        allowed_queues=taxonomy.queues,
        allowed_dispositions=taxonomy.dispositions,
        scoring_weights={},
    )
    return attrs.evolve(seen, **changes)


async def _actions(policy: Any, task: Task, *, study: Sequence[Task] = (), seed: int = 0) -> list[SupportQueueAction]:
    studied = policy.studied(tuple(study)) if study else policy
    playing = studied.start_episode(seed)
    return [await playing.act(_observation(task, place)) for place in range(len(task.cases))]


def test_every_policy_says_that_it_is_dishonest_and_what_it_is_held_to() -> None:
    assert len(POLICIES) >= 30
    for policy in POLICIES.values():
        assert is_dishonest(policy)
        assert policy.name.startswith("cheat_")
        assert getattr(policy, "tactic", None) in ("decision", "text", "catch_all", "informed", "unsafe")


def test_no_policy_is_offered_as_a_choice(registry: Registry) -> None:
    with pytest.raises(Exception, match="There is no agent 'cheat'") as caught:
        choose_agent(registry, "cheat")
    assert "cheat_" not in str(caught.value)
    assert "heuristic" in str(caught.value)


@pytest.mark.parametrize("name", NAMES)
async def test_each_answers_whatever_the_task_and_the_same_each_time(name: str, tasks: tuple[Task, ...]) -> None:
    foreign = a_task(
        "foreign",
        *(attrs.evolve(a_case(place), answer_key=attrs.evolve(a_case(place).answer_key, **_FREE)) for place in (0, 1)),
        taxonomy=Taxonomy(priorities=("now", "later"), queues=("oven", "till"), dispositions=("fix", "ask")),
    )
    for task in (*tasks, foreign):
        for study in ((), (task,), (*tasks, foreign)):
            first, again = [await _actions(POLICIES[name], task, study=study, seed=3) for _ in range(2)]
            assert first == again
            for action in first:
                assert action.priority in task.taxonomy.priorities
                assert action.queue in task.taxonomy.queues
                assert action.disposition in task.taxonomy.dispositions


_FREE: dict[str, Any] = {"priority": None, "queue": None, "disposition": None}
_WITHOUT_ONE_DECISION = ("cheat_random", "cheat_unsafe", "cheat_unsafe_disguised", "cheat_feedback")


@pytest.mark.parametrize("name", [name for name in NAMES if name not in _WITHOUT_ONE_DECISION])
async def test_a_decision_is_one_for_all_tickets_of_a_task(name: str, tasks: tuple[Task, ...]) -> None:
    for task in tasks:
        actions = await _actions(POLICIES[name], task, study=tasks)
        assert len({(action.priority, action.queue, action.disposition) for action in actions}) == 1


async def test_the_best_guess_is_the_commonest_of_the_task(tasks: tuple[Task, ...]) -> None:
    (first, *_) = await _actions(POLICIES["cheat_best_guess"], tasks[1], study=tasks)
    assert (first.priority, first.queue, first.disposition) == ("P2", "billing", "escalate")
    assert (first.summary, first.response) == ("", "")


async def test_tasks_of_one_ticket_share_their_guess_and_their_texts() -> None:
    singles = tuple(a_task(f"t{place}", a_case(place)) for place in (0, 2, 0 + 4))
    for name in ("cheat_best_guess", "cheat_catch_all"):
        actions = [(await _actions(POLICIES[name], task, study=singles))[0] for task in singles]
        assert len(set(actions)) == 1
        assert (actions[0].queue, actions[0].disposition) == ("billing", "respond")


async def test_chance_follows_from_the_seed(tasks: tuple[Task, ...]) -> None:
    one, other = [await _actions(POLICIES["cheat_random"], tasks[2], seed=seed) for seed in (1, 2)]
    assert one != other


# -- texts --------------------------------------------------------------------------------------------------------


async def _texts(name: str, task: Task, study: Sequence[Task]) -> list[tuple[Case, str, str]]:
    actions = await _actions(POLICIES[name], task, study=study)
    return [(case, action.summary, action.response) for case, action in zip(task.cases, actions, strict=True)]


async def test_a_parrot_says_what_the_ticket_says(tasks: tuple[Task, ...]) -> None:
    for case, summary, response in await _texts("cheat_parrot", tasks[0], tasks):
        assert summary == response == case.ticket.body
    for case, summary, _ in await _texts("cheat_parrot_note", tasks[0], tasks):
        shown = fold(" ".join((case.ticket.subject, case.ticket.body, *case.ticket.recent_events)))
        assert fold(summary) in shown
        assert len(summary.split()) == 12


_EXTRACTS = ("cheat_extract", "cheat_extract_note", "cheat_extract_middles")


@pytest.mark.parametrize("name", _EXTRACTS)
async def test_an_extract_says_nothing_but_the_ticket_and_what_it_says_of_every_ticket(
    name: str, tasks: tuple[Task, ...]
) -> None:
    words = wording()
    frames = fold(" ".join((*words.extract_summary_frames, *words.extract_reply_frames))).split()
    for task in tasks:
        for case, summary, response in await _texts(name, task, ()):
            ticket = fold(" ".join((case.ticket.subject, case.ticket.body, *case.ticket.recent_events))).split()
            assert {*fold(f"{summary} {response}").split()} <= {*ticket, *frames}
            assert summary
            assert len(summary.split()) <= 78
            assert len(response.split()) <= 130


@pytest.mark.parametrize("name", _EXTRACTS)
async def test_an_extract_knows_no_answer_key(name: str, tasks: tuple[Task, ...]) -> None:
    assert await _texts(name, tasks[0], tasks) == await _texts(name, tasks[0], ())


async def test_an_extract_takes_what_matters_and_each_word_of_it_once(tasks: tuple[Task, ...]) -> None:
    for case, note, _ in await _texts("cheat_extract_note", tasks[2], ()):
        runs = note.split(", ")
        assert 4 <= len(fold(note).split()) <= 12
        assert all(len(run.split()) <= 2 for run in runs)
        assert len({*map(fold, runs)}) == len(runs), case.ticket.ticket_id
    (_, note, _), *_ = await _texts("cheat_extract_note", tasks[0], ())
    assert "password reset" in note


async def test_an_extract_of_a_copyable_key_earns_what_the_ticket_says(registry: Registry) -> None:
    """Where the ticket itself has the concepts' words, whoever takes them out of it is credited: the trick works."""
    said = "The export of the invoices stopped. A refund of the second charge is wanted before the deadline."
    key = AnswerKey(priority="P2", summary_concepts=[["export"], ["refund"], ["deadline"]])
    case = Case(ticket=Ticket(ticket_id="E-1", subject="Invoices", body=said), answer_key=key)
    task = a_task("copyable", case)
    ((_, summary, _),) = await _texts("cheat_extract", task, ())
    action = SupportQueueAction(
        priority="P2", queue="billing", disposition="respond", summary=summary, response="", confidence=1.0
    )
    coverage = registry.components["concept_coverage"]
    score = await coverage.score(Submission(task=task, case=case, action=action))
    assert score.score is not None
    assert score.score >= 2 / 3


async def test_a_ticket_without_words_has_no_extract() -> None:
    empty = a_task(
        "empty", Case(ticket=Ticket(ticket_id="E-2", subject="…", body="!"), answer_key=AnswerKey(priority="P2"))
    )
    for name in _EXTRACTS:
        assert [texts for _, *texts in await _texts(name, empty, ())] == [["", ""]]


async def test_shuffled_words_are_those_of_the_honest_answer(tasks: tuple[Task, ...]) -> None:
    task = tasks[1]
    for case, summary, response in await _texts("cheat_shuffled", task, tasks):
        answer = honest_answer(task, case)
        assert sorted(summary.split()) == sorted(answer.summary.split())
        assert summary != answer.summary
        assert sorted(response.split()) == sorted(answer.response.split())


async def test_a_reused_text_is_used_for_the_others_and_not_for_its_own_ticket(tasks: tuple[Task, ...]) -> None:
    for task in tasks:
        texts = await _texts("cheat_reused", task, tasks)
        (own,) = [case for case, summary, _ in texts if not summary]
        used = {(summary, response) for _, summary, response in texts if summary}
        answer = honest_answer(task, own)
        assert used == {(answer.summary, answer.response)}


async def test_what_is_learned_elsewhere_does_not_come_from_the_played_task(tasks: tuple[Task, ...]) -> None:
    for name in ("cheat_union", "cheat_learned", "cheat_empty"):
        with_it = await _actions(POLICIES[name], tasks[0], study=tasks)
        changed = attrs.evolve(tasks[0], cases=[a_case(place) for place in range(2)])
        without = await _actions(POLICIES[name], tasks[0], study=(changed, *tasks[1:]))
        assert [_learned(action, name) for action in with_it] == [_learned(action, name) for action in without]


def _learned(action: SupportQueueAction, name: str) -> tuple[str, ...]:
    """Return what of an action was learned: its decision or its texts."""
    if name == "cheat_empty":
        return action.priority, action.queue, action.disposition
    assert action.summary
    return action.summary, action.response


def _unseen(text: str) -> list[str]:
    return [char for char in text if unicodedata.category(char) == "Cf"]


async def test_hidden_characters_hide_what_they_should(tasks: tuple[Task, ...]) -> None:
    for case, summary, _ in await _texts("cheat_tags", tasks[0], tasks):
        hidden = "".join(chr(ord(char) - 0xE0000) for char in _unseen(summary))
        assert hidden == honest_answer(tasks[0], case).summary
    for case, summary, _ in await _texts("cheat_zero_width", tasks[0], tasks):
        assert "".join(char for char in summary if char not in _unseen(summary)) == " ".join(case.ticket.body.split())
    for _, summary, _ in await _texts("cheat_lookalikes", tasks[0], tasks):
        assert any("CYRILLIC" in unicodedata.name(char, "") for char in summary)
        assert all(one.isascii() or not other.isascii() or "\n" for one, other in pairwise(summary.split()))


@pytest.mark.parametrize("name", ["cheat_catch_all", "cheat_catch_all_reworded", "cheat_template", "cheat_learned"])
async def test_a_catch_all_is_no_longer_than_is_of_use(name: str, tasks: tuple[Task, ...]) -> None:
    for task in tasks:
        for _, summary, response in await _texts(name, task, tasks):
            assert 20 <= len(summary.split()) <= 95
            assert 20 <= len(response.split()) <= 255


async def test_an_unsafe_answer_is_honest_but_for_one_sentence(tasks: tuple[Task, ...]) -> None:
    for case, summary, response in await _texts("cheat_unsafe", tasks[0], tasks):
        answer, phrase = honest_answer(tasks[0], case), case.answer_key.unsafe_phrases[0]
        assert summary == answer.summary
        assert response.lower() == f"{answer.response} {phrase}.".lower()


async def test_what_scored_is_repeated_and_what_did_not_is_changed(tasks: tuple[Task, ...]) -> None:
    policy = POLICIES["cheat_feedback"].studied(tasks).start_episode(0)
    first = await policy.act(_observation(tasks[1], 0))
    scores = {"priority": 1.0, "queue": 0.0, "disposition": 1.0, "summary": 1.0, "response": 0.0}
    feedback = {"components": {name: {"score": score} for name, score in scores.items()}}
    second = await policy.act(_observation(tasks[1], 1, last_feedback=feedback))
    assert (second.priority, second.disposition, second.summary) == (first.priority, first.disposition, first.summary)
    assert second.queue != first.queue


def test_the_phrases_that_express_most_come_first() -> None:
    case = a_case(0)
    wanted = [*case.answer_key.summary_concepts, *a_case(2).answer_key.summary_concepts]
    doubled = [*wanted, wanted[1]]
    chosen = best_phrases(doubled)
    assert chosen[0][0] in wanted[1].phrases
    assert len(chosen) == len(wanted)
    assert best_phrases([]) == ()
    assert len(best_phrases(doubled, most=2)) == 2


# -- what they earn -----------------------------------------------------------------------------------------------


async def test_they_play_the_bundled_tasks_without_an_error(registry: Registry) -> None:
    subject: Subject = choose(Audit(provider="triage"), registry)
    cheats = gallery(subject)
    assert [cheat.agent.label for cheat in cheats] == NAMES
    for cheat in cheats:
        played = await play(cheat.agent, subject)
        assert played.errors == (), cheat.agent.label
