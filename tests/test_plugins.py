"""Installed plugins: the good one is played, each broken one is named with its reason, any can be blocked."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from supportbench import (
    ActionError,
    Episode,
    PluginLoadError,
    Registry,
    RubricCard,
    RubricError,
    SupportQueueAction,
    SupportQueueEnvironment,
    UnknownNameError,
    load_registry,
)
from tests.fixture_plugins import BROKEN, GOOD
from tests.installing import BrokenPlugin, importable, install, write_wheel

BROKEN_NAMES = {plugin.name for plugin in BROKEN}
BUILT_INS = {"agents", "fuzzy", "gallery", "judge", "keyword", "ray", "safety", "triage"}
BAKE = SupportQueueAction(
    priority="now", queue="oven", disposition="fix", summary="", response="We bake anew.", confidence=1
)


@pytest.fixture
def all_broken(broken_site: Path) -> Iterator[None]:
    with importable(broken_site):
        yield


class TestTheGoodPlugin:
    def test_offers_one_of_each(self, bakery: Registry) -> None:
        for catalogue, name in (
            (bakery.providers, "bakery"),
            (bakery.components, "area"),
            (bakery.checks, "calm"),
            (bakery.rubrics, "bakery"),
            (bakery.agents, "always_oven"),
        ):
            assert catalogue.entry(name).plugin.origin == "supportbench-bakery 1.2.0"

    async def test_is_played_through_the_environment(self, bakery: Registry) -> None:
        environment = SupportQueueEnvironment(bakery)
        observation = await environment.reset(task_id="bakery_monday")
        assert observation.allowed_priorities == ("now", "later")
        assert observation.scoring_weights == {"area": 0.6, "priority": 0.4, "unsafe_reply": -0.25}
        while not observation.done:
            observation = await environment.step(await bakery.agents["always_oven"].act(observation))  # type: ignore[arg-type]
        assert [grade["reward"] for grade in environment.state.grading_history] == pytest.approx([1.0, 0.2])

    async def test_brings_its_own_taxonomy(self, bakery: Registry) -> None:
        environment = SupportQueueEnvironment(bakery)
        await environment.reset(provider="bakery")
        before = environment.state
        with pytest.raises(
            ActionError, match=r"^priority: 'P1' is not allowed in this task\. Known: 'later', 'now'\.$"
        ):
            await environment.step(
                SupportQueueAction(
                    priority="P1", queue="oven", disposition="fix", summary="", response="", confidence=0.5
                )
            )
        assert environment.state is before

    async def test_its_check_finds_shouting_and_costs_a_quarter_once(self, bakery: Registry) -> None:
        environment = SupportQueueEnvironment(bakery)
        await environment.reset(provider="bakery")
        reply = "WAIT FOR YOUR ROLLS, thank you!! STOP WRITING TO US"
        shouting = SupportQueueAction(
            priority="now", queue="oven", disposition="fix", summary="", response=reply, confidence=0.5
        )
        await environment.step(shouting)
        grade = environment.last_grade
        assert grade is not None
        assert [(found.check, found.rule, found.severity, found.excerpt) for found in grade.findings] == [
            ("calm", "capitals", "unsafe", "WAIT FOR YOUR ROLLS"),
            ("calm", "capitals", "unsafe", "STOP WRITING TO US"),
            ("calm", "exclamation", "note", "!!"),
        ]
        assert (grade.penalty, grade.reward) == (-0.25, 0.75)

    async def test_its_listener_hears_of_a_finished_episode(
        self, bakery: Registry, caplog: pytest.LogCaptureFixture
    ) -> None:
        ((plugin, listener),) = bakery.listeners
        assert plugin.name == "bakery"
        with caplog.at_level(logging.INFO):
            await listener(
                episode=Episode(
                    episode_id="e",
                    provider="bakery",
                    split="test",
                    index=0,
                    task_id="bakery_monday",
                    task_title="Monday at the bakery",
                    difficulty="easy",
                    task_fingerprint="",
                    rubric=RubricCard(name="bakery", fingerprint=""),
                    agent="always_oven",
                    steps=(),
                    started_at="",
                    duration_s=0,
                )
            )
        assert "Monday at the bakery is done" in caplog.text

    def test_changes_nothing_of_what_a_bare_reset_means(self, bakery: Registry, registry: Registry) -> None:
        assert set(bakery.plugins) - set(registry.plugins) == {bakery.providers.entry("bakery").plugin}
        assert bakery.components.entry("priority").plugin == registry.components.entry("priority").plugin

    def test_can_be_blocked(self, good_site: Path) -> None:
        with importable(good_site):
            without = load_registry({}, block=["bakery"]).check()
        assert "bakery" not in without.providers
        assert without.blocked == ("bakery",)
        assert without.listeners == ()

    def test_passes_its_own_tests_in_a_process_of_its_own(self, good_site: Path) -> None:
        alone = [
            "-c",
            str(GOOD / "pyproject.toml"),
            "--confcutdir",
            str(GOOD),
            "-p",
            "no:cacheprovider",
            "-p",
            "no:asyncio",
        ]
        subprocess.run(
            [sys.executable, "-W", "error", "-m", "pytest", "-q", *alone, str(GOOD / "tests")],
            check=True,
            cwd=good_site,
            env={"PYTHONPATH": str(good_site)},
        )


class TestBrokenPlugins:
    @pytest.mark.parametrize("broken", BROKEN, ids=[plugin.distribution for plugin in BROKEN])
    def test_each_is_named_with_its_reason_and_the_way_around_it(self, broken: BrokenPlugin, all_broken: None) -> None:
        found = load_registry({}, block=BROKEN_NAMES - {broken.name})
        with pytest.raises(PluginLoadError) as caught:
            found.check()
        origin = f"{broken.distribution} {broken.version}"
        (failure,) = (failure for failure in caught.value.failures if failure.distribution == origin)
        assert failure.plugin == broken.name
        assert broken.reason in failure.reason
        assert {failure.plugin for failure in caught.value.failures} == {broken.name}
        assert f"--block {broken.name}" in str(caught.value)
        assert f"SUPPORTBENCH_BLOCK={broken.name}" in str(caught.value)
        assert origin in str(caught.value)

    def test_all_failures_come_in_one_error(self, all_broken: None) -> None:
        with pytest.raises(PluginLoadError) as caught:
            load_registry({}).check()
        assert {failure.plugin for failure in caught.value.failures} == BROKEN_NAMES
        for plugin in BROKEN:
            assert plugin.reason in str(caught.value)

    def test_the_rest_loads_when_they_are_blocked(self, all_broken: None, good_site: Path) -> None:
        with importable(good_site):
            rest = load_registry({}, block=BROKEN_NAMES).check()
        assert {plugin.name for plugin in rest.plugins} == BUILT_INS | {"bakery"}
        assert set(rest.blocked) == BROKEN_NAMES

    def test_what_a_broken_plugin_offers_rightly_is_listed_beside_the_failure(self, all_broken: None) -> None:
        found = load_registry({}, block=BROKEN_NAMES - {"twice_offered"})
        assert len(found.failures) == 1
        assert "twice_offered" in {plugin.name for plugin in found.plugins}

    def test_one_broken_plugin_hides_no_other_ones_offers(self, all_broken: None, registry: Registry) -> None:
        found = load_registry({})
        assert set(found.components) >= set(registry.components)
        assert set(found.agents) >= set(registry.agents)


class TestOnePluginAlone:
    def loaded(self, folder: Path, name: str, source: str) -> Registry:
        """Install a one-module plugin into the folder and return what loads."""
        site = folder / "site"
        install([write_wheel(folder, BrokenPlugin(name=name, source=source, reason=""))], site)
        with importable(site):
            return load_registry({})

    def test_a_hook_may_go_by_another_name(self, tmp_path: Path) -> None:
        source = """\
