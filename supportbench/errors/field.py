"""The error of a model's field."""

from __future__ import annotations


class FieldError(ValueError):
    """A field of a model may not have this value.

    `public` is the problem for whoever may not see the value itself, an agent say: the same, unless it repeats a text.
    """

    def __init__(self, field: str, problem: str, public: str | None = None) -> None:
        super().__init__(field, problem, public)
        self.field = field
        self.problem = problem
        self.public = problem if public is None else public

    def __str__(self) -> str:
        return f"{self.field!r} {self.problem}"
