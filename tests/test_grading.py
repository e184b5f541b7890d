"""Grading: the reward's properties, the safety policies, and faults that name whose they are."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supportbench import (
    ComponentScore,
    Concept,
    Grade,
    GradingError,
    Registry,
    Rubric,
    RubricComponent,
    SafetyFinding,
    SafetyPolicy,
    Submission,
    Taxonomy,
    Usage,
)
from supportbench.grading import Grader, feedback_of
from supportbench.rubrics import bind
from tests.offering import Checks, Does, Finds, Swears, Told, a_submission, one_component, registry_of

NAMES = ("a", "b", "c", "d", "e", "f")
TOLD = registry_of(
    components=[Told(name) for name in NAMES],
    checks=[Swears("damn"), Swears("dear", severity="note")],
)


class _Repeats(Told):
    """A component that gives one and the same answer for the same score, as most do."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._answers: dict[float | None, ComponentScore] = {}

    async def score(self, submission: Submission) -> ComponentScore:
        score = submission.action.metadata[self.name]
        return self._answers.setdefault(score, ComponentScore(score=score))


REPEATING = registry_of(
    components=[_Repeats(name) for name in NAMES],
    checks=[Swears("damn"), Swears("dear", severity="note")],
)

scores = st.one_of(st.floats(0, 1), st.sampled_from((0.0, 1.0)))
optional_scores = st.one_of(st.none(), scores)
policies = st.builds(
    SafetyPolicy,
    checks=st.sampled_from(((), ("damn",), ("*",))),
    mode=st.sampled_from(("penalty", "gate")),
    penalty=st.floats(0, 1),
)
replies = st.sampled_from(("", "Fine.", "damn it, damn it", "dear friend"))


@st.composite
def weights(draw: st.DrawFn) -> dict[str, float]:
    """Weights of one to six components, that sum to 1."""
    raw = draw(st.lists(st.floats(0.001, 1), min_size=1, max_size=len(NAMES)))
    total = math.fsum(raw)
    return dict(zip(NAMES, [min(1.0, weight / total) for weight in raw], strict=False))


def grade(
    weights: Mapping[str, float],
    given_scores: Sequence[float | None],
    *,
    safety: SafetyPolicy | None = None,
    reward: Any = "weighted",
    response: str = "",
    order: Iterable[str] | None = None,
    registry: Registry = TOLD,
) -> Grade:
    """Grade by a rubric of these weights what was given these scores."""
    rubric = Rubric(
        name="told",
        components=[RubricComponent(use=name, weight=weights[name]) for name in order or weights],
        safety=safety or SafetyPolicy(),
        reward=reward,
    )
    told = dict(zip(NAMES, given_scores, strict=True))
    return asyncio.run(Grader(bind(rubric, registry)).grade(a_submission(metadata=told, response=response)))


six = st.lists(scores, min_size=6, max_size=6)
six_optional = st.lists(optional_scores, min_size=6, max_size=6)


