"""Asking a language model at an OpenAI-compatible endpoint for an answer of a given form: for agents and for judges.

An answer that is not of that form is sent back once; whatever then is none is an error, with what it used. The key is
in no message, and what an endpoint does not take is found out and left out.
"""

from supportbench.endpoint.client import Endpoint, EndpointAnswer
from supportbench.endpoint.completion import Completion
from supportbench.endpoint.connection import EndpointConnection, EndpointVariables
from supportbench.endpoint.kept_answers import KeptAnswers, answers_folder
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
    "KeptAnswers",
    "Messages",
    "Price",
    "Prices",
    "StructuredOutput",
    "answers_folder",
]
