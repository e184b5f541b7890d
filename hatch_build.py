"""Compiles how texts are read and measured (`supportbench/words/compiled.pyx`), where a C compiler is.

Without one, the wheel has the same in Python alone, with which grading takes twice as long and comes to the same.
`SUPPORTBENCH_COMPILE=always` fails instead, and `never` compiles nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCE = Path("supportbench", "words", "compiled.pyx")
PARTS = ("compiled.pyx", "hashes.pxi", "measures.pxi", "phrases.pxi", "reading.pxi")  # SOURCES of supportbench.words
CHOICES = ("auto", "always", "never")


class Compiled(BuildHookInterface[Any]):
    """Adds the compiled module to the wheel; of an editable installation, to the sources."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, before the wheel is packed."""
        source = Path(self.root) / SOURCE
        choice = os.environ.get("SUPPORTBENCH_COMPILE") or "auto"
        if choice not in CHOICES:
            raise ValueError(f"SUPPORTBENCH_COMPILE is {choice!r}; it may be one of {', '.join(CHOICES)}")
        if self.target_name != "wheel":
            return
        if version == "editable":
            for (
                suffix
            ) in EXTENSION_SUFFIXES:  # where it cannot be removed, it is not used: it tells what it was made of
                with contextlib.suppress(OSError):
                    source.with_suffix(suffix).unlink()
        if choice == "never":
            return
        self._folder = tempfile.TemporaryDirectory(prefix="supportbench-")
        try:
            built = compiled(Path(self.root), Path(self._folder.name))
            if version == "editable":
                put_in_place(built, source.with_name(built.name))
                return
        except (Exception, SystemExit) as error:  # whatever is missing here, the wheel needs none of it
            if choice == "always":
                raise
            self.app.display_warning(f"Grading will take twice as long, since {SOURCE} was not compiled: {error}")
            return
        build_data["force_include"][str(built)] = str(SOURCE.with_name(built.name))
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Leave nothing behind."""
        if folder := getattr(self, "_folder", None):
            folder.cleanup()


def put_in_place(built: Path, place: Path) -> None:
    """Put the file where it is imported from, whole, whoever uses the one that is there."""
    beside = place.with_name(f"{place.name}.{os.getpid()}")
    shutil.copy(built, beside)
    beside.replace(place)


def compiled(root: Path, folder: Path) -> Path:
    """Return the file of the compiled module, made in the folder; raises what the compilers raise, or exits as they do.

    The module tells of which source it was made, so that one that has become old is found.
    """
    from Cython.Build import cythonize
    from setuptools import Distribution, Extension

    name = ".".join(SOURCE.with_suffix("").parts)
    source = root / SOURCE
    digest = hashlib.sha256(b"".join((source.parent / part).read_bytes() for part in PARTS)).hexdigest()
    extension = Extension(name, [str(source)], define_macros=[("SOURCE", f'"{digest}"')], extra_compile_args=_OPTIONS)
    modules = cythonize([extension], build_dir=str(folder), quiet=True)  # type: ignore[no-untyped-call]
    build = Distribution({"name": "supportbench", "ext_modules": modules}).get_command_obj("build_ext")
    build.build_lib = build.build_temp = str(folder)
    build.ensure_finalized()
    build.run()
    return Path(build.get_ext_fullpath(name))


_OPTIONS = ["/O2"] if os.name == "nt" else ["-O3", "-g0"]
