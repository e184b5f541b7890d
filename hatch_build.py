"""Compiles how texts are read and measured (`supportbench/words/compiled.pyx`), where a C compiler is.

Without one, the wheel has the same in Python alone, with which grading takes twice as long and comes to the same.
`SUPPORTBENCH_COMPILE=always` fails instead, and `never` compiles nothing.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCE = Path("supportbench", "words", "compiled.pyx")
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
            for old in [old for suffix in EXTENSION_SUFFIXES for old in source.parent.glob(f"{source.stem}{suffix}")]:
                old.unlink()
        if choice == "never":
            return
        self._folder = tempfile.TemporaryDirectory(prefix="supportbench-")
        try:
            built = compiled(Path(self.root), Path(self._folder.name))
        except (Exception, SystemExit) as error:  # whatever is missing here, the wheel needs none of it
            if choice == "always":
                raise
            self.app.display_warning(f"Grading will take twice as long, since {SOURCE} was not compiled: {error}")
            return
        if version == "editable":
            shutil.copy(built, source.parent)
            return
        build_data["force_include"][str(built)] = str(SOURCE.with_name(built.name))
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Leave nothing behind."""
        if folder := getattr(self, "_folder", None):
            folder.cleanup()


def compiled(root: Path, folder: Path) -> Path:
    """Return the file of the compiled module, made in the folder; raises what the compilers raise, or exits as they do.

    The module tells of which source it was made, so that one that has become old is found.
    """
    from Cython.Build import cythonize
    from setuptools import Distribution, Extension

    name = ".".join(SOURCE.with_suffix("").parts)
    source = root / SOURCE
    sources = sorted(file for file in source.parent.iterdir() if file.suffix in (".pxi", ".pyx"))
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in sources)).hexdigest()
    extension = Extension(name, [str(source)], define_macros=[("SOURCE", f'"{digest}"')], extra_compile_args=_OPTIONS)
    modules = cythonize([extension], build_dir=str(folder), quiet=True)  # type: ignore[no-untyped-call]
    build = Distribution({"name": "supportbench", "ext_modules": modules}).get_command_obj("build_ext")
    build.build_lib = build.build_temp = str(folder)
    build.ensure_finalized()
    build.run()
    return Path(build.get_ext_fullpath(name))


_OPTIONS = ["/O2"] if os.name == "nt" else ["-O3", "-g0"]
