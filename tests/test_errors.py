"""Errors: one tree, errors that travel, and the boundary around plugin code."""

from __future__ import annotations

import asyncio
import inspect
import pickle

import pytest

from supportbench import (
    AgentError,
    DecodeError,
    GradingError,
    PluginLoadError,
    ProviderError,
    SupportbenchError,
    errors,
)
from supportbench.errors import Fault, PluginFailure, boundary
from supportbench.wording import did_you_mean


def test_the_docstring_draws_the_whole_tree() -> None:
    drawn = str(errors.__doc__)
    for name, value in vars(errors).items():
        if inspect.isclass(value) and issubclass(value, Exception):
            assert issubclass(value, SupportbenchError)
            assert name in drawn


@pytest.mark.parametrize(
    "error",
    [
        DecodeError([Fault("a.b", "wrong"), Fault("", "worse")]),
        PluginLoadError([PluginFailure("bakery", "supportbench-bakery 1", "no flour")]),
        GradingError("component 'x' failed"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_travels_between_processes(error: SupportbenchError) -> None:
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert type(copy) is type(error)
    assert str(copy) == str(error)


def test_a_decode_error_says_the_first_fault_and_how_many_more() -> None:
    assert str(DecodeError([Fault("a.b", "wrong")])) == "a.b: wrong"
    assert str(DecodeError([Fault("", "wrong"), Fault("x", "too")])) == "wrong (and 1 more)"


class TestTheBoundary:
    def test_lets_what_succeeds_pass(self) -> None:
        with boundary(GradingError, "component 'x'"):
            pass

    def test_names_who_and_what_and_the_kind_of_exception_but_not_its_text(self) -> None:
        with pytest.raises(GradingError) as caught, boundary(GradingError, "component 'x'", "ticket 'A-1'"):
            raise KeyError("expected escalate")
        assert str(caught.value) == "component 'x' failed at ticket 'A-1': KeyError"
        assert caught.value.detail == ("component 'x' failed at ticket 'A-1': KeyError (KeyError: 'expected escalate')")

    def test_shows_the_text_of_an_agents_exception(self) -> None:
        with pytest.raises(AgentError) as caught, boundary(AgentError, "agent 'x'"):
            raise TimeoutError("no answer in 30 s")
        assert str(caught.value) == "agent 'x' failed: TimeoutError: no answer in 30 s"
        assert caught.value.detail == str(caught.value)

    def test_an_error_of_the_very_type_passes_as_it_is(self) -> None:
        own = GradingError("in words of my own")
        with pytest.raises(GradingError) as caught, boundary(GradingError, "component 'x'"):
            raise own
        assert caught.value is own
        assert own.detail == "in words of my own"

    def test_an_error_of_another_boundary_is_wrapped(self) -> None:
        with (
            pytest.raises(GradingError, match="component 'x' failed: ProviderError"),
            boundary(GradingError, "component 'x'"),
        ):
            raise ProviderError("the disk is gone")

    def test_an_exit_is_an_error_like_any_other(self) -> None:
        with (
            pytest.raises(GradingError, match="component 'x' failed: SystemExit"),
            boundary(GradingError, "component 'x'"),
        ):
            raise SystemExit(2)

    @pytest.mark.parametrize("passing", [KeyboardInterrupt, asyncio.CancelledError, GeneratorExit])
    def test_what_ends_the_work_from_outside_passes(self, passing: type[BaseException]) -> None:
        with pytest.raises(passing), boundary(GradingError, "component 'x'"):
            raise passing


class TestDidYouMean:
    def test_the_nearest_goes_first(self) -> None:
        assert did_you_mean("fuzy", ["exact", "fuzzy"]) == "Did you mean 'fuzzy'? Known: 'exact', 'fuzzy'."

    def test_nothing_near_lists_what_is_known(self) -> None:
        assert did_you_mean("zzz", ["b", "a"]) == "Known: 'a', 'b'."
        assert did_you_mean("zzz", []) == "Known: none."

    def test_at_most_twenty_are_listed(self) -> None:
        assert did_you_mean("zzz", [f"{number:02}" for number in range(25)]).endswith("'19' and 5 more.")

    def test_a_huge_name_costs_nothing(self) -> None:
        assert len(did_you_mean("x" * 10_000_000, ["abc"])) < 100
