"""Every way in which a plugin can be broken, and the reason that its author must be told.

Each is installed by pip as a distribution of its own.
"""

from __future__ import annotations

from typing import Final

from tests.installing import BrokenPlugin

_HEAD: Final = """\
from supportbench import ComponentScore, StaticTasks, hookimpl
supportbench_api = 1
"""
_COMPONENT: Final = """
class Component:
    name = "broken_component"
    async def score(self, submission):
        return ComponentScore(score=1.0)
"""
_OFFER: Final = """
@hookimpl
def supportbench_grading_components():
    yield {offer}
"""
_AGENT: Final = (
    _HEAD
    + """
class Agent:
    name = "broken_agent"
    async def act(self, observation): ...
{body}

@hookimpl
def supportbench_agents():
    yield Agent()
"""
)
_OPTIONS: Final = _HEAD + _COMPONENT.replace("broken_component", "{name}") + "{options}" + _OFFER
_NO_AGENTS: Final = """
@hookimpl
def supportbench_agents():
    return ()
"""

BROKEN: Final = (
    # -- the module itself --
    BrokenPlugin(
        name="import_error",
        source="import supportbench_flour\n",
        reason=("importing 'broken_import_error' raised ModuleNotFoundError: No module named 'supportbench_flour'"),
    ),
    BrokenPlugin(
        name="exits",
        source="import sys\nsys.exit('no flour, no bread')\n",
        reason="importing 'broken_exits' raised SystemExit: no flour, no bread",
    ),
    BrokenPlugin(
        name="no_api",
        source=_HEAD.replace("supportbench_api = 1", "") + _NO_AGENTS,
        reason="it does not declare its API version; add the line: supportbench_api = 1",
    ),
    BrokenPlugin(
        name="future_api",
        source=_HEAD.replace("= 1", "= 99") + _NO_AGENTS,
        reason=("it is written for plugin API 99, this supportbench speaks 1; install versions of both that agree"),
    ),
    # -- its hooks --
    BrokenPlugin(name="no_hook", source=_HEAD, reason="it implements no hook"),
    BrokenPlugin(
        name="undecorated_alone",
        source=_HEAD + _NO_AGENTS.replace("@hookimpl", ""),
        reason="it implements no hook; put @hookimpl on supportbench_agents",
    ),
    BrokenPlugin(
        name="undecorated_beside",
        source=_HEAD + _NO_AGENTS + _COMPONENT + _OFFER.format(offer="Component()").replace("@hookimpl", ""),
        reason="supportbench_grading_components looks like a hook, but has no @hookimpl",
    ),
    BrokenPlugin(
        name="forgot_to_yield",
        source=_HEAD + "\n\n@hookimpl\ndef supportbench_agents():\n    object()\n",
        reason="supportbench_agents must return an iterable, it returned None; use yield",
    ),
    BrokenPlugin(
        name="unknown_hook",
        source=_HEAD + _NO_AGENTS.replace("supportbench_agents", "supportbench_agent"),
        reason="there is no hook 'supportbench_agent'. Did you mean 'supportbench_agents'?",
    ),
    BrokenPlugin(
        name="wrong_argument",
        source=_HEAD + _NO_AGENTS.replace("()", "(environment)", 1),
        reason="Argument(s) {'environment'} are declared in the hookimpl but can not be found in the hookspec",
    ),
    BrokenPlugin(
        name="async_hook",
        source=_HEAD + _NO_AGENTS.replace("def ", "async def "),
        reason="supportbench_agents must not be a coroutine function (async def)",
    ),
    BrokenPlugin(
        name="plain_listener",
        source=_HEAD + "@hookimpl\ndef supportbench_episode_finished(episode): ...\n",
        reason="supportbench_episode_finished must be a coroutine function (async def)",
    ),
    BrokenPlugin(
        name="raises",
        source=_HEAD + _OFFER.format(offer="1 / 0"),
        reason="hook supportbench_grading_components failed: ZeroDivisionError (ZeroDivisionError: division by zero)",
    ),
    BrokenPlugin(
        name="exits_when_asked",
        source=_HEAD + _OFFER.format(offer="exit('later')"),
        reason="hook supportbench_grading_components failed: SystemExit (SystemExit: later)",
    ),
    BrokenPlugin(
        name="returns_no_iterable",
        source=_HEAD + _NO_AGENTS.replace("return ()", "return 0"),
        reason="supportbench_agents must return an iterable, it returned int; use yield",
    ),
    # -- what it offers --
    BrokenPlugin(
        name="wrong_type",
        source=_HEAD + "@hookimpl\ndef supportbench_rubrics():\n    yield {'name': 'mine'}\n",
        reason="supportbench_rubrics: the offered dict is no Rubric",
    ),
    BrokenPlugin(
        name="no_name",
        source=_HEAD + _COMPONENT.replace("name =", "nom =") + _OFFER.format(offer="Component()"),
        reason="supportbench_grading_components: the offered Component has no 'name' (a string)",
    ),
    BrokenPlugin(
        name="plain_score",
        source=_HEAD + _COMPONENT.replace("async def", "def") + _OFFER.format(offer="Component()"),
        reason=(
            "supportbench_grading_components: the offered Component 'broken_component' has a plain method 'score'; "
            "it must be a coroutine function (async def score)"
        ),
    ),
    BrokenPlugin(
        name="no_score",
        source=_HEAD + _COMPONENT.replace("score(", "grade(") + _OFFER.format(offer="Component()"),
        reason="supportbench_grading_components: the offered Component 'broken_component' has no method 'score'",
    ),
    BrokenPlugin(
        name="class_offered",
        source=_HEAD + _COMPONENT + _OFFER.format(offer="Component"),
        reason="supportbench_grading_components: the offered type is a class; offer an instance of it",
    ),
    BrokenPlugin(
        name="plain_options",
        source=_OPTIONS.format(
            name="plain_options",
            options="    class Options: ...\n    def configured(self, options): return self\n",
            offer="Component()",
        ),
        reason="the offered Component 'plain_options' has 'Options' that are no attrs class",
    ),
    BrokenPlugin(
        name="not_configurable",
        source="import attrs\n"
        + _OPTIONS.format(
            name="not_configurable", options="    @attrs.frozen\n    class Options: ...\n", offer="Component()"
        ),
        reason=(
            "supportbench_grading_components: the offered Component 'not_configurable' has 'Options' but no method "
            "'configured'"
        ),
    ),
    BrokenPlugin(
        name="half_honest",
        source=_AGENT.format(body="    dishonest = 'yes'"),
        reason="the offered Agent 'broken_agent' has dishonest = 'yes'; it must be True or False",
    ),
    BrokenPlugin(
        name="studies_in_vain",
        source=_AGENT.format(body="    dishonest = True\n    async def studied(self, tasks): return self"),
        reason="the offered Agent 'broken_agent' has an async studied; it must be a plain method",
    ),
    BrokenPlugin(
        name="route",
        source=_HEAD
        + "@hookimpl\ndef supportbench_task_providers():\n    yield StaticTasks(name='health', splits={})\n",
        reason="the offered StaticTasks is named 'health', which is a path of the server; choose another name",
    ),
    BrokenPlugin(
        name="twice_offered",
        source=_HEAD + _COMPONENT.replace("broken_component", "priority") + _OFFER.format(offer="Component()"),
        reason=(
            "grading component 'priority' is offered twice: by plugin 'keyword' (supportbench 0.1.0) "
            "and by plugin 'twice_offered' (broken-twice_offered 0.3.1)"
        ),
    ),
    # -- its neighbours --
    BrokenPlugin(
        name="namesake",
        distribution="namesake-one",
        source=_HEAD + _NO_AGENTS,
        reason=(
            "several distributions have a plugin of this name: namesake-one 0.3.1, namesake-two 0.3.1; "
            "uninstall all but one"
        ),
    ),
    BrokenPlugin(
        name="namesake",
        distribution="namesake-two",
        source=_HEAD + _NO_AGENTS,
        reason=(
            "several distributions have a plugin of this name: namesake-one 0.3.1, namesake-two 0.3.1; "
            "uninstall all but one"
        ),
    ),
)
