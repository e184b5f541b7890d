"""What others use of it is the same as in Python."""

from supportbench.words.plain import English as English
from supportbench.words.plain import Measures as Measures
from supportbench.words.plain import Phrases as Phrases
from supportbench.words.plain import Reader as Reader
from supportbench.words.plain import TicketWords as TicketWords
from supportbench.words.plain import Words as Words

MADE_OF: str
"""The SHA-256 hash of the files that this was compiled from."""
