"""Which components read texts: shown by what they score, since nothing has to say so of itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import attrs

from supportbench.evaluation.audit.playing import Played
from supportbench.evaluation.audit.subject import Unit
from supportbench.models import EpisodeStep


@attrs.frozen(kw_only=True)
class TextComponents:
    """The components that read texts.

    Those that are `earned` score the oracle higher on some ticket than the same decision without texts. Those that are
    `unearned` score some texts otherwise than others, but the oracle's nowhere higher than empty ones: what they pay is
    had without a word, and belongs to the floor.
    """

    earned: tuple[str, ...]
    unearned: tuple[str, ...]


def find_text_components(
    oracle: Played, mute: Played, others: Sequence[Played], units: Sequence[Unit]
) -> TextComponents:
    """Return them: found by the steps in which the same was decided, with the same confidence, but not written."""
    seen: dict[tuple[object, ...], Mapping[str, float | None]] = {}
    moved: dict[str, None] = {}
    for played in (mute, oracle, *others):
        for decided, scores in _scores(played, units):
            first = seen.setdefault(decided, scores) if scores else {}
            moved.update({name: None for name, score in first.items() if score != scores.get(name)})
    pairs = zip(_scores(oracle, units), _scores(mute, units), strict=True)
    earned = {
        name: None
        for (_, spoken), (_, silent) in pairs
        for name, score in spoken.items()
        if score is not None and score > (silent.get(name) or 0.0)
    }
    return TextComponents(
        earned=tuple(name for name in moved if name in earned),
        unearned=tuple(name for name in moved if name not in earned),
    )


def _scores(played: Played, units: Sequence[Unit]) -> Iterator[tuple[tuple[object, ...], Mapping[str, float | None]]]:
    """Yield for each step what was decided in its episode so far, at which ticket, and each component's score."""
    for unit in units:
        for task in unit.tasks:
            decided: tuple[object, ...] = (task.card.task_id,)
            for step in played.episodes[task.card.task_id].steps:
                decided = (*decided, _decision(step))
                yield (
                    decided,
                    {} if step.grade is None else {name: part.score for name, part in step.grade.components.items()},
                )


def _decision(step: EpisodeStep) -> object:
    action = step.action
    return None if action is None else (action.priority, action.queue, action.disposition, action.confidence)
