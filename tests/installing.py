"""Installing plugins for a test: with pip, into a folder of their own, importable for as long as the test asks."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs


@attrs.frozen(kw_only=True)
class BrokenPlugin:
    """A one-module plugin: its entry-point name, its source, and the reason that loading it must give."""

    name: str
    source: str
    reason: str
    distribution: str = attrs.field(default=attrs.Factory(lambda self: f"broken-{self.name}", takes_self=True))
    version: str = "0.3.1"

    @property
    def module(self) -> str:
        """The name of its only module."""
        return self.distribution.replace("-", "_")


def write_wheel(folder: Path, plugin: BrokenPlugin) -> Path:
    """Write the plugin as a wheel (a build backend would take half a second for each) and return its path."""
    stem = f"{plugin.module}-{plugin.version}"
    info = f"{stem}.dist-info"
    files = {
        f"{plugin.module}.py": plugin.source,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {plugin.distribution}\nVersion: {plugin.version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[supportbench]\n{plugin.name} = {plugin.module}\n",
    }
    path = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
        wheel.writestr(f"{info}/RECORD", "".join(f"{name},,\n" for name in (*files, f"{info}/RECORD")))
    return path


def installed_module(folder: Path, name: str, source: str) -> dict[str, str]:
    """Install a plugin of one module for other processes; return the environment in which they find it."""
    site = folder / name
    site.mkdir(parents=True)
    (site / f"supportbench_{name}.py").write_text(source)
    info = site / f"supportbench_{name}-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: supportbench-{name}\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[supportbench]\n{name} = supportbench_{name}\n")
    return {"PYTHONPATH": os.pathsep.join(filter(None, (str(site), os.environ.get("PYTHONPATH"))))}


def without_library(folder: Path, name: str) -> dict[str, str]:
    """Return an environment in which other processes cannot import that library."""
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.py").write_text(f"raise ImportError('no {name} here')\n")
    return {"PYTHONPATH": os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))}


def install(what: Iterable[Path], site: Path) -> None:
    """Install source folders or wheels into the folder `site`, without a network."""
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, "--target", str(site), *map(str, what)], check=True
    )


@contextmanager
def importable(*sites: Path) -> Iterator[None]:
    """Within the block, what is installed in these folders can be imported; afterwards it never was."""
    path = list(sys.path)
    sys.path[:0] = [str(site) for site in sites]
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path[:] = path
        importlib.invalidate_caches()
        for name, module in list(sys.modules.items()):
            if any(str(getattr(module, "__file__", None) or "").startswith(f"{site}/") for site in sites):
                del sys.modules[name]
