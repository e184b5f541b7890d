"""What the pages show is what happens: every snippet of the README and the documentation is run or decoded."""

from __future__ import annotations

import doctest
import json
import re
import tomllib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import attrs
import pytest

import supportbench
from supportbench import Registry, decode, decode_toml
from supportbench.cli.grade import LoggedAction
from supportbench.endpoint.prices import PriceFile
from supportbench.evaluation.manifests import RunManifest
from supportbench.evaluation.results import Results
from supportbench.plugins import Plugin, PluginSet
from supportbench.task_files import _TicketLine
from tests.fixture_plugins import GOOD
from tests.installing import BrokenPlugin, write_wheel
from tests.meta.snippets import (
    DOCS,
    PAGES,
    README,
    ROOT,
    Command,
    Snippet,
    commands_of,
    looks_like,
    script_of,
    snippets_of,
)
from tests.meta.workshop import Workshop
from tests.stubs.judge_endpoint import honest, is_for_a_judge
from tests.stubs.openai_endpoint import OpenAIStub, completion

# The types that a `toml` or `json` snippet may name: public ones, and the lines of files that only commands read.
TYPES: Final[Mapping[str, type[Any]]] = {
    **{name: getattr(supportbench, name) for name in supportbench.__all__ if attrs.has(getattr(supportbench, name))},
    "LoggedAction": LoggedAction,
    "PriceFile": PriceFile,
    "Results": Results,
    "RunManifest": RunManifest,
    "TicketLine": _TicketLine,
}

_UNTYPED: Final = f"name the type behind the language, as in ```toml Rubric; one of {', '.join(sorted(TYPES))}"


class _Reader:
    """Follows one page from its first snippet to its last, as its reader does."""

    def __init__(self, page: Path, workshop: Workshop, said: Callable[[str], str] = str) -> None:
        self._page = page
        self._workshop = workshop
        self._said = said
        self._names: dict[str, Any] = {"__name__": "__page__"}

    def follow(self, snippet: Snippet) -> None:
        """Run or decode the snippet; fails with its line."""
        readers: Mapping[str, Callable[[Snippet], None]] = {
            "console": lambda snippet: self._type(commands_of(snippet.text)),
            "file": self._decode,
            "json": self._decode,
            "pycon": self._converse,
            "python": self._execute,
            "sh": lambda snippet: self._type(script_of(snippet.text)),
            "text": lambda snippet: None,
            "toml": self._decode,
        }
        where = f"{self._page.relative_to(ROOT)}, line {snippet.line}"
        assert snippet.language in readers, f"{where}: no test knows what to do with {snippet.language!r}"
        if snippet.file_name:
            path = self._workshop.work / snippet.file_name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(snippet.text, encoding="utf-8")
        try:
            readers[snippet.language](snippet)
        except Exception as error:
            error.add_note(where)
            raise

    def _type(self, typed: list[Command]) -> None:
        commands = [attrs.evolve(command, text=self._said(command.text)) for command in typed]
        ended = self._workshop.type(commands)
        assert len(ended) == len(commands), f"the shell ended early: {ended}"
        following = [command.text for command in commands[1:]] + [""]
        for command, (code, printed), then in zip(commands, ended, following, strict=True):
            assert code == 0 or then == "echo $?", f"$ {command.text}\nended with {code} and printed\n{printed}"
            shown = self._said(command.shown)
            assert not shown.strip() or looks_like(printed, shown), (
                f"$ {command.text}\nis shown with\n{shown}\nbut printed\n{printed}"
            )

    def _execute(self, snippet: Snippet) -> None:
        exec(compile(snippet.text, str(self._page), "exec"), self._names)  # noqa: S102 - the page's own code
        if "supportbench_api" in self._names:
            _load_as_plugin(self._names)

    def _converse(self, snippet: Snippet) -> None:
        text = snippet.text.replace("…", "...")
        test = doctest.DocTestParser().get_doctest(text, self._names, self._page.name, str(self._page), snippet.line)
        told: list[str] = []
        doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=told.append, clear_globs=False)
        assert not told, "".join(told)
        self._names.update(test.globs)

    def _decode(self, snippet: Snippet) -> None:
        suffix = Path(snippet.file_name).suffix or f".{snippet.language}"
        if snippet.kind in TYPES:
            decode_as = decode_toml if suffix == ".toml" else decode
            decode_as(snippet.text, TYPES[snippet.kind])
        elif suffix == ".toml":
            table = tomllib.loads(snippet.text)
            is_pyproject = bool(table.get("project", {}).get("entry-points", {}).get("supportbench"))
            assert snippet.file_name or is_pyproject, _UNTYPED
        elif suffix == ".jsonl":
            for line in snippet.text.splitlines():
                json.loads(line)
        else:
            assert snippet.file_name, _UNTYPED


