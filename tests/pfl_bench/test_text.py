import pytest

from pfl_bench.errors import one_line
from pfl_bench.text import agreeing, counted, printable, shortened

HIDDEN = [
    *("\x1b", "\x07", "\x9b", "\x7f", "\u202e", "\u2066", "\u200f", "\u2028", "\ud800", "\ufeff"),
    *("\u3164", "\u115f", "\uffa0", "\u034f", "\u180b", "\ufe01", "\u2800", "\U000e0101"),
]


@pytest.mark.parametrize("hidden", HIDDEN)
def test_nothing_hidden_is_left(hidden):
    shown = printable(f"a{hidden}b")
    assert hidden not in shown and shown.startswith("a\\") and shown.endswith("b")
    shown.encode()
    assert hidden not in one_line(ValueError(f"a{hidden}b"))


def test_other_text_stays_as_it_is():
    text = "fedavg (lr=0.1) ± † ‡ ä 漢字 ✔\ufe0f <b> 100 %"
    assert printable(text) == text == shortened(text, 100)
    assert shortened("abcdef", 3) == "abc ..."


@pytest.mark.parametrize(
    ("number", "what", "said"),
    [
        (1, "common seed", "1 common seed"),
        (0, "run", "0 runs"),
        (2, "tested entry", "2 tested entries"),
        (3, "more clash", "3 more clashes"),
        (2, "such class", "2 such classes"),
        (1, "class", "1 class"),
        (2, "day", "2 days"),
    ],
)
def test_a_count_has_its_noun(number, what, said):
    assert counted(number, what) == said and agreeing(number, "is", "are") == ("is" if number == 1 else "are")
