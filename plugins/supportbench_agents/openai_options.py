"""What the agent `openai:MODEL` can be told."""

from __future__ import annotations

import attrs
from attrs.validators import ge, gt, min_len

from supportbench import EndpointOptions, StructuredOutput


@attrs.frozen(kw_only=True)
class OpenAIOptions:
    """The model and how it is asked; only the model has to be given."""

    model: str = attrs.field(validator=min_len(1))
    temperature: float = attrs.field(default=0.0, validator=ge(0))
    seed: int | None = 0
    base_url: str | None = None
    timeout_s: float = attrs.field(default=60.0, validator=gt(0))
    max_retries: int = attrs.field(default=4, validator=ge(0))
    max_output_tokens: int = attrs.field(default=1000, validator=ge(1))
    structured_output: StructuredOutput = "auto"

    @property
    def of_endpoint(self) -> EndpointOptions:
        """What the endpoint is told of them with every request."""
        return EndpointOptions(
            model=self.model,
            temperature=self.temperature,
            timeout_s=self.timeout_s,
            max_retries=self.max_retries,
            max_output_tokens=self.max_output_tokens,
            structured_output=self.structured_output,
        )
