import csv
import io
import re

import pandas as pd
import pytest

from pfl_bench.results.escapes import for_csv, for_latex, for_markdown, for_plotly
from pfl_bench.results.frame import read_runs
from pfl_bench.results.latex import to_latex
from pfl_bench.results.leaderboard import leaderboard
from pfl_bench.results.render import to_csv, to_markdown
from tests.ledgers import folder_with, record

NASTY = "=1+1|[a](http://b) <img src=x> www.b.c `x` \x1b]0;t\x07 \u202e \ud800 \\\\input{x} & % # $ _x_ ^ ~ *y*\nz"


@pytest.mark.parametrize("start", ["=", "+", "-", "@"])
def test_no_cell_is_a_formula(start):
    assert for_csv(f"{start}cmd()") == f"'{start}cmd()" and for_csv(-1.5) == -1.5
    frame = pd.DataFrame({"a": [f"{start}cmd()", None], "b": [-1.0, 2.0]})
    assert list(csv.reader(io.StringIO(to_csv(frame)))) == [["a", "b"], [f"'{start}cmd()", "-1"], ["", "2"]]


def test_markdown_has_no_link_no_tag_and_no_further_cell():
    shown = for_markdown(NASTY)
    assert not re.search(r"(?<!\\)[|<>`*\[\]]", shown) and "http://" not in shown and "www." not in shown
    assert for_markdown("fedavg_ft (lr=0.1, mu=-2)") == "fedavg_ft (lr=0.1, mu=-2)", "names are not made unreadable"


def test_latex_has_no_command_of_others():
    shown = for_latex(NASTY)
    assert not re.search(r"(?<!\\)[&%$#_]", shown.replace("$\\pm$", "")) and r"\input" not in shown


def test_plotly_sees_no_tag():
    figure = {"data": [{"name": "<a href='x'>y</a>", "y": ["<b>", 1.0], "meta": "<a>"}]}
    assert for_plotly(figure) == {
        "data": [{"name": "&lt;a href='x'&gt;y&lt;/a&gt;", "y": ["&lt;b&gt;", 1.0], "meta": "<a>"}]
    }


def test_tables_of_a_hostile_folder_hold_one_row_per_entry(tmp_path):
    runs = [record(config={"name": text}, reason=NASTY, backend=NASTY) for text in (NASTY, "-x")]
    frame = read_runs(folder_with(tmp_path, *runs))
    table = leaderboard(frame)
    rows = [line for line in to_markdown(table).splitlines() if line.startswith("| ")]
    assert len(rows) == 3 and len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 1
    tables = to_latex(table).count(r"\begin{tabular}")
    assert tables and len(re.findall(r"\\\\$", to_latex(table), re.MULTILINE)) == 3 * tables
    for text in (to_csv(table), to_csv(frame), to_markdown(table), to_latex(table)):
        text.encode()
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\u2066]", text)
    assert not [c for row in csv.reader(io.StringIO(to_csv(frame))) for c in row if re.match("[=+@-][^0-9]", c)]
