"""The layout keeps its promises: one list of plugins everywhere, no plugin known to the core, one door for all."""

from __future__ import annotations

import ast
import inspect
import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest

import supportbench
from supportbench import hookspecs

ROOT = Path(__file__).parent.parent.parent
PLUGINS = sorted(folder.name for folder in (ROOT / "plugins").iterdir() if folder.name.startswith("supportbench_"))
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
HOOKS = [value for name, value in vars(hookspecs).items() if name.startswith("supportbench_") and callable(value)]


def python_files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def imports_of(file: Path) -> Iterator[tuple[str, str | None]]:
    """Yield (module, name) of every import; name is None for `import module`."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.module or "", alias.name) for alias in node.names)


def test_plugin_folders_are_the_wheels_packages_and_the_entry_points() -> None:
    packages = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert sorted(packages) == ["plugins/" + name for name in PLUGINS] + ["supportbench"]
    declared = PYPROJECT["project"]["entry-points"]["supportbench"]
    assert declared == {name.removeprefix("supportbench_"): name for name in PLUGINS}


def test_what_is_installed_is_what_is_declared() -> None:
    installed = distribution("supportbench").entry_points.select(group="supportbench")
    assert {entry.name: entry.value for entry in installed} == PYPROJECT["project"]["entry-points"]["supportbench"]


def test_the_plugins_folder_is_no_package_and_every_plugin_in_it_is_a_typed_one() -> None:
    assert not (ROOT / "plugins" / "__init__.py").exists()
    for name in PLUGINS:
        assert (ROOT / "plugins" / name / "__init__.py").is_file()
        assert (ROOT / "plugins" / name / "py.typed").is_file()
    assert (ROOT / "supportbench" / "py.typed").is_file()


def test_no_built_in_is_named_in_the_core() -> None:
    """One package is named like a hook (`supportbench_agents`): that name may stand, but is imported nowhere."""
    hooks = {hook.__name__ for hook in HOOKS}
    for file in (ROOT / "supportbench").rglob("*"):
        if file.is_file() and "__pycache__" not in file.parts:
            words = set(re.findall(r"\w+", file.read_text(encoding="utf-8", errors="replace")))
            assert words & (set(PLUGINS) - hooks) == set(), file
    for file in python_files(ROOT / "supportbench"):
        assert {module.partition(".")[0] for module, _ in imports_of(file)} & set(PLUGINS) == set(), file


@pytest.mark.parametrize("name", PLUGINS)
def test_a_built_in_comes_in_by_the_public_door_and_knows_no_other(name: str) -> None:
    for file in python_files(ROOT / "plugins" / name):
        for module, imported in imports_of(file):
            top = module.partition(".")[0]
            assert not module.startswith("supportbench."), f"{file}: {module} is private"
            if module == "supportbench":
                assert imported in supportbench.__all__, f"{file}: supportbench.{imported} is not public"
            if top.startswith("supportbench_"):
                assert top == name, f"{file}: {top} is another plugin"


def test_every_hook_says_what_it_is_for() -> None:
    assert len(HOOKS) == 7
    for hook in HOOKS:
        assert len(inspect.getdoc(hook) or "") > 40, hook.__name__


def test_every_listing_hook_may_be_given_the_environment_and_nothing_else() -> None:
    for hook in HOOKS:
        expected = ["episode"] if hook.__name__ == "supportbench_episode_finished" else ["environ"]
        assert list(inspect.signature(hook).parameters) == expected


def test_every_file_is_a_small_room() -> None:
    """Past some 250 lines a file has a second reason to be opened; 300 are too many."""
    for root in ("supportbench", "plugins"):
        for file in python_files(ROOT / root):
            assert len(file.read_text(encoding="utf-8").splitlines()) <= 300, file
