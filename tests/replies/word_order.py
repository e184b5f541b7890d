"""How likely words of two classes follow each other: `python -m tests.replies.word_order` writes `order.toml` anew.

The classes are those that the file has; the likelihoods are estimated from the replies of `development/`.
"""

from __future__ import annotations

import math
import tomllib
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final

from supportbench import fold
from tests.replies import FOLDER, files_of, read

FILE: Final = FOLDER.parents[1] / "supportbench" / "prose" / "order.toml"

_CONTENT: Final = "content"
_IMAGINED: Final = 4
"""So many transitions a class follow chance, lest one that was never seen be impossible."""
_LEAST, _MOST = -7.0, 3.0

_ABOUT: Final = """
# How much likelier than chance a word of one class is to be followed by one of another, in bits (the logarithm of the
# ratio to base 2, in halves): positive where English puts them so, negative where it does not. Two words of content
# tell nothing of order. Estimated by `python -m tests.replies.word_order` from {replies} replies of support desks,
# {words:,} words, with four imagined transitions a class that follow chance. A row stands for the first word; the
# second stands in the order of the rows.
[order]
"""


def estimated(written: str) -> str:
    """Return the file with its likelihoods estimated anew, of the classes of words that it has."""
    lists: dict[str, str] = tomllib.loads(written)["words"]
    classes = {stem: name for name, words in reversed(lists.items()) for stem in fold(words).split()}
    replies = [fold(reply.text).split() for file in files_of("development") for reply in read(file)]
    names = [*lists, _CONTENT]
    bits = _bits(names, [[classes.get(stem, _CONTENT) for stem in stems] for stems in replies])
    rows = "".join(f"{name} = [{', '.join(f'{bits[name, next_]:g}' for next_ in names)}]\n" for name in names)
    before, _, _ = written.partition("\n# How much likelier")
    return f"{before}{_ABOUT.format(replies=len(replies), words=sum(map(len, replies)))}{rows}"


def _bits(names: Sequence[str], texts: Iterable[Sequence[str]]) -> dict[tuple[str, str], float]:
    single: Counter[str] = Counter()
    pairs: Counter[tuple[str, str]] = Counter()
    for kinds in texts:
        single.update(kinds)
        pairs.update(pairwise(kinds))
    number = single.total()
    chance = {name: max(1, single[name]) / number for name in names}
    begun: Counter[str] = Counter()
    for (first, _), count in pairs.items():
        begun[first] += count
    return {
        (first, second): 0.0
        if first == second == _CONTENT
        else _in_halves(
            math.log2((pairs[first, second] + _IMAGINED * chance[second]) / (begun[first] + _IMAGINED) / chance[second])
        )
        for first in names
        for second in names
    }


def _in_halves(bits: float) -> float:
    return max(_LEAST, min(_MOST, round(bits * 2) / 2))


def main() -> None:
    """Write the file anew."""
    FILE.write_text(estimated(FILE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
