"""What a model answered, out of the JSON that an endpoint sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs

from supportbench.errors import EndpointError, UnusableAnswerError
from supportbench.models import Usage

_MOST_TOKENS: Final = 1 << 40


@attrs.frozen(kw_only=True)
class Completion:
    """What the model answered, why it stopped and what that took; `refusal` is its own reason not to answer."""

    text: str
    refusal: str | None
    finish_reason: str | None
    usage: Usage

    @property
    def whole_text(self) -> str:
        """The text of an answer that is whole.

        Raises:
            UnusableAnswerError: it is not, and asking again may help.
            EndpointError: it is not, and asking the same again cannot help.
        """
        if self.finish_reason == "content_filter":
            raise EndpointError("the endpoint's content filter withheld the answer", reason="withheld")
        if self.refusal:
            raise UnusableAnswerError(("it is a refusal to answer",))
        if self.finish_reason == "length":
            raise UnusableAnswerError(("it was cut off at the limit of output tokens (max_output_tokens)",))
        if not self.text.strip():
            raise UnusableAnswerError(("it is empty",))
        return self.text


def completion_in(answered: object) -> Completion | None:
    """Return the chat completion that the JSON is, None where it is none; what it cost is not in it."""
    choices = member(answered, "choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = member(choice, "message")
    if not isinstance(message, Mapping):
        return None
    used = member(answered, "usage")
    return Completion(
        text=_text(message, "content") or "",
        refusal=_text(message, "refusal"),
        finish_reason=_text(choice, "finish_reason"),
        usage=Usage(
            input_tokens=_count(member(used, "prompt_tokens")),
            output_tokens=_count(member(used, "completion_tokens")),
            calls=1,
        ),
    )


def member(answered: object, name: str) -> Any:
    """Return what stands there under the name, None where nothing does."""
    return answered.get(name) if isinstance(answered, Mapping) else None


def _text(answered: object, name: str) -> str | None:
    found = member(answered, name)
    return found if isinstance(found, str) else None


def _count(value: object) -> int:
    """Return a number of tokens; what no answer could have used counts as not reported."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_TOKENS else 0
