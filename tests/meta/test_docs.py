"""The reference is complete: every hook, option, public name, file key and setting; and Sphinx has no complaint."""

from __future__ import annotations

import html
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import attrs
import click
import pytest
from markdown_it import MarkdownIt

import supportbench
from supportbench import Registry, encode, hookspecs
from supportbench.cli import cli
from supportbench.cli.grade import LoggedAction
from supportbench.codec import _RENAMED
from supportbench.evaluation.copyable_concepts import CopyableConcept
from supportbench.evaluation.manifests import Asked, Origin, RunManifest, TaskManifest
from supportbench.evaluation.regrade_report import Change, RegradeReport, TaskChange, TicketChange, UnscoredTicket
from supportbench.evaluation.results import PluginCard, Results, TaskResult
from supportbench.evaluation.safety_pairs import CheckReport, Miss, RuleReport
from supportbench.evaluation.statistics.comparison import ComparedRun, CompareReport, Comparison, Flip
from supportbench.evaluation.statistics.records import (
    Calibration,
    Confusion,
    Latencies,
    Mean,
    PassRates,
    Rate,
    ReliabilityBin,
    RiskPoint,
    Spending,
    Statistics,
    TaskStatistics,
    Triage,
)
from supportbench.rubrics import bind
from supportbench.settings import ServerSettings, Settings, variable_of
from supportbench.task_files import _TicketLine
from supportbench_agents.openai_options import OpenAIOptions
from supportbench_judge.options import JudgeOptions
from tests.meta.snippets import DOCS, README, ROOT


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The documentation as Sphinx builds it, each warning an error."""
    built = tmp_path_factory.mktemp("site")
    doctrees = tmp_path_factory.mktemp("doctrees")
    options = ["-W", "-n", "-q", "-E", "--keep-going", "-d", str(doctrees)]
    ended = subprocess.run(
        [sys.executable, "-m", "sphinx", *options, str(DOCS), str(built)], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return built


def _text_of(page: Path) -> str:
    """Return the page's text on one line, as a reader sees it."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8"))).split())


def test_every_hook_is_described_with_its_exact_signature(site: Path) -> None:
    page = _text_of(site / "reference" / "hooks.html")
    hooks = {name: hook for name, hook in vars(hookspecs).items() if name.startswith("supportbench_")}
    assert len(hooks) == 7
    for name, hook in hooks.items():
        signature = str(inspect.signature(hook)).replace("'", "").replace("->", "→")
        assert f"{name}{signature}" in page
        first_sentence = str(hook.__doc__).strip().partition("\n")[0]
        assert first_sentence.replace("`", "") in page


def _commands() -> Iterator[tuple[str, click.Command]]:
    context = click.Context(cli)
    yield "supportbench", cli
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        yield f"supportbench {name}", command


def test_every_option_of_every_command_is_described(site: Path) -> None:
    page = _text_of(site / "reference" / "cli.html")
    for name, command in _commands():
        assert f"Usage: {name}" in page
        section = page.partition(f"Usage: {name} [")[2].partition("Usage: ")[0]
        for parameter in command.params:
            for option in (
                parameter.opts
                if isinstance(parameter, click.Option)
                else [parameter.make_metavar(click.Context(command))]
            ):
                assert option in section, f"{name} {option}"
            if isinstance(parameter, click.Option):
                assert parameter.help, f"{name} {parameter.name} has no help"
        assert "Example: supportbench" in section, f"{name} --help has no example"


def test_every_public_name_is_described_once(site: Path) -> None:
    page = (site / "reference" / "api.html").read_text(encoding="utf-8")
    described = re.findall(r'<dt class="[^"]*" id="supportbench\.(\w+)">', page)
    assert sorted(described) == sorted(supportbench.__all__)


# -- tables -------------------------------------------------------------------------------------------------------

_FACTORY: Final[type[Any]] = type(attrs.fields(supportbench.RubricComponent).as_.default)
_TABLES: Final[Mapping[str, Mapping[str, type[Any]]]] = {
    "reference/files.md": {
        "Task": supportbench.Task,
        "Taxonomy": supportbench.Taxonomy,
        "Case": supportbench.Case,
        "Ticket": supportbench.Ticket,
        "Answer key": supportbench.AnswerKey,
        "Ticket line": _TicketLine,
        "Action": supportbench.SupportQueueAction,
        "Action line": LoggedAction,
        "Rubric": supportbench.Rubric,
        "Component of a rubric": supportbench.RubricComponent,
        "Safety policy": supportbench.SafetyPolicy,
        "run.json": RunManifest,
        "Task of a run": TaskManifest,
        "Plugin": PluginCard,
        "Rubric card": supportbench.RubricCard,
        "journal.jsonl": supportbench.Episode,
        "Step": supportbench.EpisodeStep,
        "Grade": supportbench.Grade,
        "Component of a grade": supportbench.ComponentGrade,
        "Finding": supportbench.SafetyFinding,
        "Usage": supportbench.Usage,
        "results.json": Results,
        "Task of the results": TaskResult,
        "Statistics": Statistics,
        "Mean": Mean,
        "Rate": Rate,
        "Task of the statistics": TaskStatistics,
        "Confusion": Confusion,
        "Triage": Triage,
        "Pass rates": PassRates,
        "Calibration": Calibration,
        "Reliability bin": ReliabilityBin,
        "Risk at a coverage": RiskPoint,
        "Latencies": Latencies,
        "Spending": Spending,
        "Asked": Asked,
        "Origin": Origin,
        "What supportbench regrade --json prints": RegradeReport,
        "What supportbench compare --json prints": CompareReport,
        "Compared run": ComparedRun,
        "Comparison": Comparison,
        "Flip": Flip,
        "Change": Change,
        "Task of a regrade": TaskChange,
        "Ticket of a regrade": TicketChange,
        "Unscored ticket": UnscoredTicket,
        "Concept of a lint": CopyableConcept,
        "Check of a lint": CheckReport,
        "Rule of a lint": RuleReport,
        "Miss": Miss,
    },
    "how-to/evaluate-a-model.md": {"Options": OpenAIOptions},
    "how-to/judge.md": {"Your own criteria": JudgeOptions},
}


