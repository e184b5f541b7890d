"""Settings: from environment variables, refused where they make no sense."""

from __future__ import annotations

import re
from typing import Any

import attrs
import pytest

from supportbench import Settings, SettingsError
from supportbench.settings import ServerSettings


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


class TestAServer:
    def test_every_setting_survives_the_way_through_the_environment(self) -> None:
        changed: dict[str, Any] = {
            "provider": "bakery",
            "rubric": "exact",
            "feedback": "none",
            "block": ("a", "b"),
            "host": "::1",
            "port": 0,
            "workers": 3,
            "mode": "production",
            "tokens": ("first-token", "second-token"),
            "max_sessions": 5,
            "session_timeout_s": 1.5,
            "step_timeout_s": 2.5,
            "drain_timeout_s": 0.0,
            "ping_interval_s": 0.1,
            "store": "redis://:secret@host/1",
            "default_session": False,
            "record": "kept",
            "max_body": 2048,
            "max_frame": 4096,
            "max_header": 1024,
            "connection_limit": 0,
            "message_limit": 0.5,
            "allowed_hosts": ("a.example", "b.example"),
            "allowed_origins": ("https://a.example",),
            "log_level": "debug",
            "log_format": "json",
            "agent": "random",
        }
        settings = ServerSettings(**changed)
        assert changed.keys() == {field.name for field in attrs.fields(ServerSettings)}
        assert ServerSettings.from_environ(settings.to_environ()) == settings

    def test_what_is_not_set_is_not_handed_on(self) -> None:
        assert ServerSettings().to_environ() == {}

    @pytest.mark.parametrize(
        ("variable", "value", "told"),
        [
            ("SUPPORTBENCH_TOKEN", " , ", "SUPPORTBENCH_TOKEN is refused. It names no token"),
            ("SUPPORTBENCH_MODE", "production", "SUPPORTBENCH_MODE is not a setting. It is called OPENENV_MODE."),
        ],
    )
    def test_what_would_pass_for_a_setting_is_refused(self, variable: str, value: str, told: str) -> None:
        with pytest.raises(SettingsError, match=f"^{re.escape(told)}"):
            ServerSettings.from_environ({variable: value})

    @pytest.mark.parametrize(
        ("variable", "value", "problem"),
        [
            ("SUPPORTBENCH_PORT", "http", "It must be a whole number"),
            ("SUPPORTBENCH_PORT", "65536", "It must be from 0 to 65535"),
            ("SUPPORTBENCH_PORT", "-1", "It must be from 0 to 65535"),
            ("SUPPORTBENCH_WORKERS", "0", "It must be at least 1"),
            ("SUPPORTBENCH_DEFAULT_SESSION", "maybe", "It must be true or false"),
            ("SUPPORTBENCH_SESSION_TIMEOUT", "0", "It must be above 0"),
            ("SUPPORTBENCH_SESSION_TIMEOUT", "nan", "It must be above 0"),
            ("SUPPORTBENCH_STEP_TIMEOUT", "inf", "It must be above 0 and at most 31536000"),
            ("SUPPORTBENCH_DEFAULT_SESSION", "maybe", "must be true or false"),
            ("OPENENV_MODE", "simulations", "Did you mean 'simulation'"),
            ("SUPPORTBENCH_LOG_LEVEL", "loud", "Known: 'debug'"),
        ],
    )
    def test_an_impossible_value_is_refused_with_the_variable_and_what_is_allowed(
        self, variable: str, value: str, problem: str
    ) -> None:
        with pytest.raises(SettingsError, match=f"^{variable} is '{value}'.*{problem}"):
            ServerSettings.from_environ({variable: value})

    @pytest.mark.parametrize("token", ["short", "with a blank", "nön-ascii-token"])
    def test_a_poor_token_is_refused_and_never_shown(self, token: str) -> None:
        with pytest.raises(SettingsError, match=r"^SUPPORTBENCH_TOKEN is refused") as refused:
            ServerSettings.from_environ({"SUPPORTBENCH_TOKEN": f"a-good-token,{token}"})
        assert token not in str(refused.value)

    def test_secrets_are_not_in_the_repr(self) -> None:
        text = repr(ServerSettings(tokens=("a-good-token",), store="redis://:secret@host"))
        assert "a-good-token" not in text
        assert "secret" not in text