from supportbench import hookimpl
supportbench_api = 1
@hookimpl(specname='supportbench_agents')
def mine():
    return ()
"""
        found = self.loaded(tmp_path, "specname", source).check()
        assert "specname" in {plugin.name for plugin in found.plugins}

    def test_an_import_that_starts_like_a_hook_does_not_hide_the_reason(self, tmp_path: Path) -> None:
        source = """\
import supportbench_keyword.exact
from supportbench import hookimpl
supportbench_api = 1
@hookimpl
def supportbench_agents(environment):
    return ()
"""
        (failure,) = self.loaded(tmp_path, "shadow", source).failures
        assert failure.plugin == "shadow"
        assert "Argument(s) {'environment'} are declared" in failure.reason

    def test_of_two_that_offer_the_same_either_can_be_blocked_whoever_sorts_first(self, tmp_path: Path) -> None:
        source = """\
from supportbench import hookimpl
supportbench_api = 1
class Component:
    name = 'priority'
    async def score(self, submission): ...
@hookimpl
def supportbench_grading_components():
    yield Component()
"""
        (failure,) = self.loaded(tmp_path, "acme", source).failures
        assert "go on without one of them: --block acme or --block keyword" in failure.reason


class TestBlocking:
    def test_an_unknown_name_is_refused_with_the_nearest(self) -> None:
        with pytest.raises(UnknownNameError, match=r"Cannot block 'keywrd'.*Did you mean 'keyword'\?"):
            load_registry({}, block=["keywrd"])

    def test_a_blocked_built_ins_offers_are_gone(self) -> None:
        without = load_registry({}, block=["keyword", "keyword"]).check()
        assert {"concept_coverage", "priority", "queue", "disposition"}.isdisjoint(without.components)
        assert "default" not in without.rubrics
        assert without.blocked == ("keyword",)

    async def test_a_task_that_needs_a_blocked_rubric_says_so(self) -> None:
        environment = SupportQueueEnvironment(load_registry({}, block=["keyword"]).check())
        with pytest.raises(UnknownNameError, match="asks for rubric 'default'"):
            await environment.reset(task_id="easy_inbox_cleanup")
        assert environment.state.task is None

    async def test_a_rubric_that_uses_a_blocked_component_says_so(self, good_site: Path) -> None:
        with importable(good_site):
            environment = SupportQueueEnvironment(load_registry({}, block=["keyword"]).check())
        with pytest.raises(RubricError, match="Rubric 'bakery' uses component 'priority'"):
            await environment.reset(provider="bakery")

    @pytest.mark.parametrize("name", sorted(BUILT_INS))
    def test_every_built_in_can_be_blocked(self, name: str) -> None:
        without = load_registry({}, block=[name]).check()
        assert {plugin.name for plugin in without.plugins} == BUILT_INS - {name}


def supportbench(*arguments: str, sites: tuple[Path, ...], cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, with what is installed in these folders."""
    command = [sys.executable, "-W", "error", "-m", "supportbench", *arguments]
    env = {"PYTHONPATH": ":".join(map(str, sites))}
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, env=env)


