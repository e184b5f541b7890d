"""A text as its words, and what is measured of them.

The same is there twice: in Python (`plain.py`), and compiled, which takes a fraction of the time, for those where a
compiler was when supportbench was built (`compiled.pyx`). No grade depends on which it is.
"""

from __future__ import annotations

import hashlib
from importlib.resources import files

try:
    from supportbench.words import compiled
except ImportError:
    COMPILED = False
else:  # in a checkout it may have become older than its source
    COMPILED = hashlib.sha256((files(__package__) / "compiled.pyx").read_bytes()).hexdigest() == compiled.MADE_OF
"""Whether texts are read by what was compiled."""

if COMPILED:
    from supportbench.words.compiled import English, Measures, Reader, TicketWords, Words
else:
    from supportbench.words.plain import English, Measures, Reader, TicketWords, Words

__all__ = ["COMPILED", "English", "Measures", "Reader", "TicketWords", "Words"]
