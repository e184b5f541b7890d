"""All that an audit measures, before anything is judged."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import attrs

from supportbench.evaluation.agents import ChosenAgent
from supportbench.evaluation.audit.floors import best_constant, random_actions
from supportbench.evaluation.audit.leakage import leaks_in_answers, leaks_in_texts
from supportbench.evaluation.audit.playing import Cheat, Oracle, Played, as_agent, find_answers, gallery, play
from supportbench.evaluation.audit.steadiness import Steadiness, measure
from supportbench.evaluation.audit.subject import Subject, Unit
from supportbench.evaluation.audit.text_components import TextComponents, find_text_components
from supportbench.graders import OpenTask
from supportbench.models import Submission

ATTEMPTS = 16
"""How many random decisions a learner is given to find a reward."""

OnStage: TypeAlias = Callable[[str, int, int], None]

_HIGHEST_REPLAYED = 3
_OTHER_STAGES = 5


@attrs.frozen(kw_only=True)
class Caught:
    """A dishonest policy and what it played."""

    cheat: Cheat
    played: Played


@attrs.frozen(kw_only=True)
class Evidence:
    """What was measured. `floors` are by unit; `reached` is the share of tickets with half the reward, unaided."""

    subject: Subject
    floors: Mapping[str, float]
    oracle: Played
    honest: Played | None
    caught: tuple[Caught, ...]
    texts: TextComponents
    steadiness: Steadiness
    leaks: tuple[str, ...]
    reached: float

    @property
    def units(self) -> tuple[Unit, ...]:
        """All units."""
        return self.subject.units

    @property
    def is_judged(self) -> bool:
        """Whether a component says of itself that it judges."""
        return self.subject.is_judged

    @property
    def measurable(self) -> tuple[Unit, ...]:
        """The units on which a constant decision says something."""
        return tuple(unit for unit in self.units if unit.is_measurable)

    @property
    def errors(self) -> tuple[str, ...]:
        """What ended an episode early, each message once."""
        played = [self.oracle, *([self.honest] if self.honest else []), *(each.played for each in self.caught)]
        return tuple(dict.fromkeys(error for each in played for error in each.errors))

    def text_scores(self, played: Played, unit: Unit) -> Mapping[str, float]:
        """Return the mean score of each text component, over the unit's tickets that the agent wrote anything for."""
        scores: dict[str, list[float]] = {name: [] for name in self.texts.earned}
        for step in played.steps(unit):
            if step.grade is None or step.action is None or not (step.action.summary or step.action.response):
                continue
            for name in self.texts.earned:
                score = step.grade.components[name].score if name in step.grade.components else None
                if score is not None:
                    scores[name].append(score)
        return {name: sum(values) / len(values) if values else 0.0 for name, values in scores.items()}


def untold(stage: str, place: int, total: int) -> None:
    """Tell nobody."""


async def gather(subject: Subject, honest: ChosenAgent | None, on_stage: OnStage = untold) -> Evidence:
    """Measure everything; `on_stage` is told what is under way, in which place from 1 on, and of how many.

    Raises:
        GradingError, RubricError: a grader is at fault even for empty texts.
        AgentError: a dishonest policy could not study the tasks.
    """
    cheats = gallery(subject)
    players = [*([honest] if honest else []), *(cheat.agent for cheat in cheats)]
    total = len(players) + _OTHER_STAGES
    on_stage("the best constant decision", 1, total)
    floors = {unit.name: await best_constant(unit) for unit in subject.units}
    on_stage("the oracle", 2, total)
    answers = await find_answers(subject)
    oracle = await play(as_agent(Oracle(answers=answers)), subject)
    mute = await play(as_agent(Oracle(answers=answers, mute=True)), subject)
    episodes: list[Played] = []
    for place, player in enumerate(players, start=3):
        on_stage(player.label, place, total)
        episodes.append(await play(player, subject))
    played_honestly = episodes.pop(0) if honest else None
    caught = [Caught(cheat=cheat, played=played) for cheat, played in zip(cheats, episodes, strict=True)]
    on_stage("what is given away", total - 2, total)
    leaks = (*leaks_in_texts(subject), *await leaks_in_answers(subject, answers))
    on_stage("the same again", total - 1, total)
    best = sorted(caught, key=lambda each: -sum(each.played.mean_reward(unit) or 0.0 for unit in subject.units))
    steadiness = await measure(subject, [oracle, *(each.played for each in best[:_HIGHEST_REPLAYED])])
    on_stage("random decisions", total, total)
    reached = await _share_reached(subject, oracle, played_honestly)
    return Evidence(
        subject=subject,
        floors={name: floor for name, (floor, _) in floors.items()},
        oracle=oracle,
        honest=played_honestly,
        caught=tuple(caught),
        texts=find_text_components(oracle, mute, [each.played for each in caught], subject.units),
        steadiness=steadiness,
        leaks=leaks,
        reached=reached,
    )


async def _share_reached(subject: Subject, oracle: Played, honest: Played | None) -> float:
    """Return the share of tickets on which random decisions, or the honest agent, earn half of the oracle's reward."""
    chance = random.Random(subject.seed)  # noqa: S311 - no secret is made of it
    reached = tickets = 0
    for task in subject.tasks:
        unaided = None if honest is None else honest.episodes[task.card.task_id].steps
        for place, best in enumerate(oracle.episodes[task.card.task_id].steps):
            tickets += 1
            if best.grade is None:
                continue
            own = None if unaided is None else unaided[place].grade
            found = [0.0 if own is None else own.reward]
            draws = [chance.random() for _ in range(ATTEMPTS)]
            found.extend(await _rewards_by_chance(task, place, draws))
            reached += max(found) > 0.0 and max(found) >= best.grade.reward / 2
    return reached / tickets


async def _rewards_by_chance(task: OpenTask, place: int, draws: Sequence[float]) -> list[float]:
    whole, case = task.chosen.task, task.cases[place]
    return [
        (await task.grader.grade(Submission(task=whole, case=case, action=action))).reward
        for action in random_actions(whole.taxonomy, draws)
    ]
