"""Text that comes from files or people, made fit to be shown: nothing hidden in it, and of bounded length."""

import re
from collections.abc import Iterable, Sequence

HIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\ufff9-\ufffb\ud800-\udfff"
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0d"
    "\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff\u2800]"
)
"""Characters that no text needs and that do something else than show: control characters (terminal escapes), line
separators, surrogates, which cannot be written at all; and what Unicode calls default ignorable, which turns or hides
what follows (bidi) or is blank, but for the two that choose how an emoji is drawn; and the blank Braille pattern."""

NAMED = 8
"""How many names a sentence gives before it counts the rest."""


def printable(text: str) -> str:
    """The text with every hidden character as its escape, such as ``\\x1b`` or ``\\u202e``."""
    return HIDDEN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def shortened(text: str, most: int) -> str:
    """The text, or its first ``most`` characters and ``...``."""
    return text if len(text) <= most else f"{text[:most]} ..."


def first_few(names: Sequence[str], most: int = 3) -> str:
    """``a, b, c and 4 more``."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def listed(names: Iterable[object], most: int = NAMED) -> str:
    """``a, b and c``; of more than ``most`` the first, and how many there are besides."""
    own = [str(name) for name in names]
    if len(own) > most:
        return f"{', '.join(own[:most])} and {len(own) - most} more"
    return own[0] if len(own) == 1 else f"{', '.join(own[:-1])} and {own[-1]}"


def counted(number: int, what: str) -> str:
    """``1 scenario``, ``7 scenarios``, ``2 entries``, ``3 clashes``: a count with its noun."""
    if number == 1:
        return f"1 {what}"
    if re.search("[^aeiou]y$", what):
        return f"{number} {what[:-1]}ies"
    return f"{number} {what}{'es' if re.search('(s|x|sh|ch)$', what) else 's'}"


def agreeing(number: int, one: str, several: str) -> str:
    """The form of a verb, or of another word, that goes with so many."""
    return one if number == 1 else several