def _tables_of(page: Path) -> Mapping[str, list[list[str]]]:
    """Return the rows of each table of a page, under the heading that it stands below."""
    tables: dict[str, list[list[str]]] = {}
    rows: list[list[str]] = []
    heading, kind = "", ""
    for token in MarkdownIt().enable("table").parse(page.read_text(encoding="utf-8")):
        if token.type in ("heading_open", "th_open", "td_open", "tr_open", "table_open"):
            kind = token.type
            if kind == "tr_open":
                rows.append([])
            elif kind == "table_open":
                rows = tables.setdefault(heading, [])
        elif token.type == "inline" and kind == "heading_open":
            heading, kind = token.content.replace("`", ""), ""
        elif token.type == "inline" and kind in ("th_open", "td_open"):
            rows[-1].append(token.content)
    return tables


def _key_of(kind: type[Any], field: attrs.Attribute[Any]) -> str:
    return _RENAMED.get(kind, {}).get(field.name, field.name)


def _default_of(field: attrs.Attribute[Any]) -> str:
    """Return how a table gives a field's default; the empty string where it says so in words."""
    if field.default is attrs.NOTHING:
        return "required"
    if isinstance(field.default, _FACTORY):
        return ""
    default = encode(field.default).decode()
    return f"`{default}`" if len(default) <= 40 else ""


@pytest.mark.parametrize(
    ("page", "heading", "kind"),
    [(page, heading, kind) for page, tables in _TABLES.items() for heading, kind in tables.items()],
)
def test_a_table_has_every_key_of_the_file_and_its_default(page: str, heading: str, kind: type[Any]) -> None:
    tables = _tables_of(DOCS / page)
    assert heading in tables
    header, *rows = tables[heading]
    described = {row[0].strip("`"): row[1:] for row in rows}
    own = {_key_of(kind, field): field for field in attrs.fields(kind) if not field.inherited}
    assert set(described) == set(own)
    for key, (*default, meaning) in described.items():
        assert meaning
        if header[1] == "default":
            assert default[0] == (_default_of(own[key]) or default[0]), key


def test_every_setting_is_described_with_its_default() -> None:
    tables = _tables_of(DOCS / "reference" / "settings.md")
    own = {field.name for field in attrs.fields(Settings)}
    described = {
        (heading, row[0].strip("`")): row[1].strip("`") for heading, rows in tables.items() for row in rows[1:]
    }
    defaults = {
        ("Every command" if field.name in own else "The server", variable_of(field)): _as_written(field.default)
        for field in attrs.fields(ServerSettings)
    }
    assert described == defaults


def _as_written(default: object) -> str:
    if default in (None, ()):
        return ""
    return str(default).lower() if isinstance(default, bool) else str(default).removesuffix(".0")


@pytest.mark.parametrize(
    ("page", "heading"), [("docs/explanation/reward.md", "The default rubric"), ("README.md", "The reward")]
)
def test_the_default_weights_are_those_of_the_rubric(page: str, heading: str, registry: Registry) -> None:
    shown = {row[0]: float(row[1].replace("−", "-")) for row in _tables_of(ROOT / page)[heading][1:]}
    weights = bind(registry.rubrics["default"], registry).scoring_weights
    assert shown == {name.replace("_", " "): weight for name, weight in weights.items()}


# -- between pages ------------------------------------------------------------------------------------------------


def test_a_page_that_runs_pytest_says_how_to_get_it() -> None:
    pages = {page: page.read_text(encoding="utf-8") for page in (README, *DOCS.rglob("*.md"))}
    running = [text for text in pages.values() if re.search(r"^\$ .*\bpytest\b", text, re.MULTILINE)]
    assert running
    assert all("pip install pytest" in text or "pip install -e '.[dev]'" in text for text in running)


def test_links_within_the_readme_lead_somewhere() -> None:
    readme = README.read_text(encoding="utf-8")
    for token in MarkdownIt().parse(readme):
        for child in token.children or ():
            target = str(child.attrs.get("href") or child.attrs.get("src") or "")
            if target and not re.match(r"\w+:|#", target):
                assert (ROOT / target.partition("#")[0]).exists(), target


def test_the_changelog_can_be_built_from_its_fragments() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert "<!-- towncrier release notes start -->" in changelog
    fragments = list((DOCS / "changelog.d").glob("*.md"))
    assert fragments or "\n## " in changelog
    command = [sys.executable, "-m", "towncrier", "build", "--draft", "--version", "0.0.0", "--date", "2000-01-01"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    for fragment in fragments:
        first = fragment.read_text(encoding="utf-8").split(maxsplit=5)[:5]
        assert " ".join(first) in " ".join(ended.stdout.split())
