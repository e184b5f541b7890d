"""One judge: a model with its settings, which is asked once or several times for the verdicts on one ticket's texts."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from statistics import fmean
from typing import Final
from weakref import WeakKeyDictionary

import attrs

from supportbench import (
    Endpoint,
    EndpointError,
    EndpointOptions,
    KeptAnswers,
    Usage,
)
from supportbench_judge.answer import Verdicts, answer_form, read_verdicts
from supportbench_judge.options import Criterion
from supportbench_judge.place import Place
from supportbench_judge.prompt import Question, prompt_fingerprint, repair_text

_SEEDS: Final = 1 << 31  # some endpoints take no larger ones


@attrs.frozen(kw_only=True)
class Judgement:
    """What the votes on one text come to: of each criterion the median verdict, and all that was said."""

    verdicts: Mapping[str, str]
    votes: Mapping[str, tuple[str, ...]]
    reasons: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, criteria: tuple[Criterion, ...], votes: list[Verdicts], text: str) -> Judgement:
        """Return the sum of the votes on a text; their number is odd."""
        given = {criterion: [vote[text][criterion.name] for vote in votes] for criterion in criteria}
        return cls(
            verdicts={
                criterion.name: sorted((each.verdict for each in of_one), key=criterion.scale.index)[len(of_one) // 2]
                for criterion, of_one in given.items()
            },
            votes={criterion.name: tuple(each.verdict for each in of_one) for criterion, of_one in given.items()},
            reasons={criterion.name: tuple(each.reason for each in of_one) for criterion, of_one in given.items()},
        )

    @property
    def agreement(self) -> float:
        """The mean share, in [0, 1], of the votes that are the median."""
        return fmean(votes.count(self.verdicts[name]) / len(votes) for name, votes in self.votes.items())


@attrs.frozen(kw_only=True)
class Answered:
    """What a judge said of a ticket, by text, and what it took to get it: None where all of it was known already."""

    judgements: Mapping[str, Judgement]
    usage: Usage | None


class Judge:
    """Asks a model for verdicts. An answer that was kept is not asked for again."""

    def __init__(self, place: Place, options: EndpointOptions, *, seed: int | None, votes: int) -> None:
        self._place = place
        self._options = options
        self._seed = seed
        self._votes = votes
        kept = None if place.cache is None else KeptAnswers(place.cache, "judge")
        self._endpoint = Endpoint(place.connection, options, kept=kept)
        self._turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()

    @property
    def model(self) -> str:
        """The model that is asked."""
        return self._options.model

    async def judge(self, question: Question) -> Answered:
        """Return what the votes come to.

        All votes are waited for, so that what was paid is counted and kept even where one of them fails.

        Raises:
            EndpointError: a vote failed; its `usage` is what all of them used.
        """
        votes = await asyncio.gather(
            *(self._vote(question, number) for number in range(self._votes)), return_exceptions=True
        )
        usage: Usage | None = None
        verdicts: list[Verdicts] = []
        failures: list[EndpointError] = []
        for vote in votes:
            if isinstance(vote, EndpointError):
                failures.append(vote)
                usage = _sum(usage, vote.usage)
            elif isinstance(vote, BaseException):
                raise vote
            else:
                verdicts.append(vote[0])
                usage = _sum(usage, vote[1])
        if usage is not None and self._place.price is not None:
            usage = self._place.price.of(usage)
        if failures:
            raise EndpointError(str(failures[0]), reason=failures[0].reason, usage=usage)
        judgements = {text: Judgement.of(criteria, verdicts, text) for text, criteria in question.criteria.items()}
        return Answered(judgements=judgements, usage=usage)

    async def aclose(self) -> None:
        """Close the connections; a later question opens new ones."""
        await self._endpoint.aclose()

    async def _vote(self, question: Question, number: int) -> tuple[Verdicts, Usage | None]:
        seed = None if self._seed is None else (self._seed + number) % _SEEDS
        # What decides an answer: the messages have a marker in them that is another one each time.
        decisive = {"prompt": prompt_fingerprint(), "vote": number, "question": question}
        async with self._turns.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(self._place.concurrency)):
            answer = await self._endpoint.ask(
                question.messages(),
                answer_form(question.criteria),
                lambda text: read_verdicts(text, question.criteria),
                seed=seed,
                repair=repair_text(),
                decisive=decisive,
            )
        return answer.value, answer.usage if answer.usage.calls else None


def _sum(total: Usage | None, usage: Usage | None) -> Usage | None:
    return total if usage is None else usage if total is None else total + usage
