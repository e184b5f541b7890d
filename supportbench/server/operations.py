"""What a route takes and answers, declared beside its handler: the OpenAPI document is made of nothing else.

A handler carries its declaration in Litestar's `opt`: `@get("/health", opt=declared(Operation(…)))`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

import attrs

from supportbench.frozen import FrozenDict

JSON: Final = "application/json"
HTML: Final = "text/html"
TEXT: Final = "text/plain"
PROVIDER_FAILS: Final = "A task provider failed; the message names it."

Tag = Literal["Episodes", "Tasks", "Server", "Task API", "MCP", "Pages"]


@attrs.frozen(kw_only=True)
class Answer:
    """What a request that succeeds is answered.

    `content` has the type of the body for each media type: what the codec makes a schema of, `Any` where there is none.
    `headers` are name → description.
    """

    description: str
    content: Mapping[str, Any] = FrozenDict()
    headers: Mapping[str, str] = FrozenDict()

    @classmethod
    def of_json(cls, kind: Any, description: str, headers: Mapping[str, str] = FrozenDict()) -> Answer:
        """Return the answer with a JSON body of that type."""
        return cls(description=description, content=FrozenDict({JSON: kind}), headers=headers)


@attrs.frozen(kw_only=True)
class Operation:
    """One method of one path.

    `path`, `headers` and `cookies` are the parameters there, name → description, all of them strings and, but for those
    of the path, optional. `query` and `body` are attrs classes. `refuses` has the statuses of refusals, each with when
    it is given; what the gate in front of all routes refuses is not repeated here. `needs_token` is whether the server
    asks for a token here, if it asks for any.
    """

    summary: str
    tag: Tag
    answers: Mapping[int, Answer]
    description: str = ""
    path: Mapping[str, str] = FrozenDict()
    query: type[Any] | None = None
    headers: Mapping[str, str] = FrozenDict()
    cookies: Mapping[str, str] = FrozenDict()
    body: Any = None
    body_required: bool = True
    refuses: Mapping[int, str] = FrozenDict()
    needs_token: bool = True


_KEY: Final = "supportbench_operation"


def declared(operation: Operation) -> dict[str, Any]:
    """Return the `opt` of a handler that does what the operation says."""
    return {_KEY: operation}


def operation_of(opt: Mapping[str, Any]) -> Operation | None:
    """Return the operation that a handler's `opt` declares, if any."""
    return opt.get(_KEY)
