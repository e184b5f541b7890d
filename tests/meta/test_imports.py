"""Imports: light at the door, and every module by itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import supportbench

ROOT = Path(supportbench.__file__).parent.parent
HEAVY = ("openai", "litestar", "uvicorn", "rapidfuzz", "rich")
OF_OURS = ("supportbench.cli", "supportbench.evaluation")
# Whoever imports a module has `supportbench` imported before it. So that is done once, and then the process is copied.
EACH_ALONE = """
import os, sys, traceback
import supportbench

for name in sys.argv[1:]:
    child = os.fork()
    if child == 0:
        try:
            __import__(name)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        print(name)
"""


def modules() -> list[str]:
    files = sorted((ROOT / "supportbench").rglob("*.py"))
    names = (".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for file in files)
    return [name for name in names if not name.endswith("__main__")]


def python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("what", ["import supportbench", "import supportbench; supportbench.load_registry({}).check()"])
def test_nothing_heavy_is_loaded(what: str) -> None:
    done = python(f"import sys\n{what}\nprint([name for name in {HEAVY + OF_OURS!r} if name in sys.modules])")
    assert (done.stdout.strip(), done.stderr, done.returncode) == ("[]", "", 0)


@pytest.mark.parametrize(
    ("arguments", "lazy"),
    [(["--help"], HEAVY), (["run", "--help"], HEAVY), (["run"], ("openai", "litestar", "uvicorn", "rapidfuzz"))],
)
def test_a_command_loads_what_it_needs_and_no_more(tmp_path: Path, arguments: list[str], lazy: tuple[str, ...]) -> None:
    lines = (
        f"import os, sys; os.chdir({str(tmp_path)!r}); sys.argv = ['supportbench', *{arguments!r}]",
        "from supportbench.cli import main",
        "try: main()",
        "except SystemExit as end: assert not end.code, end.code",
        f"print([name for name in {lazy!r} if name in sys.modules])",
    )
    done = python("\n".join(lines))
    assert (done.stdout.splitlines()[-1], done.stderr, done.returncode) == ("[]", "", 0)


def test_every_module_can_be_imported_alone() -> None:
    names = modules()
    assert "supportbench.grading" in names
    done = python(EACH_ALONE, *names)
    assert (done.stdout.split(), done.returncode) == ([], 0), done.stderr
