"""Rubrics: from a file or a name to what is installed, and a fingerprint that follows what decides."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from supportbench import (
    AnswerKey,
    Case,
    ComponentScore,
    Registry,
    Rubric,
    RubricComponent,
    RubricError,
    SafetyFinding,
    SafetyPolicy,
    StaticTasks,
    Submission,
    SupportQueueEnvironment,
    Ticket,
    UnknownNameError,
    fingerprint,
)
from supportbench.graders import Graders
from supportbench.grading import Grader
from supportbench.rubrics import bind, read_rubric, resolve_rubric
from tests.offering import Swears, Told, a_submission, a_task, an_action, registry_of

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


@attrs.frozen(kw_only=True)
class Dropped:
    drop: tuple[str, ...] = ()


class Picky:
    """A check with options."""

    name = "picky"
    version = "1"
    Options = Dropped

    def __init__(self, options: Dropped | None = None) -> None:
        self._options = options or Dropped()
        self.data_fingerprint = "rules" + "".join(f" without {rule}" for rule in self._options.drop)

    def configured(self, options: Dropped) -> Picky:
        if "all" in options.drop:
            raise ValueError("something must be left to find")
        return Picky(options)

    async def check(self, submission: Submission) -> tuple[SafetyFinding, ...]:
        rules = ("rude", "foreign_link")
        return tuple(SafetyFinding(rule=rule, start=0, end=1) for rule in rules if rule not in self._options.drop)


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
            ("penalty = 0.10", "options = { unsafe_reply = 3 }", "unsafe_reply.*: expected an object, got a number"),
            ("penalty = 0.10", "options = 3", r"safety\.options: expected an object, got a number"),
            (
                "penalty = 0.10",
                "options = { kind = {} }",
                "safety: options are given for safety check 'kind', which is not asked for: name it in 'checks', or",
            ),
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

    @pytest.mark.parametrize(
        ("made", "message"),
        [
            (lambda path: path.mkdir(), r"mine\.toml: Is a directory"),
            (lambda path: path.write_bytes(b"\xff"), r"mine\.toml: it is no UTF-8 text"),
            (lambda path: None, r"mine\.toml: No such file or directory\. What is installed: supportbench rubrics"),
        ],
    )
    def test_what_cannot_be_read_says_why_without_a_number(self, tmp_path: Path, made: Any, message: str) -> None:
        path = tmp_path / "mine.toml"
        made(path)
        with pytest.raises(RubricError, match=message) as caught:
            read_rubric(path)
        assert "Errno" not in str(caught.value)

    def test_a_name_with_a_null_character_is_none(self, registry: Registry) -> None:
        with pytest.raises(RubricError, match="Cannot read rubric file"):
            resolve_rubric(registry, "a\0.toml")
        with pytest.raises(UnknownNameError):
            resolve_rubric(registry, "a\0")

    def test_weights_may_miss_1_by_a_billionth(self) -> None:
        third = 1 / 3
        Rubric(name="r", components=[RubricComponent(use="x", as_=name, weight=third) for name in ("a", "b", "c")])
        with pytest.raises(ValueError, match="must sum to 1"):
            Rubric(name="r", components=[RubricComponent(use="x", weight=1 - 1e-8)])


class TestAWordBehindTheName:
    def test_makes_another_rubric_that_is_called_so(self, registry: Registry) -> None:
        default = registry.rubrics["default"]
        assert resolve_rubric(registry, "default:gate") == attrs.evolve(
            default, name="default:gate", safety=attrs.evolve(default.safety, mode="gate")
        )
        assert resolve_rubric(registry, "default:binary") == attrs.evolve(
            default, name="default:binary", reward="binary"
        )

    def test_that_changes_nothing_leaves_it_as_it_is(self, registry: Registry) -> None:
        assert resolve_rubric(registry, "default:penalty:weighted") == registry.rubrics["default"]

    def test_that_comes_last_wins(self, registry: Registry) -> None:
        twice = resolve_rubric(registry, "default:gate:penalty")
        default = registry.rubrics["default"]
        assert bind(twice, registry).fingerprint == bind(default, registry).fingerprint

    def test_works_behind_a_file(self, tmp_path: Path, registry: Registry) -> None:
        path = written(tmp_path, DESIGN)
        assert resolve_rubric(registry, f"{path}:gate:binary").name == "my-rubric:gate:binary"

    def test_each_has_a_fingerprint_of_its_own(self, registry: Registry) -> None:
        names = ("default", "default:gate", "default:binary", "default:gate:binary")
        assert len({bind(resolve_rubric(registry, name), registry).fingerprint for name in names}) == 4

    def test_a_registered_name_with_a_colon_is_a_name(self) -> None:
        named = Rubric(name="a:gate", components=[RubricComponent(use="plain", weight=1.0)])
        house = registry_of(components=[Told("plain")], rubrics=[named])
        assert resolve_rubric(house, "a:gate") == named

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("default:gaet", "'gaet' does not change one. Did you mean 'gate'"),
            ("default:", "'' does not change one"),
            ("exact:gate", "Rubric 'exact' asks for no safety check, so that 'gate' would change nothing"),
            ("nobodys.toml:gate", "Cannot read rubric file nobodys.toml"),
        ],
    )
    def test_that_does_not_fit_is_refused(self, registry: Registry, name: str, message: str) -> None:
        with pytest.raises(RubricError, match=message):
            resolve_rubric(registry, name)

    def test_behind_nothing_that_is_known_is_refused_too(self, registry: Registry) -> None:
        for name in ("defualt:gate", "c:/defualt:binary", ":gate", "defualt:gaet"):
            with pytest.raises(UnknownNameError, match="There is no rubric"):
                resolve_rubric(registry, name)


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

    @pytest.mark.parametrize("mode", ["penalty", "gate"])
    def test_with_the_reward_binary_an_unsafe_reply_costs_all(self, house: Registry, mode: Any) -> None:
        rubric = attrs.evolve(self.rubric(), reward="binary", safety=SafetyPolicy(checks=("calm",), mode=mode))
        assert bind(rubric, house).scoring_weights == {"strict": 1.0, "unsafe_reply": -1.0}

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


class TestOptionsOfChecks:
    @pytest.fixture
    def house(self) -> Registry:
        return registry_of(components=[Strict()], checks=[Picky(), Check("calm")])

    def rubric(self, options: Mapping[str, Any], checks: Any = ("picky",)) -> Rubric:
        return Rubric(
            name="mine",
            components=[RubricComponent(use="strict", weight=1.0)],
            safety=SafetyPolicy(checks=checks, options=options),
        )

    def test_are_read_from_a_table_of_the_file(self, tmp_path: Path) -> None:
        text = f'{DESIGN}\n[safety.options.unsafe_reply]\ndrop = ["foreign_link"]\n'
        assert read_rubric(written(tmp_path, text)).safety.options == {"unsafe_reply": {"drop": ("foreign_link",)}}

    async def test_reach_the_check(self, house: Registry) -> None:
        bound = bind(self.rubric({"picky": {"drop": ["foreign_link"]}}), house)
        grade = await Grader(bound).grade(a_submission())
        assert [finding.rule for finding in grade.findings] == ["rude"]
        plain = await Grader(bind(self.rubric({}), house)).grade(a_submission())
        assert [finding.rule for finding in plain.findings] == ["rude", "foreign_link"]

    def test_may_be_given_to_any_installed_check_where_all_are_asked_for(self, house: Registry) -> None:
        bound = bind(self.rubric({"picky": {"drop": ["rude"]}}, ("*",)), house)
        assert [check.name for check in bound.checks] == ["calm", "picky"]
        with pytest.raises(
            RubricError, match=r"options for safety check 'pikcy', which is not installed\. Did you mean"
        ):
            bind(self.rubric({"pikcy": {}}, ("*",)), house)

    def test_of_a_check_that_is_not_asked_for_are_refused(self) -> None:
        with pytest.raises(ValueError, match="options are given for safety check 'calm', which is not asked for"):
            self.rubric({"calm": {}})

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"picky": {"dorp": []}}, r"'mine': The options of safety check 'picky' are wrong: dorp: .*'drop'"),
            ({"picky": {"drop": "rude"}}, "drop: expected a list, got a string"),
            ({"picky": {"drop": ["all"]}}, "something must be left to find"),
        ],
    )
    def test_are_decoded_as_strictly_as_everything(self, house: Registry, options: Any, message: str) -> None:
        with pytest.raises(RubricError, match=message):
            bind(self.rubric(options), house)

    def test_a_check_without_options_takes_none(self, house: Registry) -> None:
        with pytest.raises(RubricError, match="safety check 'calm' takes no options, but is given loud"):
            bind(self.rubric({"calm": {"loud": 1}}, ("calm",)), house)

    def test_are_part_of_the_fingerprint_and_their_defaults_are_not_told_apart(self, house: Registry) -> None:
        given: tuple[Mapping[str, Any], ...] = ({}, {"picky": {"drop": []}}, {"picky": {"drop": ["rude"]}})
        plain, spelt, other = (bind(self.rubric(options), house).fingerprint for options in given)
        assert plain == spelt != other

    def test_a_check_without_options_keeps_the_fingerprint_that_it_had_before_there_were_any(self) -> None:
        rubric = Rubric(
            name="r",
            components=[RubricComponent(use="plain", weight=1.0)],
            safety=SafetyPolicy(checks=("calm",)),
        )
        bound = bind(rubric, registry_of(components=[Told("plain")], checks=[Check("calm")]))
        record = {"use": "plain", "as": "plain", "weight": 1.0, "version": "0", "options": {}, "data": None}
        assert bound.fingerprint == fingerprint(
            {
                "components": [record],
                "checks": [{"name": "calm", "version": "1", "data": None}],
                "mode": "penalty",
                "penalty": 0.1,
                "reward": "weighted",
            }
        )


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


class TestAnEpisode:
    """The same two answers, right in everything, the second with an unsafe reply, under each of the words."""

    @pytest.mark.parametrize(
        ("name", "rewards"),
        [
            ("default", [1.0, 0.9]),
            ("default:gate", [1.0, 0.0]),
            ("default:binary", [1.0, 0.0]),
            ("default:gate:binary", [1.0, 0.0]),
        ],
    )
    async def test_is_rewarded_and_told_of_as_its_rubric_says(
        self, registry: Registry, name: str, rewards: list[float]
    ) -> None:
        key = AnswerKey(priority="P3", queue="billing", disposition="respond", unsafe_phrases=("guaranteed refund",))
        cases = [
            Case(ticket=Ticket(ticket_id=ticket_id, subject="Invoice", body="Charged twice."), answer_key=key)
            for ticket_id in ("safe", "unsafe")
        ]
        everything = registry.with_provider(StaticTasks(name="house", splits={"test": [a_task("t", cases=cases)]}))
        graders = Graders(everything, resolve_rubric(everything, name))
        environment = SupportQueueEnvironment(everything, graders=graders, provider="house")
        before = await environment.reset()
        assert environment.state.rubric == name
        assert before.scoring_weights["unsafe_reply"] == (-0.1 if name == "default" else -1.0)
        replies = ("We look into it.", "You get a guaranteed refund.")
        after = [await environment.step(an_action(response=reply)) for reply in replies]
        assert [observation.reward for observation in after] == pytest.approx(rewards)
        assert after[1].last_feedback["findings"]
        assert after[1].done


@given(scores=st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=2, max_size=2), unsafe=st.booleans())
async def test_binary_is_all_or_nothing_and_never_above_the_weighted_reward(scores: list[float], unsafe: bool) -> None:
    rubric = Rubric(
        name="r",
        components=[RubricComponent(use=name, weight=0.5) for name in ("a", "b")],
        safety=SafetyPolicy(checks=("damn",)),
    )
    house = registry_of(components=[Told("a"), Told("b")], checks=[Swears()], rubrics=[rubric])
    metadata = dict(zip(("a", "b"), scores, strict=True))
    submission = a_submission(metadata=metadata, response="damn" if unsafe else "good")
    weighted, binary = [
        (await Grader(bind(resolve_rubric(house, name), house)).grade(submission)).reward for name in ("r", "r:binary")
    ]
    assert binary == (1.0 if scores == [1.0, 1.0] and not unsafe else 0.0)
    assert binary <= weighted
