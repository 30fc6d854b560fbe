"""Text that comes from files or people, made fit to be shown: nothing hidden in it, and of bounded length."""

import re

HIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
"""Characters that no text needs and that do something else than show: control characters (terminal escapes), marks
that turn or hide what follows them (bidi), line separators, and surrogates, which cannot be written at all."""


def printable(text: str) -> str:
    """The text with every hidden character as its escape, such as ``\\x1b`` or ``\\u202e``."""
    return HIDDEN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def shortened(text: str, most: int) -> str:
    """The text, or its first ``most`` characters and ``...``."""
    return text if len(text) <= most else f"{text[:most]} ..."


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
