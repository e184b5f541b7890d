"""What a request asks for, and which of it an endpoint's error says that it does not take."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias

import attrs
from attrs.validators import ge, gt, min_len

Messages: TypeAlias = tuple[dict[str, str], ...]

StructuredOutput = Literal["auto", "json_schema", "json_object", "none"]
_FORMATS: Final[Mapping[StructuredOutput, tuple[str, ...]]] = {
    "auto": ("json_schema", "json_object"),
    "json_schema": ("json_schema",),
    "json_object": ("json_object",),
    "none": (),
}
# The older name first: every endpoint knows it or refuses it aloud, while servers that do not know the newer one tend
# to ignore it, and with it the limit.
_LIMITS: Final = ("max_tokens", "max_completion_tokens")

# How an endpoint's error names a parameter that we send.
_NAMED: Final = {
    "response_format": re.compile(
        r"response.?format|json.?schema|json.?object|structured.?output|schema", re.IGNORECASE
    ),
    "temperature": re.compile(r"\btemperature\b", re.IGNORECASE),
    "seed": re.compile(r"\bseed\b", re.IGNORECASE),
    "max_tokens": re.compile(r"\bmax_tokens\b", re.IGNORECASE),
    "max_completion_tokens": re.compile(r"\bmax_completion_tokens\b", re.IGNORECASE),
}
# How it says that it does not take one, rather than that a value is wrong or too large.
_REFUSAL: Final = re.compile(
    r"unsupported|(?:not|n't) (?:be )?(?:support|permit|allow|accept|recogni|implement|available)|unavailable|"
    r"unknown|unrecogni[sz]ed|unexpected|\bextra\b|extra_forbidden|deprecated|"
    r"only (?:the default|1)\b.{0,40}(?:supported|allowed)",
    re.IGNORECASE,
)


@attrs.frozen(kw_only=True)
class EndpointOptions:
    """The model and how it is asked; only the model has to be given."""

    model: str = attrs.field(validator=min_len(1))
    temperature: float = attrs.field(default=0.0, validator=ge(0))
    timeout_s: float = attrs.field(default=60.0, validator=gt(0))
    max_retries: int = attrs.field(default=4, validator=ge(0))
    max_output_tokens: int = attrs.field(default=1000, validator=ge(1))
    structured_output: StructuredOutput = "auto"


@attrs.frozen(kw_only=True)
class AnswerForm:
    """The form that an answer must have: a JSON object of this schema, which endpoints know under `name`.

    `noun` is what the answer is called in errors. Where question and answer are `private`, errors repeat neither, nor
    what the endpoint says of them. The schema keeps within what strict structured output knows.
    """

    name: str
    noun: str
    schema: Mapping[str, Any]
    private: bool = False


def request_for(
    options: EndpointOptions, messages: Messages, form: AnswerForm, seed: int | None, refused: frozenset[str]
) -> dict[str, Any]:
    """Return the arguments of the request, with what the endpoint takes of what the options want."""
    request: dict[str, Any] = {"model": options.model, "messages": list(messages)}
    if "temperature" not in refused:
        request["temperature"] = options.temperature
    if seed is not None and "seed" not in refused:
        request["seed"] = seed
    for limit in _LIMITS:
        if limit not in refused:
            request[limit] = options.max_output_tokens
            break
    for kind in _FORMATS[options.structured_output]:
        if kind not in refused:
            request["response_format"] = {"type": kind}
            if kind == "json_schema":
                request["response_format"][kind] = {"name": form.name, "strict": True, "schema": form.schema}
            break
    return request


def refused_by(error: Any, request: Mapping[str, Any], options: EndpointOptions) -> frozenset[str]:
    """Return what of the request the endpoint says it does not take, empty where the error is about something else.

    Where it speaks of the response format, the one in the request is refused (`json_schema`, say), unless the options
    insist on it.
    """
    if error.status_code not in (400, 404, 422):
        return frozenset()
    said = said_in(error)
    named = {name for name, pattern in _NAMED.items() if name in request and pattern.search(said)}
    own = str(error.param or "").partition(".")[0]
    if own in request:
        named = {own}
    is_refusal = _REFUSAL.search(f"{error.code} {said}") is not None
    # The format is of our making: whatever is wrong with it, no mistake of the person's is hidden without it.
    refused = {name for name in named if is_refusal or name == "response_format"}
    if not named and is_refusal and "response_format" in request:
        refused = {"response_format"}  # "this model does not support this feature"
    if "response_format" in refused:
        refused.remove("response_format")
        if options.structured_output == "auto":
            refused.add(request["response_format"]["type"])
    return frozenset(refused)


def said_in(error: Any) -> str:
    """Return what the endpoint says in an error's body, without the input that validators like to repeat."""
    body = error.body
    if not isinstance(body, Mapping):
        return str(body or "")
    said: object = body.get("message") or body.get("detail") or body.get("error") or ""
    if isinstance(said, list):
        return "; ".join(
            f"{'.'.join(str(part) for part in item.get('loc', ()))}: {item.get('msg', '')}"
            for item in said
            if isinstance(item, Mapping)
        )
    return str(said)
