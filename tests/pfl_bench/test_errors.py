import pytest

from pfl_bench.errors import LONGEST, one_line, placed, unknown

MINE = """
class Mine:
    def round(self, mix):
        return self._part(mix)

    def _part(self, mix):
        return mix(self)
"""


def raised(call) -> Exception:
    with pytest.raises(Exception) as caught:
        call()
    return caught.value


@pytest.fixture
def mine():
    module: dict = {}
    exec(compile(MINE, "somewhere/mine.py", "exec"), module)
    return module["Mine"]()


def test_an_exception_is_placed_at_the_innermost_line_of_the_file_and_the_hook_it_came_through(mine):
    error = raised(lambda: mine.round(lambda self: {}["gone"]))
    assert placed(error, "somewhere/mine.py", ["init", "round"]) == "KeyError: 'gone' (mine.py, line 7, in round)"


def test_outside_any_hook_the_function_is_named(mine):
    error = raised(lambda: mine._part(lambda self: self.gone))
    assert placed(error, "somewhere/mine.py", ["round"]).endswith(" (mine.py, line 7, in _part)")


def test_an_exception_from_elsewhere_has_no_place():
    assert placed(raised(lambda: {}["gone"]), "somewhere/mine.py", ["round"]) == "KeyError: 'gone'"


def test_a_long_message_over_several_lines_becomes_one_of_bounded_length():
    said = one_line(ValueError("a matrix:\n" + "1.0 2.0\n" * 5000))
    assert said.startswith("ValueError: a matrix: 1.0 2.0 1.0") and said.endswith(" ...")
    assert "\n" not in said and len(said) <= LONGEST + 20
    assert one_line(ValueError()) == "ValueError"


def test_an_unknown_name_brings_the_nearest_and_all_there_are():
    assert str(unknown("fruit", "aple", ["pear", "apple"])) == (
        "unknown fruit 'aple': did you mean 'apple'? choose from apple, pear"
    )
    assert str(unknown("fruit", "kiwi", [])) == "unknown fruit 'kiwi': choose from (none)"