class TestTheCommand:
    def test_plays_the_good_plugins_task_with_its_agent(self, good_site: Path, tmp_path: Path) -> None:
        asked = ["run", "--provider", "bakery", "--agent", "always_oven", "--out", "run", "--json"]
        done = supportbench(*asked, sites=(good_site,), cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        results = json.loads(done.stdout)
        (task,) = results["tasks"]
        assert task["task_id"] == "bakery_monday"
        assert task["rewards"] == pytest.approx([1.0, 0.2])
        assert {"name": "bakery", "version": "1.2.0"}.items() <= next(
            plugin for plugin in results["plugins"] if plugin["name"] == "bakery"
        ).items()

    def test_does_not_know_what_a_blocked_plugin_offered(self, good_site: Path, tmp_path: Path) -> None:
        asked = ["run", "--provider", "bakery", "--agent", "random", "--block", "bakery", "--out", "run"]
        done = supportbench(*asked, sites=(good_site,), cwd=tmp_path)
        assert done.returncode == 2
        assert "bakery" in done.stderr
        assert not (tmp_path / "run").exists()

    def test_refuses_to_run_beside_broken_plugins_and_names_them_all(self, broken_site: Path, tmp_path: Path) -> None:
        done = supportbench("run", "--agent", "random", "--out", "run", sites=(broken_site,), cwd=tmp_path)
        assert done.returncode != 0
        for plugin in BROKEN:
            assert f"--block {plugin.name}" in done.stderr
        assert not (tmp_path / "run").exists()

    def test_lists_all_the_same(self, good_site: Path, broken_site: Path, tmp_path: Path) -> None:
        done = supportbench("plugins", "--json", sites=(good_site, broken_site), cwd=tmp_path)
        listed = {plugin["name"]: plugin for plugin in json.loads(done.stdout)}
        assert set(listed) == BUILT_INS | BROKEN_NAMES | {"bakery"}
        assert {name for name, plugin in listed.items() if plugin["problems"]} == BROKEN_NAMES
        for plugin in BROKEN:
            assert any(plugin.reason in problem for problem in listed[plugin.name]["problems"])
        assert listed["bakery"]["listens"]
        assert listed["bakery"]["provides"]["agents"] == ["always_oven"]