def _load_as_plugin(names: Mapping[str, Any]) -> None:
    module = ModuleType("supportbench_page")
    vars(module).update(names)
    plugin = Plugin(name="page", distribution="page", version="0", module=module)
    Registry.from_plugins(PluginSet(plugins=(plugin,)), {}).check()


def _answering() -> OpenAIStub:
    """A model that says the same to every ticket, and that judges honestly."""
    action = completion(
        {
            "summary": "A customer cannot sign in.",
            "priority": "P2",
            "queue": "technical",
            "disposition": "escalate",
            "response": "We are looking into it and will write to you again.",
            "confidence": 0.6,
        }
    )
    return OpenAIStub(lambda request: honest(request) if is_for_a_judge(request) else action)


# The plugin that the page about broken plugins finds installed.
_FLOUR: Final = BrokenPlugin(
    name="flour",
    distribution="supportbench-flour",
    source="import flour_mill\n",
    reason="importing 'supportbench_flour' raised ModuleNotFoundError: No module named 'flour_mill'",
)

# The addresses that pages write are answered by a stub.
_ENDPOINTS: Final = re.compile(r"http://localhost:11434/v1|https://api\.openai\.com/v1")


def _elsewhere(page: Path) -> tuple[str, ...]:
    """What the page's snippets contain that `.ci/run` runs word for word: installing the package itself."""
    ci = ROOT / ".ci" / "run"
    return tuple(re.findall(r'quickstart "([^"]+)"', ci.read_text(encoding="utf-8"))) if page == README else ()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_shows_is_what_happens(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snippets = snippets_of(page)
    run_by_ci = _elsewhere(page)
    if not snippets:
        return
    workshop = Workshop.create(tmp_path)
    monkeypatch.chdir(workshop.work)
    if page.name == "block-a-plugin.md":
        ended = workshop.type([Command(text=f"pip install --quiet {write_wheel(tmp_path, _FLOUR)}", shown="")])
        assert ended == [(0, "")]
    needs_endpoint = any(_ENDPOINTS.search(snippet.text) for snippet in snippets)
    endpoint: AbstractContextManager[OpenAIStub | None] = _answering() if needs_endpoint else nullcontext()
    with endpoint as stub:
        reader = _Reader(page, workshop, lambda text: _ENDPOINTS.sub(stub.url, text) if stub else text)
        for snippet in snippets:
            if not any(text in snippet.text for text in run_by_ci):
                reader.follow(snippet)


def test_the_readme_shows_what_the_quick_start_prints(tmp_path: Path) -> None:
    snippets = snippets_of(README)
    place = next(place for place, snippet in enumerate(snippets) if "&& supportbench run" in snippet.text)
    picture = snippets[place + 1]
    assert picture.language == "text"
    ((code, printed),) = Workshop.create(tmp_path).type([Command(text="supportbench run", shown=picture.text)])
    assert code == 0
    assert looks_like(printed, f"…\n{picture.text}\n…"), printed


def test_every_file_that_a_page_shows_is_used_by_a_later_command() -> None:
    for page in PAGES:
        snippets = snippets_of(page)
        for place, snippet in enumerate(snippets):
            later = "".join(other.text for other in snippets[place:] if other.language == "console")
            used = Path(snippet.file_name).parts[:1]
            assert all(part in later for part in used), f"{page}: nobody uses {snippet.file_name}"


def test_the_tutorial_shows_the_whole_pack() -> None:
    shown = {snippet.file_name for snippet in snippets_of(DOCS / "tutorials" / "first-plugin.md")} - {""}
    files = {
        f"supportbench-bakery/{path.relative_to(GOOD)}"
        for path in GOOD.rglob("*")
        if path.is_file() and "cache" not in str(path) and path.name != "README.md"
    }
    assert shown == files


@pytest.mark.parametrize(
    ("printed", "shown", "alike"),
    [
        ("a\n\n b  \n", "a\n b\n", True),
        ("a\nb\nc\n", "a\n…\nc", True),
        ("a\nc\n", "a\n…\nc", True),
        ("runs/2026-1\n", "runs/…", True),
        ("a\nb\n", "a", False),
        ("a b\n", "a c\n", False),
    ],
)
def test_an_ellipsis_stands_for_what_differs(printed: str, shown: str, alike: bool) -> None:
    assert looks_like(printed, shown) is alike


def test_a_command_is_told_from_its_output() -> None:
    assert commands_of("$ one\n> two\n> out\nout\n> in\n$ three\n") == [
        Command(text="one\ntwo\nout", shown="out\n> in\n"),
        Command(text="three", shown=""),
    ]
