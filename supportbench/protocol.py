"""OpenEnv messages that the environment understands."""

from __future__ import annotations

import attrs
from attrs import field
from attrs.validators import optional

from supportbench.models import fields


@attrs.frozen(kw_only=True)
class ResetRequest:
    """What a reset may ask for; everything is optional. `seed` is from 0 to 2^63-1."""

    seed: int | None = field(default=None, validator=optional(fields.count))
    episode_id: str | None = field(default=None, validator=optional(fields.name))
    provider: str | None = field(default=None, validator=optional(fields.name))
    task_id: str | None = field(default=None, validator=optional(fields.name))
    split: str | None = field(default=None, validator=optional(fields.name))
    index: int | None = field(default=None, validator=optional(fields.count))
