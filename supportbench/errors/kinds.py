"""The error classes; the tree of them is drawn in the package."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import attrs

from supportbench.errors.texts import text_of
from supportbench.wording import counted

EndpointFailure = Literal["no key", "unreachable", "timed out", "failed", "withheld", "refused", "unusable"]
"""Why an endpoint gave no answer: `no key` that it takes, `failed` is an error of its own, `withheld` its content
filter's doing, `refused` the model's, and `unusable` an answer that is not what was asked for, even after a repair
turn."""


class SupportbenchError(Exception):
    """Base of everything that supportbench raises on purpose; the message tells the next move."""


class SettingsError(SupportbenchError):
    """A setting or environment variable has an impossible value."""


@attrs.frozen
class Fault:
    """One thing wrong with decoded data: where (`data.priority`, empty for the whole) and what."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class DecodeError(SupportbenchError):
    """Data from outside does not have the promised shape; `faults` lists everything that is wrong with it.

    The message never repeats the refused input, so that a large one cannot amplify.
    """

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        more = len(self.faults) - 1
        super().__init__(f"{self.faults[0]}" + (f" (and {more} more)" if more else ""))

    def __reduce__(self) -> tuple[type[DecodeError], tuple[tuple[Fault, ...]]]:
        return type(self), (self.faults,)


class UnknownNameError(SupportbenchError):
    """Nothing is offered under that name; the message suggests the nearest and lists the known ones."""


class OptionsError(SupportbenchError):
    """An agent, component or check does not take these options."""


class RubricError(SupportbenchError):
    """A rubric does not fit together, or does not fit what is installed."""


class EpisodeError(SupportbenchError):
    """The environment refuses a call; its state is as it was before."""


class ResetError(EpisodeError):
    """A reset asks for something unknown or contradictory."""


class ActionError(EpisodeError):
    """An action has values that the task's taxonomy does not allow: `faults` has each; or it is no action at all."""

    def __init__(self, message: str = "", faults: Iterable[Fault] = ()) -> None:
        self.faults = tuple(faults)
        super().__init__(message or " ".join(map(str, self.faults)))


class EpisodeNotOpenError(EpisodeError):
    """A step before the first reset, or after the episode is done."""


class EpisodeBusyError(EpisodeError):
    """Another call of the same episode is still under way."""


class RunError(SupportbenchError):
    """An evaluation cannot start as asked, or cannot be written."""


class StoreError(SupportbenchError):
    """The sessions' store cannot be reached, or holds something else; a client learns no more of it than `told`."""

    told = "The session store fails; the server's log says how."


class ClientError(SupportbenchError):
    """A client did not get from a server what it asked for."""


class ServerConnectionError(ClientError):
    """There is no connection to the server, or no more; an episode that was played over it is lost."""


class ServerTimeoutError(ClientError):
    """The server did not answer in time. The connection is still there, and what was asked may yet be done."""


class UnexpectedAnswerError(ClientError):
    """What answers is no supportbench server, or none that this client understands; the message says what is odd."""


class ContainerError(ClientError):
    """Docker is not there, or could not start or stop a server's container; the message has its last words."""


class ServerError(ClientError):
    """The server refused a request: `said` is its own message, `code` OpenEnv's word for the reason.

    After all codes but `CAPACITY_REACHED`, `FACTORY_ERROR` and `SESSION_ERROR` the connection and its episode go on.
    """

    def __init__(self, code: str, said: str) -> None:
        super().__init__(f"{said} (code: {code})" if said else f"The server gives no reason (code: {code})")
        self.code = code
        self.said = said

    def __reduce__(self) -> tuple[type[ServerError], tuple[str, str]]:
        return type(self), (self.code, self.said)


class RefusedMessageError(ServerError):
    """The request itself is wrong, and would be refused again; the episode stands where it stood."""


class ExecutionError(ServerError):
    """The server could not do it as the episode stands, or a grader is at fault; the episode stands where it stood."""


class CapacityReachedError(ServerError):
    """The server has no room for one more session: try again later."""


