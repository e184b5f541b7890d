"""Settings: from environment variables, refused where they make no sense."""

from __future__ import annotations

import pytest

from supportbench import Settings, SettingsError


def test_nothing_set_is_the_default() -> None:
    assert Settings.from_environ({}) == Settings()
    assert Settings() == Settings(provider="triage", rubric=None, feedback="scores", block=())


def test_each_variable_is_read() -> None:
    settings = Settings.from_environ(
        {
            "SUPPORTBENCH_PROVIDER": "bakery",
            "SUPPORTBENCH_RUBRIC": "exact",
            "SUPPORTBENCH_FEEDBACK": "full",
            "SUPPORTBENCH_BLOCK": "a,b",
        }
    )
    assert settings == Settings(provider="bakery", rubric="exact", feedback="full", block=("a", "b"))


def test_an_empty_variable_is_as_good_as_none() -> None:
    names = ("PROVIDER", "RUBRIC", "FEEDBACK", "BLOCK")
    assert Settings.from_environ({f"SUPPORTBENCH_{name}": "" for name in names}) == Settings()


@pytest.mark.parametrize(
    ("text", "names"),
    [("a", ("a",)), ("a, b", ("a", "b")), (" a ,,b, ", ("a", "b")), ("a,a", ("a",)), (" , ", ())],
)
def test_a_list_of_blocked_names(text: str, names: tuple[str, ...]) -> None:
    assert Settings.from_environ({"SUPPORTBENCH_BLOCK": text}).block == names


def test_a_wrong_value_is_refused_with_what_is_allowed() -> None:
    with pytest.raises(SettingsError, match=r"SUPPORTBENCH_FEEDBACK is 'ful'\. Did you mean 'full'\? Known: 'full', "):
        Settings.from_environ({"SUPPORTBENCH_FEEDBACK": "ful"})


def test_a_misspelt_variable_is_refused() -> None:
    with pytest.raises(
        SettingsError, match=r"SUPPORTBENCH_BLOCKS is not a setting\. Did you mean 'SUPPORTBENCH_BLOCK'"
    ):
        Settings.from_environ({"SUPPORTBENCH_BLOCKS": "a"})


@pytest.mark.parametrize("name", ["JUDGE_URL", "JUDGE_MODEL", "REPORT_DIR"])
def test_a_plugins_own_variable_is_not_a_misspelt_setting(name: str) -> None:
    assert Settings.from_environ({f"SUPPORTBENCH_{name}": "u"}) == Settings()


def test_another_programs_variables_are_none_of_our_business() -> None:
    assert Settings.from_environ({"SUPPORTBENCHMARK": "1", "PROVIDER": "x"}) == Settings()
