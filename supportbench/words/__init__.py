"""A text as its words, and what is measured of them.

The same is there twice: in Python (`plain`), and compiled (`compiled.pyx`, and what that includes), which takes a
fraction of the time, for those where a compiler was when supportbench was built. No grade depends on which it is.
"""

from __future__ import annotations

import hashlib
from importlib.resources import files

try:
    from supportbench.words import compiled
except ImportError:
    COMPILED = False
else:  # in a checkout it may have become older than its source
    here = files(__package__)
    sources = sorted(file.name for file in here.iterdir() if file.name.endswith((".pxi", ".pyx")))
    COMPILED = hashlib.sha256(b"".join((here / name).read_bytes() for name in sources)).hexdigest() == compiled.MADE_OF
"""Whether texts are read by what was compiled."""

if COMPILED:
    from supportbench.words.compiled import English, Measures, Phrases, Reader, TicketWords, Words
else:
    from supportbench.words.plain import English, Measures, Phrases, Reader, TicketWords, Words

__all__ = ["COMPILED", "English", "Measures", "Phrases", "Reader", "TicketWords", "Words"]