class SessionError(ServerError):
    """The server has no such session, or could not make one; a new connection begins a new one."""


class EndpointError(SupportbenchError):
    """A language model's endpoint gave no answer that can be used; the message says why, without the key.

    `reason` is the kind of failure. `usage` is what the answers took that could not be used (a `Usage`), None without.
    The message may repeat what the endpoint said, and an endpoint may repeat what it was asked.
    """

    def __init__(self, message: str, *, reason: EndpointFailure = "failed", usage: Any = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.usage = usage


class UnusableAnswerError(SupportbenchError):
    """A language model's answer is not what was asked for; `faults` says why, in words that the model is shown."""

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(self.faults))

    def __reduce__(self) -> tuple[type[UnusableAnswerError], tuple[tuple[str, ...]]]:
        return type(self), (self.faults,)


class PluginError(SupportbenchError):
    """Somebody's plugin is at fault; the message says whose."""


@attrs.frozen
class PluginFailure:
    """Why one plugin did not load: its entry-point name, its distribution (`name version`) and the reason.

    `of_setting` says that the reason is a setting, which its user can put right.
    """

    plugin: str
    distribution: str
    reason: str
    of_setting: bool = False

    def __str__(self) -> str:
        remedy = "put that right, or go on without the plugin" if self.of_setting else "to go on without it"
        return f"{self.plugin} (from {self.distribution}): {self.reason}\n    {remedy}: --block {self.plugin}"


class PluginLoadError(PluginError):
    """One or more plugins did not load; `failures` has them all."""

    def __init__(self, failures: Iterable[PluginFailure]) -> None:
        self.failures = tuple(failures)
        names = ",".join(dict.fromkeys(failure.plugin for failure in self.failures))
        super().__init__(
            f"{counted(len(self.failures), 'plugin failure')}; "
            "a benchmark that lost a plugin measures something else, so nothing was run.\n"
            + "\n".join(f"  {failure}" for failure in self.failures)
            + f"\nOr for all commands: SUPPORTBENCH_BLOCK={names}"
        )

    def __reduce__(self) -> tuple[type[PluginLoadError], tuple[tuple[PluginFailure, ...]]]:
        return type(self), (self.failures,)


class PluginCallError(PluginError):
    """A plugin raised while it was at work.

    The message names the plugin, what it was doing and the exception's type, not its text: graders and providers see
    answer keys, and this message reaches agents. (Which value a model refuses is told, but no text.) The text is in
    `__cause__` and, for the person at the machine, in `detail`.
    """

    text_is_public = False

    @property
    def detail(self) -> str:
        """The message with the original exception's text; for logs on the machine that runs the plugin."""
        cause = self.__cause__
        if cause is None or self.text_is_public:
            return str(self)
        return f"{self} ({type(cause).__name__}: {text_of(cause)})"


class ProviderError(PluginCallError):
    """A task provider raised."""


class GradingError(PluginCallError):
    """A grading component or safety check raised, or answered with something that is no score or finding."""


class UnscoredError(GradingError):
    """A grader that asks somebody else, a language model say, got no answer that it can use: the ticket has no score.

    It is counted apart from other faults and never as a score of 0. Whoever raises it logs what the person at the
    machine has to know, once; nobody else warns of it. `usage` is what the attempt used up (a `Usage`),
    where the grader knows it. The message reaches agents: it says what kind of failure it was, and `__cause__` the
    rest.
    """

    def __init__(self, message: str, *, usage: Any = None) -> None:
        super().__init__(message)
        self.usage = usage


class AgentError(PluginCallError):
    """An agent raised, or answered with something that is no action. Agents see no answer key: the text is shown.

    `usage` is what the failed attempt used up (a `Usage`), where the agent knows it.
    """

    text_is_public = True

    def __init__(self, message: str, *, usage: Any = None) -> None:
        super().__init__(message)
        self.usage = usage


class HookError(PluginCallError):
    """A hook raised, or gave something that it may not give."""
