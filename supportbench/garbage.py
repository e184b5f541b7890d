"""How often Python looks for garbage in cycles, where many objects live long and hardly any is in a cycle."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_ALLOCATIONS: Final = 50_000
"""So many new objects begin a collection, and not Python's 700: a step makes some hundred, and hardly a cycle."""


@contextmanager
def collected_seldom() -> Iterator[None]:
    """Within the block, look for garbage seldom, and never at what was there before; for a process of our own."""
    usual = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS, *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)
        gc.unfreeze()