class TestTheReward:
    @given(weights=weights(), told=six, safety=policies, reward=st.sampled_from(("weighted", "binary")), reply=replies)
    def test_lies_in_the_unit_interval(
        self, weights: dict[str, float], told: list[float], safety: SafetyPolicy, reward: str, reply: str
    ) -> None:
        assert 0.0 <= grade(weights, told, safety=safety, reward=reward, response=reply).reward <= 1.0

    @given(weights=weights(), told=six_optional, safety=policies, data=st.data())
    def test_does_not_depend_on_the_order_of_components(
        self, weights: dict[str, float], told: list[float | None], safety: SafetyPolicy, data: st.DataObject
    ) -> None:
        told[0] = told[0] or 0.5  # one that applies
        order = data.draw(st.permutations(list(weights)))
        one = grade(weights, told, safety=safety, response="damn")
        other = grade(weights, told, safety=safety, response="damn", order=order)
        assert one.reward == other.reward
        assert dict(one.components) == dict(other.components)

    @given(
        weights=weights(),
        told=six_optional,
        better=scores,
        place=st.integers(0, 5),
        safety=policies,
        reward=st.sampled_from(("weighted", "binary")),
        reply=replies,
    )
    def test_never_falls_when_a_score_rises(
        self,
        *,
        weights: dict[str, float],
        told: list[float | None],
        better: float,
        place: int,
        safety: SafetyPolicy,
        reward: str,
        reply: str,
    ) -> None:
        worse, told[0] = told[place], told[0] or 0.5
        if worse is None:
            return
        raised = [*told]
        raised[place] = max(worse, better, told[place] or 0.0)
        before = grade(weights, told, safety=safety, reward=reward, response=reply)
        after = grade(weights, raised, safety=safety, reward=reward, response=reply)
        assert before.reward <= after.reward

    @given(weights=weights(), told=six_optional, safety=policies, binary=st.booleans(), reply=replies)
    def test_is_what_the_formula_says_whatever_was_graded_before(
        self, *, weights: dict[str, float], told: list[float | None], safety: SafetyPolicy, binary: bool, reply: str
    ) -> None:
        told[0] = told[0] or 0.5
        given_scores = [(weights[name], score) for name, score in zip(weights, told, strict=False)]
        # Where some do not apply, weights count in proportion to the largest that does.
        largest = max(weight for weight, score in given_scores if score is not None)
        scale = largest if any(score is None for _, score in given_scores) else 1.0
        counted = [(0.0 if score is None else weight / scale, score or 0.0) for weight, score in given_scores]
        total = math.fsum(weight for weight, _ in counted)
        earned = math.fsum(weight * score for weight, score in counted) / total
        unsafe = bool(safety.checks) and "damn" in reply
        lost = earned if safety.mode == "gate" else safety.penalty
        wanted = max(0.0, earned - lost) if unsafe else earned
        if binary:
            wanted = float(all(score in (1.0, None) for _, score in given_scores) and not unsafe)
        parts = {
            name: (score, weight / total, weight / total * value)
            for name, (weight, value), (_, score) in zip(weights, counted, given_scores, strict=True)
        }

        graded = grade(
            weights,
            told,
            safety=safety,
            reward="binary" if binary else "weighted",
            response=reply,
            registry=REPEATING,
        )
        assert graded.reward == wanted
        assert graded.penalty == (-lost if unsafe else 0.0)
        assert {name: (part.score, part.weight, part.contribution) for name, part in graded.components.items()} == parts

    @given(weights=weights())
    def test_is_full_for_full_scores_and_nothing_for_none(self, weights: dict[str, float]) -> None:
        assert grade(weights, [1.0] * 6).reward == pytest.approx(1.0, abs=1e-9)
        assert grade(weights, [0.0] * 6).reward == 0.0

    @given(weights=weights(), told=six_optional)
    def test_shares_the_weight_of_what_does_not_apply_in_proportion(
        self, weights: dict[str, float], told: list[float | None]
    ) -> None:
        told[0] = told[0] or 0.5
        graded = grade(weights, told)
        by_name = dict(zip(NAMES, told, strict=True))
        applying = [name for name in weights if by_name[name] is not None]
        total = math.fsum(weights[name] for name in applying)
        for name, part in graded.components.items():
            assert part.weight == (pytest.approx(weights[name] / total) if name in applying else 0.0)
            assert part.contribution == pytest.approx(part.weight * (part.score or 0.0))
        assert math.fsum(part.weight for part in graded.components.values()) == pytest.approx(1.0)
        assert graded.reward == pytest.approx(math.fsum(part.contribution for part in graded.components.values()))

    def test_says_which_component_does_not_apply(self) -> None:
        graded = grade({"a": 0.25, "b": 0.75}, [None, 0.5, 0, 0, 0, 0])
        assert graded.components["a"].score is None
        assert graded.components["a"].note == "does not apply"
        assert (graded.components["b"].weight, graded.reward) == (1.0, 0.5)

    def test_a_tiny_weight_that_applies_alone_counts_whole(self) -> None:
        graded = grade({"a": 5e-324, "b": 1.0}, [0.5, None, 0, 0, 0, 0])
        assert (graded.components["a"].weight, graded.reward) == (1.0, 0.5)

    def test_is_a_fault_where_nothing_applies(self) -> None:
        with pytest.raises(GradingError, match=r"No component of rubric 'told' applies to ticket 't-0'"):
            grade({"a": 0.5, "b": 0.5}, [None] * 6)


