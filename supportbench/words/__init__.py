"""A text as its words, and what is measured of them.

The same is there twice: in Python (`plain`), and compiled (`compiled.pyx`, and what that includes), which takes a
fraction of the time, for those where a compiler was when supportbench was built. No grade depends on which it is.
"""

from __future__ import annotations

import hashlib
from importlib.resources import files

SOURCES = ("compiled.pyx", "hashes.pxi", "measures.pxi", "phrases.pxi", "reading.pxi")
"""The files that are compiled."""

try:
    from supportbench.words import compiled

    # In a checkout it may have become older than its sources.
    here = files(__package__)
    COMPILED = hashlib.sha256(b"".join((here / name).read_bytes() for name in SOURCES)).hexdigest() == compiled.MADE_OF
except (ImportError, OSError):
    COMPILED = False
"""Whether texts are read by what was compiled."""

if COMPILED:
    from supportbench.words.compiled import English, Measures, Phrases, Reader, TicketWords, Words
else:
    from supportbench.words.plain import English, Measures, Phrases, Reader, TicketWords, Words

__all__ = ["COMPILED", "English", "Measures", "Phrases", "Reader", "TicketWords", "Words"]
