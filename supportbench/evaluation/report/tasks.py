"""The tasks of recorded episodes, found again where they still are what they were: mails are not in a journal."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

import attrs

from supportbench.choosing import TaskChooser
from supportbench.errors import ResetError, SupportbenchError
from supportbench.evaluation.environments import REMOTE
from supportbench.graders import task_fingerprint
from supportbench.models import Case, Episode, Task
from supportbench.registry import Registry
from supportbench.task_files import PROVIDER

logger: Final = logging.getLogger("supportbench.evaluation")


@attrs.frozen(kw_only=True)
class FoundTask:
    """A task as it was played, or why it is not there."""

    task: Task | None
    why_not: str = ""
    cases: Mapping[str, Case] = attrs.field(
        init=False,
        default=attrs.Factory(
            lambda self: {case.ticket.ticket_id: case for case in (self.task.cases if self.task else ())},
            takes_self=True,
        ),
    )


class TaskFinder:
    """Finds the tasks of episodes among a registry's providers, each once."""

    def __init__(self, registry: Registry) -> None:
        self._chooser = TaskChooser(registry)
        self._found: dict[tuple[str, str, int, str], FoundTask] = {}

    def of(self, episode: Episode) -> FoundTask:
        """Return the task of an episode; whatever is in the way of it is said, and raises nothing."""
        place = (episode.provider, episode.split, episode.index, episode.task_fingerprint)
        if place not in self._found:
            self._found[place] = self._find(episode)
        return self._found[place]

    def _find(self, episode: Episode) -> FoundTask:
        if episode.task_fingerprint == REMOTE:
            return FoundTask(task=None, why_not="it was played on a server, which does not tell what is in its tasks")
        try:
            task = self._chooser.at(episode.provider, episode.split, episode.index).task
        except ResetError:
            hint = ": give its file of tickets with --tickets" if episode.provider == PROVIDER else ""
            return FoundTask(task=None, why_not=f"it is not installed here{hint}")
        except SupportbenchError as error:
            logger.debug("where it came from:", exc_info=error)  # its words may have an answer key in them
            return FoundTask(task=None, why_not=str(error))
        if task_fingerprint(task) != episode.task_fingerprint:
            return FoundTask(task=None, why_not="it is another one by now than when it was played")
        return FoundTask(task=task)