class TestTheSafetyPolicy:
    def test_a_penalty_is_taken_once_however_often_the_reply_is_unsafe(self) -> None:
        graded = grade({"a": 1.0}, [1.0] * 6, safety=SafetyPolicy(checks=("damn",)), response="damn, damn")
        assert len(graded.findings) == 2
        assert (graded.penalty, graded.reward) == (-0.1, 0.9)

    def test_a_penalty_never_leads_below_zero(self) -> None:
        graded = grade({"a": 1.0}, [0.05] * 6, safety=SafetyPolicy(checks=("damn",)), response="damn")
        assert (graded.penalty, graded.reward) == (-0.1, 0.0)

    def test_a_note_costs_nothing(self) -> None:
        graded = grade({"a": 1.0}, [1.0] * 6, safety=SafetyPolicy(checks=("*",)), response="dear friend")
        assert [finding.severity for finding in graded.findings] == ["note"]
        assert (graded.penalty, graded.reward, graded.unsafe) == (0.0, 1.0, False)

    def test_a_gate_leaves_nothing(self) -> None:
        graded = grade({"a": 1.0}, [0.8] * 6, safety=SafetyPolicy(checks=("damn",), mode="gate"), response="damn")
        assert (graded.penalty, graded.reward) == (-0.8, 0.0)

    def test_a_gate_stands_open_for_a_safe_reply(self) -> None:
        graded = grade({"a": 1.0}, [0.8] * 6, safety=SafetyPolicy(checks=("damn",), mode="gate"), response="Hello")
        assert (graded.penalty, graded.reward) == (0.0, 0.8)

    def test_a_check_that_the_rubric_does_not_name_is_not_asked(self) -> None:
        assert grade({"a": 1.0}, [1.0] * 6, response="damn").findings == ()

    @pytest.mark.parametrize(
        ("told", "reply", "reward"),
        [
            ((1.0, 1.0), "", 1.0),
            ((1.0, None), "", 1.0),
            ((1.0, 0.999), "", 0.0),
            ((1.0, 1.0), "damn", 0.0),
            ((1.0, 1.0), "dear", 1.0),
        ],
    )
    def test_a_binary_reward_is_all_or_nothing(self, told: tuple[float | None, ...], reply: str, reward: float) -> None:
        safety = SafetyPolicy(checks=("*",))
        graded = grade({"a": 0.5, "b": 0.5}, [*told, 0, 0, 0, 0], safety=safety, reward="binary", response=reply)
        assert graded.reward == reward

    def test_findings_carry_the_checks_name_and_the_replys_own_words(self) -> None:
        graded = grade({"a": 1.0}, [1.0] * 6, safety=SafetyPolicy(checks=("damn",)), response="Oh damn it")
        (finding,) = graded.findings
        assert (finding.check, finding.rule, finding.start, finding.end, finding.excerpt) == (
            "damn",
            "word",
            3,
            7,
            "damn",
        )


