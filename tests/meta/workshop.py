"""A workshop: where the commands of a page are typed, with nothing of it left behind."""

from __future__ import annotations

import os
import re
import subprocess
import sysconfig
import venv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import attrs

from tests.meta.snippets import Command

# The width of the terminal, and its width where what is shown needs more.
NARROW: Final = 90
WIDE: Final = 120

_TIMEOUT_S: Final = 300
_MARK: Final = "@@ended with@@"
_PROGRAMS: Final = {
    "pip": "pip._internal.cli.main:main",
    "pytest": "pytest:console_main",
    "supportbench": "supportbench.cli:main",
}


@attrs.frozen(kw_only=True)
class Workshop:
    """A folder with a virtual environment of its own, in which one page's commands are typed into one shell.

    The environment sees what is installed for the tests, and what it installs itself is gone with it. It has no index.
    """

    folder: Path
    variables: Mapping[str, str] = attrs.field(factory=dict)

    @classmethod
    def create(cls, folder: Path) -> Workshop:
        """Make the environment beside the work folder."""
        home, work = folder / "venv", folder / "work"
        venv.EnvBuilder(symlinks=True).create(home)
        work.mkdir()
        packages = Path(sysconfig.get_path("purelib", vars={"base": str(home), "platbase": str(home)}))
        parent = f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n"
        (packages / "parent.pth").write_text(parent, encoding="utf-8")
        for name, entry_point in _PROGRAMS.items():
            module, _, function = entry_point.partition(":")
            script = home / "bin" / name
            lines = (
                f"#!{home}/bin/python",
                "import sys",
                f"from {module} import {function}",
                f"sys.exit({function}())",
            )
            script.write_text("\n".join(lines) + "\n", encoding="utf-8")
            script.chmod(0o755)
        variables = {
            "HOME": str(folder),
            "LC_ALL": "C.UTF-8",
            "PATH": f"{home}/bin:/usr/bin:/bin",
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_NO_BUILD_ISOLATION": "0",  # pip reads this as: no isolation
            "PIP_NO_INDEX": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONWARNINGS": "ignore",
        }
        return cls(folder=folder, variables=variables)

    @property
    def work(self) -> Path:
        """Where the commands are typed and the page's files lie."""
        return self.folder / "work"

    def type(self, commands: list[Command]) -> list[tuple[int, str]]:
        """Run the commands one after another in a shell that goes on where the last one ended.

        Returns the exit code and the output (standard error included) of each.
        """
        saved, place = self.folder / "variables.sh", self.folder / "place"
        lines = [f"cd {self.work}", f'[ -f {saved} ] && . {saved} && cd "$(cat {place})"']
        for command in commands:
            lines += ["{", command.text, "}", f"code=$?; printf '\\n{_MARK} %d\\n' $code; (exit $code)"]
        lines += [f"unset COLUMNS; export -p > {saved}", f"pwd > {place}"]
        ended = subprocess.run(
            ["/bin/bash", "-c", "\n".join(lines)],
            env={**self.variables, "COLUMNS": str(_columns_of(commands))},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_TIMEOUT_S,
            check=False,
        )
        parts = re.split(rf"\n{_MARK} (\d+)\n", ended.stdout.decode())
        return [(int(code), output) for output, code in zip(parts[::2], parts[1::2], strict=False)]


def _columns_of(commands: Iterable[Command]) -> int:
    widest = max((len(line) for command in commands for line in command.shown.splitlines()), default=0)
    return NARROW if widest <= NARROW else WIDE
