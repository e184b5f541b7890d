"""Settings, read once from a mapping of environment variables by the program that starts everything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, cast, get_args

import attrs

from supportbench.errors import SettingsError, did_you_mean

Feedback = Literal["scores", "full", "none"]
"""How much of a grade an agent sees: each component's score and the findings; also expected values; nothing."""

# The only places where the core names what a plugin offers, so that installing a pack changes neither.
DEFAULT_PROVIDER: Final = "triage"
DEFAULT_AGENT: Final = "heuristic"
_PREFIX: Final = "SUPPORTBENCH_"


@attrs.frozen(kw_only=True)
class Settings:
    """What one program run is set to; a command's options override it."""

    provider: str = DEFAULT_PROVIDER
    agent: str = DEFAULT_AGENT
    rubric: str | None = None
    feedback: Feedback = "scores"
    block: tuple[str, ...] = ()

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Settings:
        """Return the settings in `SUPPORTBENCH_PROVIDER`, `_AGENT`, `_RUBRIC`, `_FEEDBACK` and `_BLOCK` (`a,b`).

        Raises:
            SettingsError: a value is impossible, or a variable looks like a misspelt one of these.
        """
        known = {field.name.upper() for field in attrs.fields(cls)}
        for variable in environ:
            if variable.startswith(_PREFIX) and variable.removeprefix(_PREFIX) not in known:
                near = did_you_mean(variable.removeprefix(_PREFIX), known).startswith("Did you mean")
                if near:  # another name may well belong to somebody's plugin
                    names = [f"{_PREFIX}{name}" for name in known]
                    raise SettingsError(f"{variable} is not a setting. {did_you_mean(variable, names)}")
        feedback = environ.get(f"{_PREFIX}FEEDBACK") or "scores"
        if feedback not in get_args(Feedback):
            raise SettingsError(f"{_PREFIX}FEEDBACK is {feedback!r}. {did_you_mean(feedback, get_args(Feedback))}")
        return cls(
            provider=environ.get(f"{_PREFIX}PROVIDER") or DEFAULT_PROVIDER,
            agent=environ.get(f"{_PREFIX}AGENT") or DEFAULT_AGENT,
            rubric=environ.get(f"{_PREFIX}RUBRIC") or None,
            feedback=cast(Feedback, feedback),
            block=split_names(environ.get(f"{_PREFIX}BLOCK", "")),
        )


def split_names(text: str) -> tuple[str, ...]:
    """Return the names in a list such as `a, b`, without repetitions."""
    return tuple(dict.fromkeys(name for name in (part.strip() for part in text.split(",")) if name))
