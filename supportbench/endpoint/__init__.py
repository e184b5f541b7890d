"""Asking a language model at an OpenAI-compatible endpoint for an answer of a given form: for agents and for judges.

An answer that is not of that form is sent back once; whatever then is none is an error, with what it used. The key is
in no message, and what an endpoint does not take is found out and left out.
"""

from supportbench.endpoint.client import Completion, Endpoint, EndpointAnswer
from supportbench.endpoint.connection import EndpointConnection, EndpointVariables
from supportbench.endpoint.parameters import AnswerForm, EndpointOptions, Messages, StructuredOutput
from supportbench.endpoint.prices import Price, Prices

__all__ = [
    "AnswerForm",
    "Completion",
    "Endpoint",
    "EndpointAnswer",
    "EndpointConnection",
    "EndpointOptions",
    "EndpointVariables",
    "Messages",
    "Price",
    "Prices",
    "StructuredOutput",
]
