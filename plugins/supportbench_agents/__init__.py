"""The bundled agents: `heuristic` reads by rules, `random` guesses, `openai:MODEL` asks a language model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from supportbench import Agent, hookimpl
from supportbench_agents.heuristic import HeuristicAgent
from supportbench_agents.openai_agent import OpenAIAgent
from supportbench_agents.random_agent import RandomAgent

supportbench_api = 1


@hookimpl
def supportbench_agents(environ: Mapping[str, str]) -> Iterator[Agent]:
    """Offer the agents."""
    yield HeuristicAgent()
    yield OpenAIAgent.from_environ(environ)
    yield RandomAgent()
