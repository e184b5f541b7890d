"""The codec: what goes out comes back, and whatever comes in is a value or a `DecodeError` that says where."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supportbench import (
    AnswerKey,
    Case,
    ComponentScore,
    DecodeError,
    Rubric,
    SafetyFinding,
    SupportQueueAction,
    SupportQueueState,
    Task,
    Ticket,
    decode,
    decode_toml,
    encode,
    fingerprint,
    json_schema,
    models,
    structure,
    unstructure,
)
from tests.strategies import MODELS, jsons, tasks

KINDS = sorted(MODELS, key=lambda kind: kind.__name__)
ACTION = {"priority": "P1", "queue": "q", "disposition": "d", "summary": "s", "response": "r", "confidence": 0.5}
TICKET = {"ticket_id": "A-1", "subject": "", "body": ""}
TASK: dict[str, Any] = {
    "task_id": "t",
    "title": "",
    "difficulty": "",
    "description": "",
    "instructions": "",
    "cases": [{"ticket": TICKET, "answer_key": {"priority": "P1"}}],
}


def faults_of(data: object, kind: type[Any]) -> list[str]:
    with pytest.raises(DecodeError) as caught:
        decode(json.dumps(data), kind)
    return [str(fault) for fault in caught.value.faults]


def of_each_kind(test: Any) -> Any:
    few_of_each = settings(max_examples=settings().max_examples // 5)(test)
    return pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)(few_of_each)


def test_every_model_has_a_strategy() -> None:
    exported = {value for name in models.__all__ if inspect.isclass(value := getattr(models, name))}
    assert exported <= set(MODELS)


class TestThereAndBack:
    @of_each_kind
    @given(data=st.data())
    def test_what_was_encoded_decodes_to_the_same_value(self, kind: type[Any], data: st.DataObject) -> None:
        value = data.draw(MODELS[kind])
        assert decode(encode(value), kind) == value

    @of_each_kind
    @given(data=st.data())
    def test_what_was_encoded_is_json_for_everybody(self, kind: type[Any], data: st.DataObject) -> None:
        value = data.draw(MODELS[kind])
        text = encode(value).decode()
        assert "NaN" not in text or "NaN" in repr(value)
        assert decode(json.dumps(json.loads(text)), kind) == value

    @of_each_kind
    @given(data=st.data())
    def test_what_was_unstructured_structures_to_the_same_value(self, kind: type[Any], data: st.DataObject) -> None:
        value = data.draw(MODELS[kind])
        assert structure(unstructure(value), kind) == value

    @given(tasks)
    def test_equal_bytes_have_equal_fingerprints(self, task: Task) -> None:
        assert fingerprint(decode(encode(task), Task)) == fingerprint(task)

    def test_a_fingerprint_follows_every_part(self) -> None:
        task = decode(json.dumps(TASK), Task)
        assert fingerprint(attrs.evolve(task, title="x")) != fingerprint(task)
        assert fingerprint(attrs.evolve(task, extra={"a": 1})) != fingerprint(task)

    def test_equal_values_have_equal_fingerprints(self) -> None:
        one, other = (Ticket(ticket_id="A-1", subject="", body="", sla_hours=hours) for hours in (8, 8.0))
        assert one == other
        assert fingerprint(one) == fingerprint(other)

    def test_true_is_not_one_to_a_fingerprint(self) -> None:
        one, true = (Ticket(ticket_id="A-1", subject="", body="", extra={"x": value}) for value in (1, True))
        assert fingerprint(one) != fingerprint(true)

    def test_tuples_in_a_free_object_come_back_the_same(self) -> None:
        score = ComponentScore(score=1, details={"a": ("x", {"b": ("y",)})})
        assert decode(encode(score), ComponentScore) == score

    def test_what_is_nested_as_deep_as_is_allowed_comes_back_the_same(self) -> None:
        text = '{"score":1,"details":' + '{"a":' * 60 + "1" + "}" * 60 + "}"
        score = decode(text, ComponentScore)
        assert decode(encode(score), ComponentScore) == score

    def test_floats_come_back_bit_for_bit(self) -> None:
        score = ComponentScore(score=0.1 + 0.2)
        assert decode(encode(score), ComponentScore).score == 0.30000000000000004


class TestGarbage:
    @of_each_kind
    @given(data=st.binary(max_size=200))
    def test_arbitrary_bytes_are_a_value_or_a_decode_error(self, kind: type[Any], data: bytes) -> None:
        assert type(_value_or_fault(lambda: decode(data, kind))) in (kind, DecodeError)

    @of_each_kind
    @given(value=jsons)
    def test_arbitrary_json_is_a_value_or_a_decode_error(self, kind: type[Any], value: object) -> None:
        assert type(_value_or_fault(lambda: structure(value, kind))) in (kind, DecodeError)

    @of_each_kind
    @given(data=st.data(), value=jsons)
    def test_one_wrong_value_anywhere_is_a_value_or_a_decode_error(
        self, kind: type[Any], data: st.DataObject, value: object
    ) -> None:
        mutated = _with_one_change(data, unstructure(data.draw(MODELS[kind])), value)
        decoded = _value_or_fault(lambda: structure(mutated, kind))
        if isinstance(decoded, DecodeError):
            assert all(fault.message for fault in decoded.faults)
        else:
            assert structure(unstructure(decoded), kind) == decoded

    @pytest.mark.parametrize(
        "text",
        [
            b"",
            b"nul",
            b"{",
            b'{"priority": NaN}',
            b'{"confidence": 1e999}',
            b'{"confidence": Infinity}',
            b'"\\ud800"',
            b'{"summary": "\\udc00\\ud800"}',
            b"\xff\xfe",
            b"\xed\xa0\x80",
            b"[" * 100_000,
            b'{"metadata":' * 100_000,
            b'{"confidence": 1' + b"0" * 10_000 + b"}",
        ],
        ids=lambda text: repr(text[:24]),
    )
    def test_broken_json_is_a_short_decode_error(self, text: bytes) -> None:
        with pytest.raises(DecodeError) as caught:
            decode(text, SupportQueueAction)
        assert len(str(caught.value)) < 200

    def test_a_python_string_with_a_lone_surrogate_is_refused(self) -> None:
        with pytest.raises(DecodeError, match="no valid JSON"):
            decode('"\ud800"', SupportQueueAction)
        with pytest.raises(DecodeError, match=r"summary: must be valid Unicode, without lone surrogates"):
            structure({**ACTION, "summary": "\ud800"}, SupportQueueAction)

    def test_deep_nesting_inside_a_free_object_is_refused(self) -> None:
        deep: object = 1
        for _ in range(70):
            deep = [deep]
        faults = faults_of({**ACTION, "metadata": {"a": deep}}, SupportQueueAction)
        assert faults == ["metadata: nested deeper than 64 levels"]

    @pytest.mark.parametrize("large", [[[]] * 5_000, {str(n): n for n in range(5_000)}, [[[1] * 70] * 70]])
    def test_an_agent_leaves_no_more_than_so_many_values(self, large: object) -> None:
        action = {**ACTION, "metadata": {"large": large}}
        with pytest.raises(DecodeError, match=r"^metadata: must have at most 4096 values, at all levels together$"):
            structure(action, SupportQueueAction)

    def test_an_integer_of_more_than_64_bits_is_refused_in_a_free_object(self) -> None:
        faults = faults_of({**ACTION, "metadata": {"a": 1 << 64}}, SupportQueueAction)
        assert faults == ["metadata: an integer does not fit into 64 bits"]

    @pytest.mark.parametrize("field", ["priority", "queue", "disposition", "summary", "response", "confidence"])
    @pytest.mark.parametrize("value", [["x" * 100_000], {"x" * 100_000: 1}, None])
    def test_a_large_wrong_value_is_not_repeated(self, field: str, value: object) -> None:
        (fault,) = faults_of({**ACTION, field: value}, SupportQueueAction)
        assert fault.startswith(f"{field}: expected a ")
        assert len(fault) < 100

    def test_a_large_unknown_key_is_shortened(self) -> None:
        (fault,) = faults_of({**ACTION, "x" * 100_000: 1}, SupportQueueAction)
        assert len(fault) < 400

    def test_many_unknown_keys_do_not_amplify(self) -> None:
        data = {**ACTION, **{f"k{number}": 1 for number in range(20_000)}}
        assert sum(map(len, faults_of(data, SupportQueueAction))) < len(json.dumps(data))

    @pytest.mark.parametrize(
        "key",
        [
            {"priority": "P1", "unsafe_phrases": ["." * 100_000]},
            {"queue": "x" * 100_000},
            {"queue": "billing", "acceptable_queues": {"x" * 100_000: 1}},
        ],
        ids=["a phrase without a word", "an unknown queue", "an unknown alternative"],
    )
    def test_a_large_wrong_value_of_an_answer_key_is_not_repeated(self, key: dict[str, Any]) -> None:
        (fault,) = faults_of({**TASK, "cases": [{"ticket": TICKET, "answer_key": key}]}, Task)
        assert len(fault) < 400


class TestNothingIsCoerced:
    @pytest.mark.parametrize(
        ("field", "value", "fault"),
        [
            ("confidence", "0.5", "confidence: expected a number, got a string"),
            ("confidence", True, "confidence: expected a number, got a boolean"),
            ("confidence", None, "confidence: expected a number, got null"),
            ("confidence", 1.5, "confidence: must be in [0, 1], it is 1.5"),
            ("confidence", -1, "confidence: must be in [0, 1], it is -1"),
            ("priority", 1, "priority: expected a string, got a number"),
            ("priority", ["P1"], "priority: expected a string, got a list"),
            ("metadata", [], "metadata: expected an object, got a list"),
            ("metadata", None, "metadata: expected an object, got null"),
        ],
    )
    def test_in_an_action(self, field: str, value: object, fault: str) -> None:
        assert faults_of({**ACTION, field: value}, SupportQueueAction) == [fault]

    def test_a_whole_number_is_a_number(self) -> None:
        assert decode(json.dumps({**ACTION, "confidence": 1}), SupportQueueAction).confidence == 1

    @pytest.mark.parametrize("value", [1.0, "1", True])
    def test_only_an_integer_is_a_whole_number(self, value: object) -> None:
        (fault,) = faults_of({"step_count": value}, SupportQueueState)
        assert fault.startswith("step_count: expected a whole number, got a ")

    @pytest.mark.parametrize("value", [0, 1, "true", None])
    def test_only_a_boolean_is_a_boolean(self, value: object) -> None:
        (fault,) = faults_of({"done": value}, SupportQueueState)
        assert fault.startswith("done: expected a boolean, got ")

    def test_a_string_is_no_list_of_letters(self) -> None:
        assert faults_of({**TICKET, "recent_events": "abc"}, Ticket) == ["recent_events: expected a list, got a string"]

    @pytest.mark.parametrize("value", [5, "text", None, True, [], [1]])
    def test_only_an_object_is_an_object(self, value: object) -> None:
        (fault,) = faults_of(value, SupportQueueAction)
        assert fault.startswith("expected an object, got ")

    def test_null_recent_events_are_none_known(self) -> None:
        assert decode(json.dumps({**TICKET, "recent_events": None}), Ticket).recent_events == ()

    def test_a_severity_is_one_of_two_words(self) -> None:
        finding = {"rule": "r", "start": 0, "end": 1}
        (fault,) = faults_of({**finding, "severity": "unsave"}, SafetyFinding)
        assert fault == "severity: not one of the allowed values. Did you mean 'unsafe'? Known: 'note', 'unsafe'."
        assert faults_of({**finding, "severity": 3}, SafetyFinding) == ["severity: expected a string, got a number"]


class TestFaultsSayWhere:
    def test_every_missing_field_is_named(self) -> None:
        assert faults_of({}, SupportQueueAction) == [
            f"{field}: required, but missing"
            for field in ("priority", "queue", "disposition", "summary", "response", "confidence")
        ]

    def test_an_unknown_key_is_refused_with_the_nearest(self) -> None:
        (fault,) = faults_of({**ACTION, "confidense": 1}, SupportQueueAction)
        assert fault.startswith("confidense: unknown key. Did you mean 'confidence'? Known: 'confidence', ")

    @pytest.mark.parametrize(
        ("key", "path"),
        [
            ({"queue": "billing", "summary_concepts": ["a", "b", 3]}, "cases[0].answer_key.summary_concepts[2]: "),
            ({"queue": "billing", "summary_concepts": ["a", ["b", 3]]}, "cases[0].answer_key.summary_concepts[1]"),
            ({"queue": "billing", "summary_concepts": ["a", "!"]}, "cases[0].answer_key.summary_concepts[1]: "),
            ({"queue": "billing", "unsafe_phrases": [1]}, "cases[0].answer_key.unsafe_phrases[0]: "),
            ({"queue": "billing", "acceptable_queues": {"success": "x"}}, "cases[0].answer_key.acceptable_queues"),
            ({"queue": "billing", "quue": 1}, "cases[0].answer_key.quue: unknown key. Did you mean 'queue'?"),
            ({}, "cases[0].answer_key: an answer key must expect something"),
            ({"queue": ""}, "cases[0].answer_key.queue: must not be empty"),
        ],
    )
    def test_deep_inside_a_task(self, key: dict[str, Any], path: str) -> None:
        (fault,) = faults_of({**TASK, "cases": [{"ticket": TICKET, "answer_key": key}]}, Task)
        assert fault.startswith(path)

    def test_several_faults_come_together(self) -> None:
        faults = faults_of({**ACTION, "confidence": "x", "priority": 1, "more": 2}, SupportQueueAction)
        assert {fault.split(":")[0] for fault in faults} == {"confidence", "priority", "more"}
        with pytest.raises(DecodeError, match=r"\(and 2 more\)$"):
            decode(json.dumps({**ACTION, "confidence": "x", "priority": 1, "more": 2}), SupportQueueAction)

    def test_what_holds_for_the_whole_is_said_of_the_whole(self) -> None:
        twice = {**TASK, "cases": [TASK["cases"][0], TASK["cases"][0]]}
        assert faults_of(twice, Task) == ["ticket id 'A-1' occurs twice in task 't'"]

    def test_an_answer_key_outside_the_taxonomy_is_refused(self) -> None:
        case = {"ticket": TICKET, "answer_key": {"priority": "P9"}}
        (fault,) = faults_of({**TASK, "cases": [case]}, Task)
        assert "has priority 'P9'" in fault
        assert "P1, P2, P3, P4" in fault


class TestToml:
    def test_reads_what_json_reads(self) -> None:
        text = 'ticket_id = "A-1"\nsubject = ""\nbody = """\na\nb"""\nrecent_events = ["x"]\n'
        assert decode_toml(text, Ticket) == Ticket(ticket_id="A-1", subject="", body="a\nb", recent_events=["x"])

    @pytest.mark.parametrize("text", ["=", "a = [", "a = 2026-01-01\n", "a = nan", "[" * 50])
    def test_refuses_what_is_none(self, text: str) -> None:
        with pytest.raises(DecodeError):
            decode_toml(text, Ticket)

    @pytest.mark.parametrize("value", ["2026-01-01", "12:00:00", "nan", "inf"])
    def test_refuses_what_json_does_not_have(self, value: str) -> None:
        with pytest.raises(DecodeError):
            decode_toml(f'ticket_id = "A"\nsubject = ""\nbody = ""\nextra = {{ a = {value} }}\n', Ticket)

    def test_a_rubric_is_written_with_component_and_as(self) -> None:
        rubric = decode_toml('name = "r"\n[[component]]\nuse = "queue"\nas = "q"\nweight = 1\n', Rubric)
        assert (rubric.components[0].use, rubric.components[0].as_) == ("queue", "q")
        assert unstructure(rubric)["component"][0]["as"] == "q"


class TestJsonSchema:
    @pytest.mark.parametrize("kind", [SupportQueueAction, SupportQueueState, Ticket, Case, AnswerKey])
    def test_is_closed_and_names_every_field(self, kind: type[Any]) -> None:
        schema = json_schema(kind)
        definition = schema["$defs"][kind.__name__]
        assert definition["additionalProperties"] is False
        assert set(definition["properties"]) == {field.name for field in attrs.fields(kind)}

    def test_a_concept_is_a_phrase_or_a_list_of_them_as_in_a_file(self) -> None:
        definitions = json_schema(AnswerKey)["$defs"]
        assert definitions["AnswerKey"]["properties"]["summary_concepts"]["items"] == {"$ref": "#/$defs/Concept"}
        phrase = {"type": "string"}
        assert definitions["Concept"] == {"anyOf": [phrase, {"type": "array", "items": phrase, "minItems": 1}]}

    def test_of_an_action_requires_all_but_metadata(self) -> None:
        definition = json_schema(SupportQueueAction)["$defs"]["SupportQueueAction"]
        assert set(definition["required"]) == set(ACTION)


def _value_or_fault(decoding: Callable[[], object]) -> object:
    try:
        return decoding()
    except DecodeError as error:
        return error


def _with_one_change(data: st.DataObject, plain: Any, value: object) -> Any:
    """Return the plain value with one value at a drawn place replaced, or one key or item added."""
    if isinstance(plain, dict) and plain and data.draw(st.booleans()):
        key = data.draw(st.sampled_from(sorted(plain)))
        return {**plain, key: _with_one_change(data, plain[key], value)}
    if isinstance(plain, list | tuple) and plain and data.draw(st.booleans()):
        place = data.draw(st.integers(0, len(plain) - 1))
        return [*plain[:place], _with_one_change(data, plain[place], value), *plain[place + 1 :]]
    return value
