import re

import pytest

from pfl_bench.results.frame import read_runs
from pfl_bench.results.latex import COLUMN, to_latex
from pfl_bench.results.leaderboard import leaderboard
from pfl_bench.results.publish import publish
from tests.ledgers import folder_with, record
from tests.pfl_bench.results.test_matrix import suite

FONTS = {True: "cmb10.ttf", False: "cmr10.ttf"}


def tabulars(latex: str) -> list[list[list[str]]]:
    """Of each table its rows of cells, but for what spans columns."""
    bodies = re.findall(r"\\begin\{tabular\}.*?\n(.*?)\\end", latex, re.DOTALL)
    rows = [[line[:-3].split(" & ") for line in body.splitlines() if line.endswith(r"\\")] for body in bodies]
    return [[row for row in own if not row[0].startswith(r"\multicolumn")] for own in rows]


def points(cell: str) -> float:
    """The width of a cell in Computer Modern at eight points."""
    ft2font = pytest.importorskip("matplotlib.ft2font")
    from matplotlib import get_data_path

    font = ft2font.FT2Font(f"{get_data_path()}/fonts/ttf/{FONTS['textbf' in cell]}")
    font.set_size(8, 72)
    plain = re.sub(r"\\(textbf|underline)\{([^}]*)\}", r"\2", re.sub(r"\$[^$]*\$", "+", cell)).replace("\\", "")
    font.set_text(plain, 0)
    return float(font.get_width_height()[0]) / 64


@pytest.fixture
def latex(tmp_path):
    folder = folder_with(tmp_path, *suite(scenarios=12, seeds=2), record("late", 0, 99.0, scenario="s3-v1@0.1x"))
    publish(folder, ("tex",))
    return (folder / "leaderboard.tex").read_text(encoding="utf-8")


def test_every_table_fits_a_column_and_has_the_methods_in_front(latex):
    for rows in tabulars(latex):
        assert rows[0][0] == "method" and len({len(row) for row in rows}) == 1
        gaps = 5.0 * (len(rows[0]) - 1)
        assert sum(max(map(points, cells)) for cells in zip(*rows, strict=True)) + gaps <= COLUMN


def test_the_matrix_is_in_front_with_every_scenario_once(latex):
    matrix = latex.split("% s0-v1")[0]
    found = [rows[0][1:] for rows in tabulars(matrix)]
    assert [title for titles in found for title in titles] == ["rank", *(f"S{n}" for n in range(1, 13))]
    assert "S1: s0-v1; S2: s1-v1" in matrix and "% -: no run of it in this scenario: late in s0-v1" in matrix
    assert r"ditto & 1.00 & \textbf{60.05}" not in matrix and r"\textbf{61.05}" in matrix, "the edition that counts"


def test_columns_without_anything_to_say_are_left_out(tmp_path):
    table = leaderboard(read_runs(folder_with(tmp_path, record("a"), record("b", 0, 60.0))))
    assert "interval" not in to_latex(table)
    table = leaderboard(read_runs(folder_with(tmp_path, record("a", 1))))
    assert "interval" in to_latex(table)


def test_long_names_of_methods_are_broken_into_lines_and_leave_half_of_the_room(tmp_path):
    """They were set beside, over the next column of the page: TeX said overfull by up to 58 points."""
    table = leaderboard(read_runs(folder_with(tmp_path, record("a"), record("b", 0, 60.0))))
    long = table.assign(variant="inner_steps=5, personal_lr=0.01, momentum=0.9")
    latex = to_latex(long)
    begins = re.findall(r"begin\{tabular\}\{@\{\}(.*)@\{\}\}", latex)
    assert begins and all(letters.startswith(f"p{{{COLUMN / 2 - 5:.0f}pt}}") for letters in begins)
    for rows in tabulars(latex):
        widths = [max(map(points, cells)) for cells in zip(*rows, strict=True)]
        assert sum(widths[1:]) + 5.0 * (len(widths) - 1) <= COLUMN / 2


def test_a_text_that_is_too_long_is_broken_into_lines(tmp_path):
    table = leaderboard(read_runs(folder_with(tmp_path, record("a"))))
    latex = to_latex(table.assign(imported="88.12 by somebody else; " * 9, imported_alone=None))
    assert re.search(r"begin\{tabular\}\{@\{\}lp\{\d+pt\}@\{\}\}\n\\toprule\nmethod & imported ", latex)
