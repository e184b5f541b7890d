"""What is built of the sources: the same by way of a source distribution, and compiled where that is possible."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import supportbench
from supportbench.words import COMPILED

ROOT = Path(supportbench.__file__).parent.parent


def built(what: str, folder: Path, *, source: Path = ROOT, **environ: str) -> tuple[Path | None, str]:
    """Return the wheel or sdist that is built, None where it is not, and what is told meanwhile."""
    command = [sys.executable, "-m", "build", "--no-isolation", f"--{what}", "--outdir", str(folder), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | environ)
    made = list(folder.glob("*.tar.gz" if what == "sdist" else "*.whl"))
    assert bool(made) == (done.returncode == 0), done.stdout + done.stderr
    return (made[0] if made else None), done.stdout + done.stderr


def files_of(wheel: Path | None) -> set[str]:
    assert wheel
    with zipfile.ZipFile(wheel) as opened:
        return set(opened.namelist())


def test_a_wheel_of_the_source_distribution_is_that_of_the_checkout(tmp_path: Path) -> None:
    straight, _ = built("wheel", tmp_path / "straight", SUPPORTBENCH_COMPILE="never")
    sdist, _ = built("sdist", tmp_path)
    assert sdist
    subprocess.run(["tar", "-xzf", str(sdist), "-C", str(tmp_path)], check=True)
    source = tmp_path / sdist.name.removesuffix(".tar.gz")
    by_way, _ = built("wheel", tmp_path / "by_way", source=source, SUPPORTBENCH_COMPILE="never")
    assert files_of(by_way) == files_of(straight)
    for file in ("supportbench/words/reading.pxi", "supportbench_triage/__init__.py"):
        assert file in files_of(by_way)
    assert (source / "tests" / "meta" / "test_building.py").is_file()


def test_without_a_compiler_the_wheel_is_for_every_machine(tmp_path: Path) -> None:
    wheel, told = built("wheel", tmp_path, CC="no-such-compiler", SUPPORTBENCH_COMPILE="auto")
    assert wheel
    assert wheel.name.endswith("-py3-none-any.whl")
    assert not [name for name in files_of(wheel) if name.endswith((".so", ".pyd"))]
    assert "Grading will take twice as long" in told
    assert "no-such-compiler" in told


def test_who_asks_for_it_is_told_that_nothing_can_be_compiled(tmp_path: Path) -> None:
    wheel, told = built("wheel", tmp_path, CC="no-such-compiler", SUPPORTBENCH_COMPILE="always")
    assert wheel is None
    assert "no-such-compiler" in told


def test_a_choice_that_is_none_is_refused_with_those_that_are(tmp_path: Path) -> None:
    wheel, told = built("wheel", tmp_path, SUPPORTBENCH_COMPILE="maybe")
    assert wheel is None
    assert "SUPPORTBENCH_COMPILE is 'maybe'; it may be one of auto, always, never" in told


@pytest.mark.skipif(not COMPILED, reason="built without a compiler")
def test_what_is_compiled_is_of_this_machine_alone(tmp_path: Path) -> None:
    wheel, _ = built("wheel", tmp_path, SUPPORTBENCH_COMPILE="always")
    assert wheel
    assert "-none-any" not in wheel.name
    (compiled,) = [name for name in files_of(wheel) if name.endswith((".so", ".pyd"))]
    assert compiled.startswith("supportbench/words/compiled.")
