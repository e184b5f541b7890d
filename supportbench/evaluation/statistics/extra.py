"""Whether the libraries that statistics need are there, and what to install where they are not."""

from __future__ import annotations

from typing import Final

from supportbench.errors import RunError

INSTALL: Final = "pip install 'supportbench[stats]'"


def why_missing() -> str | None:
    """Return what keeps the libraries from being imported, None where nothing does."""
    try:
        import numpy  # noqa: F401, PLC0415 - in an extra
        import scipy.stats  # noqa: F401, PLC0415 - takes a second, and is in an extra
    except ImportError as error:
        return str(error)
    return None


def need_statistics(who: str) -> None:
    """Raise `RunError`, which says what to install, unless the libraries are there."""
    if (missing := why_missing()) is not None:
        raise RunError(f"{who} needs supportbench[stats]: {INSTALL} ({missing})")
