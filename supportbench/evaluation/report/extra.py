"""Whether the libraries that a page needs are there, and what to install where they are not."""

from __future__ import annotations

from typing import Final

from supportbench.errors import RunError

INSTALL: Final = "pip install 'supportbench[report]'"


def need_report() -> None:
    """Raise `RunError`, which says what to install, unless the libraries are there."""
    try:
        import jinja2  # noqa: F401, PLC0415 - in an extra
        import matplotlib  # noqa: F401, PLC0415 - takes a while, and is in an extra
    except ImportError as error:
        raise RunError(
            f"report needs supportbench[report]: {INSTALL} ({error}). Without it: supportbench report --markdown"
        ) from error