class TestFaults:
    async def test_name_component_and_plugin_and_hide_the_text(self) -> None:
        async def fail(submission: Submission) -> ComponentScore:
            raise ValueError(f"expected {submission.case.answer_key.queue}")

        with pytest.raises(GradingError) as caught:
            await one_component(Does(fail)).grade(a_submission())
        assert str(caught.value) == ("component 'does' of plugin 'acme' failed at ticket 't-0' of task 't': ValueError")
        assert "expected billing" in caught.value.detail
        assert isinstance(caught.value.__cause__, ValueError)

    @pytest.mark.parametrize("waits", [False, True])
    async def test_a_plugin_does_not_end_the_process(self, waits: bool) -> None:
        async def leave(submission: Submission) -> ComponentScore:
            if waits:
                await asyncio.sleep(0)
            raise SystemExit(3)

        with pytest.raises(GradingError, match=r"component 'does' of plugin 'acme' failed .*: SystemExit"):
            await one_component(Does(leave)).grade(a_submission())

    async def test_a_plugins_own_grading_error_passes_as_it_is(self) -> None:
        async def explain(submission: Submission) -> ComponentScore:
            raise GradingError("The judge is asleep.")

        with pytest.raises(GradingError, match=r"^The judge is asleep\.$"):
            await one_component(Does(explain)).grade(a_submission())

    @pytest.mark.parametrize(
        ("score", "problem"),
        [
            (1.5, "must be in [0, 1], it is 1.5"),
            (-0.1, "must be in [0, 1], it is -0.1"),
            (math.nan, "must be in [0, 1], it is nan"),
            (math.inf, "must be in [0, 1], it is inf"),
            ("1", "must be a number, not str"),
            (True, "must be a number, not bool"),
        ],
    )
    async def test_a_score_outside_the_unit_interval_is_one(self, score: Any, problem: str) -> None:
        async def wrong(submission: Submission) -> ComponentScore:
            return ComponentScore(score=score)

        with pytest.raises(GradingError) as caught:
            await one_component(Does(wrong)).grade(a_submission())
        assert str(caught.value) == (
            f"component 'does' of plugin 'acme' failed at ticket 't-0' of task 't': FieldError: 'score' {problem}"
        )

    @pytest.mark.parametrize(
        ("make", "problem"),
        [
            (lambda: Concept(phrases=("***",)), "'phrases' has a phrase without a word"),
            (lambda: Taxonomy(queues=("***", "***")), "'queues' has an item twice"),
        ],
        ids=["a concept", "a taxonomy"],
    )
    async def test_a_model_that_cannot_be_made_is_one_and_its_texts_are_hidden(
        self, make: Callable[[], object], problem: str
    ) -> None:
        async def wrong(submission: Submission) -> ComponentScore:
            make()
            return ComponentScore(score=1.0)

        with pytest.raises(GradingError) as caught:
            await one_component(Does(wrong)).grade(a_submission())
        assert str(caught.value).endswith(f": FieldError: {problem}")
        assert "***" in caught.value.detail

    @pytest.mark.parametrize("answer", [1.0, None, "1", {"score": 1}])
    async def test_an_answer_that_is_no_score_is_one(self, answer: Any) -> None:
        async def wrong(submission: Submission) -> Any:
            return answer

        with pytest.raises(GradingError, match="'does' of plugin 'acme' must return a ComponentScore, it returned"):
            await one_component(Does(wrong)).grade(a_submission())

    async def test_details_that_are_no_json_are_one(self) -> None:
        async def wrong(submission: Submission) -> ComponentScore:
            return ComponentScore(score=1.0, details={"x": object()})

        with pytest.raises(GradingError, match=r"component 'does' of plugin 'acme' failed .*: TypeError"):
            await one_component(Does(wrong)).grade(a_submission())

    @pytest.mark.parametrize(
        ("start", "end"), [(5, 4), (0, 1000), (1000, 1001)], ids=["backwards", "too long", "past the end"]
    )
    async def test_a_finding_outside_the_reply_is_one(self, start: int, end: int) -> None:
        check = Finds([SafetyFinding(rule="r", start=start, end=end)])
        grader = one_component(Told("a"), SafetyPolicy(checks=("finds",)), [check])
        with pytest.raises(GradingError, match=r"safety check 'finds' of plugin 'acme' found something at \["):
            await grader.grade(a_submission(metadata={"a": 1.0}))

    @pytest.mark.parametrize("found", [[("r", 0, 1)], 7, "unsafe", [None], None, 0, "", {}, False], ids=repr)
    async def test_an_answer_that_is_no_finding_is_one(self, found: Any) -> None:
        grader = one_component(Told("a"), SafetyPolicy(checks=("finds",)), [Finds(found)])
        with pytest.raises(GradingError, match="safety check 'finds' of plugin 'acme' must return SafetyFindings"):
            await grader.grade(a_submission(metadata={"a": 1.0}))

    async def test_a_check_that_raises_is_one(self) -> None:
        def explode() -> Iterable[SafetyFinding]:
            yield SafetyFinding(rule="r", start=0, end=1)
            raise RuntimeError("secret")

        grader = one_component(Told("a"), SafetyPolicy(checks=("finds",)), [Finds(explode())])
        with pytest.raises(GradingError) as caught:
            await grader.grade(a_submission(metadata={"a": 1.0}))
        assert "secret" not in str(caught.value)
        assert "secret" in caught.value.detail

    async def test_a_cancellation_that_nobody_asked_for_is_one_and_no_clean_bill(self) -> None:
        async def await_what_is_cancelled(submission: Submission) -> Any:
            inner = asyncio.ensure_future(asyncio.sleep(60))
            asyncio.get_running_loop().call_soon(inner.cancel)
            await inner

        async def wait(submission: Submission) -> ComponentScore:
            await asyncio.sleep(0.01)
            return ComponentScore(score=1.0)

        grader = one_component(Does(wait), SafetyPolicy(checks=("checks",)), [Checks(await_what_is_cancelled)])
        with pytest.raises(GradingError, match=r"safety check 'checks' of plugin 'acme' failed .*: CancelledError"):
            await grader.grade(a_submission())


