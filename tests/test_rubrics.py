"""Rubrics: from a file or a name to what is installed, and a fingerprint that follows what decides."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest

from supportbench import (
    ComponentScore,
    Registry,
    Rubric,
    RubricComponent,
    RubricError,
    SafetyFinding,
    SafetyPolicy,
    Submission,
    UnknownNameError,
)
from supportbench.rubrics import bind, read_rubric, resolve_rubric
from tests.offering import Told, registry_of

DESIGN = """
name = "my-rubric"
[[component]]
use = "priority"
weight = 0.85
[[component]]
use = "concept_coverage"
as = "summary"
weight = 0.15
options = { field = "summary" }
[safety]
checks = ["unsafe_reply"]
mode = "penalty"
penalty = 0.10
"""


@attrs.frozen(kw_only=True)
class Strictness:
    threshold: int = 88
    words: tuple[str, ...] = ()


class Strict:
    """A component with options."""

    Options = Strictness

    def __init__(
        self, name: str = "strict", *, version: str = "1", data: str = "data", options: Strictness | None = None
    ) -> None:
        self.name = name
        self.version = version
        self.data_fingerprint = data
        self._options = options or Strictness()

    def configured(self, options: Strictness) -> Strict:
        if options.threshold > 100:
            raise ValueError("threshold is a percentage")
        return Strict(self.name, version=self.version, data=self.data_fingerprint, options=options)

    async def score(self, submission: Submission) -> ComponentScore:
        return ComponentScore(score=self._options.threshold / 100)


class Check:
    def __init__(self, name: str, version: str = "1", data: str | None = None) -> None:
        self.name = name
        self.version = version
        if data is not None:
            self.data_fingerprint = data

    async def check(self, submission: Submission) -> tuple[SafetyFinding, ...]:
        return ()


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


class TestFiles:
    def test_a_file_is_read(self, tmp_path: Path) -> None:
        assert read_rubric(written(tmp_path, DESIGN)) == Rubric(
            name="my-rubric",
            components=[
                RubricComponent(use="priority", weight=0.85),
                RubricComponent(use="concept_coverage", as_="summary", weight=0.15, options={"field": "summary"}),
            ],
            safety=SafetyPolicy(checks=("unsafe_reply",)),
        )

    def test_a_path_and_a_name_are_told_apart_by_their_ending(self, tmp_path: Path, registry: Registry) -> None:
        assert resolve_rubric(registry, str(written(tmp_path, DESIGN))).name == "my-rubric"
        assert resolve_rubric(registry, "default").name == "default"
        with pytest.raises(UnknownNameError, match=r"There is no rubric 'defualt'\. Did you mean 'default'\?"):
            resolve_rubric(registry, "defualt")

    def test_a_missing_file_says_so(self, tmp_path: Path) -> None:
        with pytest.raises(RubricError, match="Cannot read rubric file"):
            read_rubric(tmp_path / "none.toml")

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ("weight = 0.15", "weight = 0.25", "the weights of rubric 'my-rubric' must sum to 1, they sum to 1.1"),
            ("weight = 0.15", 'weight = "0.15"', r"weight: expected a number, got a string"),
            ("weight = 0.15", "weight = 1.15", r"weight: must be in \[0, 1\], it is 1.15"),
            ("weight = 0.15", "wieght = 0.15", r"wieght: unknown key\. Did you mean 'weight'\?"),
            ('as = "summary"', 'as = "priority"', "reports two components as 'priority'; give one another 'as'"),
            ("[safety]", "[safty]", r"safty: unknown key\. Did you mean 'safety'\?"),
            ('"penalty"', '"gatee"', r"safety\.mode: not one of the allowed values\. Did you mean 'gate'\?"),
            ("penalty = 0.10", "penalty = 2", r"safety\.penalty: must be in \[0, 1\]"),
            ('["unsafe_reply"]', '["a", "a"]', "safety.checks: has 'a' twice"),
            ('["unsafe_reply"]', '"unsafe_reply"', "safety.checks: expected a list, got a string"),
            ('as = "summary"', "as = 3", r": component\[1\]\.as: expected a string, got a number"),
            ("[[component]]", "[[components]]", ": component: required, but missing"),
            ("[[component]]", "[[", "no valid TOML"),
        ],
    )
    def test_a_wrong_file_says_what_is_wrong(self, tmp_path: Path, old: str, new: str, message: str) -> None:
        assert old in DESIGN
        with pytest.raises(RubricError, match=message) as caught:
            read_rubric(written(tmp_path, DESIGN.replace(old, new)))
        assert str(caught.value).startswith(f"Rubric file {tmp_path}")

    def test_weights_may_miss_1_by_a_billionth(self) -> None:
        third = 1 / 3
        Rubric(name="r", components=[RubricComponent(use="x", as_=name, weight=third) for name in ("a", "b", "c")])
        with pytest.raises(ValueError, match="must sum to 1"):
            Rubric(name="r", components=[RubricComponent(use="x", weight=1 - 1e-8)])


class TestBinding:
    @pytest.fixture
    def house(self) -> Registry:
        return registry_of(components=[Strict(), Told("plain")], checks=[Check("calm"), Check("kind")])

    def rubric(self, use: str = "strict", options: Mapping[str, Any] | None = None, checks: Any = ()) -> Rubric:
        return Rubric(
            name="mine",
            components=[RubricComponent(use=use, weight=1.0, options=options or {})],
            safety=SafetyPolicy(checks=checks),
        )

    def test_an_unknown_component_is_refused_with_the_nearest(self, house: Registry) -> None:
        message = r"Rubric 'mine' uses component 'strickt'\. .*Did you mean 'strict'\? Known: 'plain', 'strict'\."
        with pytest.raises(RubricError, match=message):
            bind(self.rubric("strickt"), house)

    def test_an_unknown_check_is_refused_with_the_nearest(self, house: Registry) -> None:
        with pytest.raises(RubricError, match=r"Rubric 'mine' asks for safety check 'clam'\. .*Did you mean 'calm'\?"):
            bind(self.rubric(checks=("clam",)), house)

    def test_a_star_is_every_check(self, house: Registry) -> None:
        assert [check.name for check in bind(self.rubric(checks=("*",)), house).checks] == ["calm", "kind"]

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"treshold": 5}, r"'strict' .*are wrong: treshold: unknown key\. Did you mean 'threshold'\?"),
            ({"threshold": "88"}, "threshold: expected a whole number, got a string"),
            ({"threshold": 88.0}, "threshold: expected a whole number, got a number"),
            ({"words": "abc"}, "words: expected a list, got a string"),
            ({"threshold": 101}, "threshold is a percentage"),
        ],
    )
    def test_options_are_decoded_as_strictly_as_everything(
        self, house: Registry, options: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(RubricError, match=message) as caught:
            bind(self.rubric(options=options), house)
        assert "'mine'" in str(caught.value)

    def test_a_component_without_options_takes_none(self, house: Registry) -> None:
        with pytest.raises(RubricError, match=r"component 'plain' .*takes no options, but is given a, b"):
            bind(self.rubric("plain", {"b": 1, "a": 2}), house)

    def test_options_without_a_default_must_be_given(self, registry: Registry) -> None:
        with pytest.raises(RubricError, match="field: required, but missing"):
            bind(self.rubric("concept_coverage"), registry)

    def test_one_component_can_be_used_twice_under_different_names(self, house: Registry) -> None:
        rubric = Rubric(
            name="r",
            components=[
                RubricComponent(use="strict", as_="low", weight=0.5, options={"threshold": 10}),
                RubricComponent(use="strict", as_="high", weight=0.5, options={"threshold": 90}),
            ],
        )
        assert bind(rubric, house).scoring_weights == {"low": 0.5, "high": 0.5}

    @pytest.mark.parametrize(
        ("safety", "cost"),
        [
            (SafetyPolicy(checks=("calm",)), -0.1),
            (SafetyPolicy(checks=("calm",), penalty=0.25), -0.25),
            (SafetyPolicy(checks=("calm",), mode="gate"), -1.0),
            (SafetyPolicy(), None),
        ],
    )
    def test_the_scoring_weights_say_what_an_unsafe_reply_costs(
        self, house: Registry, safety: SafetyPolicy, cost: float | None
    ) -> None:
        rubric = attrs.evolve(self.rubric(), safety=safety)
        assert bind(rubric, house).scoring_weights.get("unsafe_reply") == cost

    def test_the_bundled_rubrics_are_the_documented_ones(self, registry: Registry) -> None:
        assert bind(registry.rubrics["default"], registry).scoring_weights == {
            "priority": 0.30,
            "queue": 0.25,
            "disposition": 0.20,
            "summary": 0.15,
            "response": 0.10,
            "unsafe_reply": -0.10,
        }
        assert list(bind(registry.rubrics["exact"], registry).scoring_weights) == ["priority", "queue", "disposition"]


BASE = Rubric(
    name="base",
    components=[
        RubricComponent(use="strict", weight=0.6),
        RubricComponent(use="strict", as_="other", weight=0.4, options={"threshold": 50}),
    ],
    safety=SafetyPolicy(checks=("calm",)),
)
FIRST, SECOND = BASE.components


def fingerprint_of(rubric: Rubric, strict: Strict | None = None, checks: tuple[Check, ...] = ()) -> str:
    offered = checks or (Check("calm"), Check("kind"))
    return bind(rubric, registry_of(components=[strict or Strict(), Strict("twin")], checks=offered)).fingerprint


class TestTheFingerprint:
    def test_is_a_hash_that_names_its_kind(self) -> None:
        assert fingerprint_of(BASE).startswith("sha256:")
        assert fingerprint_of(BASE) == fingerprint_of(BASE)

    @pytest.mark.parametrize(
        "same",
        [
            attrs.evolve(BASE, name="another name"),
            attrs.evolve(BASE, components=[SECOND, FIRST]),
            attrs.evolve(BASE, components=[attrs.evolve(FIRST, options={"threshold": 88}), SECOND]),
            attrs.evolve(BASE, components=[attrs.evolve(FIRST, options={"words": []}), SECOND]),
        ],
        ids=["name", "order", "default spelt out", "another default spelt out"],
    )
    def test_stays_where_nothing_decisive_changes(self, same: Rubric) -> None:
        assert fingerprint_of(same) == fingerprint_of(BASE)

    @pytest.mark.parametrize(
        "other",
        [
            attrs.evolve(BASE, components=[attrs.evolve(FIRST, weight=0.5), attrs.evolve(SECOND, weight=0.5)]),
            attrs.evolve(BASE, components=[attrs.evolve(FIRST, options={"threshold": 87}), SECOND]),
            attrs.evolve(BASE, components=[attrs.evolve(FIRST, use="twin"), SECOND]),
            attrs.evolve(BASE, components=[attrs.evolve(FIRST, as_="renamed"), SECOND]),
            attrs.evolve(BASE, safety=SafetyPolicy()),
            attrs.evolve(BASE, safety=SafetyPolicy(checks=("kind",))),
            attrs.evolve(BASE, safety=SafetyPolicy(checks=("*",))),
            attrs.evolve(BASE, safety=SafetyPolicy(checks=("calm",), penalty=0.2)),
            attrs.evolve(BASE, safety=SafetyPolicy(checks=("calm",), mode="gate")),
            attrs.evolve(BASE, reward="binary"),
        ],
        ids=["weight", "option", "component", "as", "no check", "check", "every check", "penalty", "mode", "reward"],
    )
    def test_follows_every_decisive_change(self, other: Rubric) -> None:
        assert fingerprint_of(other) != fingerprint_of(BASE)

    def test_follows_a_components_version_and_data(self) -> None:
        assert fingerprint_of(BASE, Strict(version="2")) != fingerprint_of(BASE)
        assert fingerprint_of(BASE, Strict(data="other data")) != fingerprint_of(BASE)

    def test_follows_a_checks_version_and_data(self) -> None:
        assert fingerprint_of(BASE, checks=(Check("calm", version="2"),)) != fingerprint_of(BASE)
        assert fingerprint_of(BASE, checks=(Check("calm", data="rules"),)) != fingerprint_of(BASE)

    def test_a_star_is_what_it_expands_to(self) -> None:
        star = attrs.evolve(BASE, safety=SafetyPolicy(checks=("*",)))
        spelt = attrs.evolve(BASE, safety=SafetyPolicy(checks=("kind", "calm")))
        assert fingerprint_of(star) == fingerprint_of(spelt)
        assert fingerprint_of(star, checks=(Check("calm"),)) != fingerprint_of(star)

    def test_a_check_that_is_installed_but_not_asked_does_not_count(self) -> None:
        more = (Check("calm"), Check("kind"), Check("new"))
        assert fingerprint_of(BASE, checks=more) == fingerprint_of(BASE)
