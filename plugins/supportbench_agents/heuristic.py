"""The `heuristic` agent: reads a ticket as an experienced support lead would, by the rules in `heuristic.toml`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import lru_cache

import attrs

from supportbench import SupportQueueAction, SupportQueueObservation, Ticket, fold
from supportbench_agents.heuristic_lexicon import Lexicon
from supportbench_agents.heuristic_reading import Reading, read
from supportbench_agents.heuristic_rules import Decision, Matter, Rules, compose, load_rules

_LEAST_PRIORITY = 4  # the rules' own scale, from 1
_NO_TICKET = Ticket(ticket_id="none", subject="", body="")


@attrs.frozen(kw_only=True)
class Verdict:
    """What the rules make of a ticket, in their own words: the matter, its area, the decision, how clear it is."""

    matter: Matter
    area: str
    decision: Decision
    clarity: float
    facts: frozenset[str]


class HeuristicAgent:
    """Triages by general rules: no model, no randomness, no memory; the same observation gives the same action.

    Its confidence is the decision's own certainty times the clarity of the matter, which grows from 0.5 to 1 with the
    evidence and with its lead over the next matter.
    """

    name = "heuristic"
    version = "1"

    def __init__(self) -> None:
        self._expert: _Expert | None = None

    async def act(self, observation: SupportQueueObservation) -> SupportQueueAction:
        """Return an action that the observation allows, whatever its ticket and taxonomy."""
        if self._expert is None:  # some 60 ms, once
            self._expert = await asyncio.to_thread(_the_expert)
        return self._expert.act(observation)


class _Expert:
    """The rules, ready to use."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._lexicon = Lexicon(rules)
        self._aliases = {area.name: area.also_called for area in rules.area}

    def act(self, observation: SupportQueueObservation) -> SupportQueueAction:
        reading = read(observation.ticket or _NO_TICKET, self._rules, self._lexicon)
        verdict = self._judged(reading)
        frame, matter, facts = self._rules.frame, verdict.matter, verdict.facts
        decision = verdict.decision
        summary = (*matter.summary_sentences, *frame.summary_end_sentences)
        reply = (*frame.reply_begin_sentences, *matter.reply_sentences, *frame.reply_end_sentences)
        return SupportQueueAction(
            priority=placed(decision.priority, observation.allowed_priorities),
            queue=nearest(verdict.area, self._aliases[verdict.area], observation.allowed_queues, reading.stems),
            disposition=nearest(
                decision.disposition,
                self._rules.dispositions[decision.disposition],
                observation.allowed_dispositions,
                frozenset(),
            ),
            summary=compose(summary, facts, reading.details),
            response=compose(reply, facts, reading.told),
            confidence=round(decision.sure * verdict.clarity, 2),
        )

    def _judged(self, reading: Reading) -> Verdict:
        areas = {
            area.name: weighed(area.signals, reading.strengths)
            + (self._rules.weights.product_area if f"product:{area.name}" in reading.facts else 0.0)
            for area in self._rules.area
        }
        scores = [
            (areas[matter.area] + weighed(matter.signals, reading.strengths), matter)
            for matter in self._rules.matter
            if matter.possible(reading.strengths)
        ]
        scores.sort(key=lambda scored: -scored[0])
        if scores and scores[0][0] > 0:
            best, matter = scores[0]
            rival = max(scores[1][0], 0.0) if len(scores) > 1 else 0.0
            clarity = 0.5 + 0.5 * (best - rival) / (best + self._rules.weights.unknown_matter)
            area = matter.area
        else:
            matter = self._rules.matter[-1]
            clarity = 0.5
            area = max(areas, key=lambda name: (areas[name], name == matter.area))
        facts = {*reading.facts, f"matter:{matter.name}", f"area:{area}"}
        for conclusion in self._rules.conclusion:
            if conclusion.when.holds(facts):
                facts.add(conclusion.fact)
        decision = next(decision for decision in self._rules.decision if decision.when.holds(facts))
        facts.add(f"priority:{decision.priority}")
        return Verdict(matter=matter, area=area, decision=decision, clarity=clarity, facts=frozenset(facts))


@lru_cache(maxsize=1)
def _the_expert() -> _Expert:
    return _Expert(load_rules())


def weighed(signals: Mapping[str, float], strengths: Mapping[str, float]) -> float:
    """Return the sum of the signals' weights, each times how strongly the ticket says it."""
    return sum(weight * strengths[cue] for cue, weight in signals.items() if cue in strengths)


def placed(priority: int, allowed: Sequence[str]) -> str:
    """Return the allowed priority that stands where `priority` stands on the rules' scale of four."""
    return allowed[round((priority - 1) * (len(allowed) - 1) / (_LEAST_PRIORITY - 1))]


def nearest(name: str, aliases: Sequence[str], allowed: Sequence[str], stems: frozenset[str]) -> str:
    """Return the allowed value of that name; else the one most like it or its aliases, then most in the text."""
    if name in allowed:
        return name
    wanted = _stems_of(name, *aliases)
    likeness = {
        value: (_likeness(_stems_of(value), wanted), len(_stems_of(value) & stems), -place)
        for place, value in reversed(list(enumerate(allowed)))
    }
    return max(likeness, key=lambda value: likeness[value])


@lru_cache(maxsize=1024)
def _stems_of(*names: str) -> frozenset[str]:
    return frozenset(fold(" ".join(names).replace("_", " ")).split())


def _likeness(stems: frozenset[str], wanted: frozenset[str]) -> int:
    return 2 * len(stems & wanted) + any(
        len(one) >= 4 and len(other) >= 4 and one.startswith(other[:4]) for one in stems - wanted for other in wanted
    )
