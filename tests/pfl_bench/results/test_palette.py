from matplotlib.lines import Line2D

from pfl_bench.results.palette import COLOURS, Palette, matplotlib_line


def test_looks_repeat_only_after_every_colour_had_every_style():
    names = [f"m{n:02}" for n in range(35)]
    palette = Palette(names)
    for looks in (
        [str(matplotlib_line(n)) for n in range(35)],
        [str(palette.line(name)) for name in names],
        [str(palette.marker(name)) for name in names],
    ):
        assert len(set(looks)) == 35


def test_paper_and_page_have_the_same_colours_but_for_the_neutral_one():
    palette = Palette([f"m{n}" for n in range(7)])
    assert [palette.colour(f"m{n}") for n in range(6)] == list(COLOURS[:6])
    assert (matplotlib_line(6)["color"], palette.colour("m6")) == ("#000000", "#8A8A8A")


def test_matplotlib_knows_every_line():
    for position in range(35):
        Line2D([0], [0], **matplotlib_line(position))
