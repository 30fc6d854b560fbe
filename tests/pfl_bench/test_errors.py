from pathlib import Path

import pytest

from pfl_bench.errors import LONGEST, PLUG_IN, no_file, one_line, placed, shown, unknown

MINE = """
class Mine:
    def round(self, mix):
        return self._part(mix)

    def _part(self, mix):
        return mix(self)
"""


MY_FILE = {"somewhere/mine.py"}


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
    assert placed(error, MY_FILE, ["init", "round"]) == "KeyError: 'gone' (mine.py, line 7, in round)"


def test_outside_any_hook_the_function_is_named(mine):
    error = raised(lambda: mine._part(lambda self: self.gone))
    assert placed(error, MY_FILE, ["round"]).endswith(" (mine.py, line 7, in _part)")


def test_an_exception_from_elsewhere_has_no_place():
    assert placed(raised(lambda: {}["gone"]), MY_FILE, ["round"]) == "KeyError: 'gone'"


def test_a_long_message_over_several_lines_becomes_one_of_bounded_length():
    said = one_line(ValueError("a matrix:\n" + "1.0 2.0\n" * 5000))
    assert said.startswith("ValueError: a matrix: 1.0 2.0 1.0") and said.endswith(" ...")
    assert "\n" not in said and len(said) <= LONGEST + 20
    assert one_line(ValueError()) == "ValueError"


def test_an_exception_that_cannot_say_what_it_is_still_has_a_line():
    class Mute(Exception):
        def __str__(self):
            raise RuntimeError("no text")

    assert one_line(Mute()) == "Mute: (its text cannot be had)"


def test_a_name_of_any_length_is_shown_at_a_bounded_one():
    assert len(str(unknown("fruit", "x" * 10_000, ["apple"]))) < 200
    assert shown("x" * 10_000).endswith("(10000 characters)") and len(shown(list(range(9999)))) < 100
    assert shown("\x1b[31m\u202e\udcff") == r"'\x1b[31m\u202e\udcff'"


def test_of_many_names_some_are_listed():
    said = str(unknown("fruit", "f77", [f"f{n}" for n in range(500)]))
    assert "did you mean 'f77'" in said and said.endswith(", ... (500 in all)") and len(said) < 300


def test_an_unknown_name_brings_the_nearest_and_all_there_are():
    assert str(unknown("fruit", "aple", ["pear", "apple"])) == (
        "unknown fruit 'aple': did you mean 'apple'? choose from apple, pear"
    )
    assert str(unknown("fruit", "kiwi", [])) == "unknown fruit 'kiwi': choose from (none)"
    near = str(unknown("method", "pfedhm", ["pfedme", "pfedhn", "fedem"], also=PLUG_IN))
    assert "did you mean 'pfedhn' or 'pfedme'? choose" in near or "did you mean 'pfedme' or 'pfedhn'? choose" in near
    far = str(unknown("method", "mine", ["fedavg"], also=PLUG_IN))
    assert far == "unknown method 'mine': choose from fedavg; one of your own comes with --plugin FILE"


def test_of_a_path_that_is_not_there_it_is_said_where_it_was_looked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    assert no_file(Path("gone.csv")) == f"gone.csv does not exist in {str(tmp_path)!r}"
    assert no_file(tmp_path / "gone.csv") == f"{tmp_path / 'gone.csv'} does not exist"
    assert no_file(Path("folder")) == "folder is no file"
