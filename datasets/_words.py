"""Texts as tokens: words numbered by how often the training part has them."""

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

PADDING, UNKNOWN, FIRST = 0, 1, 2
WORD = re.compile(r"[a-z]+|[0-9]+")


def words_of(text: str) -> list[str]:
    """Runs of letters and of digits, in lower case."""
    return WORD.findall(text.lower())


def numbered(train: Sequence[str], *others: Sequence[str]) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each part the words of all its texts in one array, and how many each text has.

    The word that is ``k``-th most frequent in the training part is ``FIRST + k``; words of equal frequency come in
    alphabetical order. Words that the training part does not have are ``UNKNOWN``.
    """
    split = [[words_of(text) for text in part] for part in (train, *others)]
    counts = Counter(word for words in split[0] for word in words)
    ranks = {word: FIRST + k for k, word in enumerate(sorted(counts, key=lambda word: (-counts[word], word)))}
    return [
        (
            np.asarray([ranks.get(word, UNKNOWN) for words in part for word in words], dtype=np.int32),
            np.asarray([len(words) for words in part], dtype=np.int64),
        )
        for part in split
    ]


def padded(codes: np.ndarray, lengths: np.ndarray, length: int, vocabulary: int) -> np.ndarray:
    """The first ``length`` words of every text ``[N, length]``, rarer words than ``vocabulary`` allows unknown."""
    found = np.full((len(lengths), length), PADDING, dtype=np.int64)
    known = np.where(codes < vocabulary, codes, UNKNOWN)
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    for at, (start, size) in enumerate(zip(starts, np.minimum(lengths, length), strict=True)):
        found[at, :size] = known[start : start + size]
    return found
