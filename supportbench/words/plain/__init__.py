"""A text as its words, and what is measured of them, in Python; `compiled.pyx` is the same, compiled."""

from supportbench.words.plain.measures import English, Measures, TicketWords
from supportbench.words.plain.phrases import Phrases
from supportbench.words.plain.reading import Reader, Words

__all__ = ["English", "Measures", "Phrases", "Reader", "TicketWords", "Words"]