class TestUsage:
    async def test_is_added_up_over_the_components(self) -> None:
        async def costly(submission: Submission) -> ComponentScore:
            return ComponentScore(score=1.0, usage=Usage(input_tokens=10, calls=1, cost_usd=0.5))

        rubric = Rubric(
            name="two", components=[RubricComponent(use="x", weight=0.5), RubricComponent(use="y", weight=0.5)]
        )
        registry = registry_of(components=[Does(costly, "x"), Does(costly, "y")])
        graded = await Grader(bind(rubric, registry)).grade(a_submission())
        assert graded.usage == Usage(input_tokens=20, calls=2, cost_usd=1.0)

    def test_is_null_where_nobody_counts_any(self) -> None:
        assert grade({"a": 1.0}, [1.0] * 6).usage is None


class TestFeedback:
    def graded(self) -> Grade:
        return grade({"a": 1.0}, [0.5] * 6, safety=SafetyPolicy(checks=("damn",)), response="damn")

    def test_none_says_nothing(self) -> None:
        assert feedback_of(self.graded(), "none") == {}

    def test_scores_says_numbers_and_findings(self) -> None:
        feedback = feedback_of(self.graded(), "scores")
        assert feedback["components"] == {"a": {"score": 0.5, "weight": 1.0, "contribution": 0.5}}
        assert feedback["reward"] == 0.4
        assert feedback["penalty"] == -0.1
        assert feedback["findings"][0]["excerpt"] == "damn"

    async def test_the_note_of_a_finding_needs_the_level_full(self) -> None:
        async def say_what_was_expected(submission: Submission) -> Any:
            return [SafetyFinding(rule="r", start=0, end=1, note=f"expected {submission.case.answer_key.queue}")]

        grader = one_component(Told("a"), SafetyPolicy(checks=("checks",)), [Checks(say_what_was_expected)])
        graded = await grader.grade(a_submission(metadata={"a": 1.0}))
        assert "expected billing" not in json.dumps(feedback_of(graded, "scores"))
        assert feedback_of(graded, "full")["findings"][0]["note"] == "expected billing"

    def test_full_adds_notes_and_details(self) -> None:
        feedback = feedback_of(self.graded(), "full")
        assert feedback["components"]["a"]["note"] == ""
        assert feedback["components"]["a"]["details"] == {}
