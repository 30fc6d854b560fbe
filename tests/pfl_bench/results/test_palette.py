from hypothesis import given
from hypothesis import strategies as st
from matplotlib.lines import Line2D

from pfl_bench.results.palette import COLOURS, PLACES, STYLES, Palette

EVERY = len(COLOURS) * len(STYLES)


@given(st.sets(st.one_of(st.sampled_from(PLACES), st.text("abc", max_size=3)), max_size=20))
def test_nobody_looks_like_another_while_there_are_looks(names):
    palette = Palette(names)
    for look in (palette.line, palette.marker, palette.matplotlib_line):
        assert len({str(look(name)) for name in names}) == len(names)


@given(st.sampled_from(PLACES), st.sets(st.sampled_from(PLACES)), st.sets(st.text(max_size=5)))
def test_a_method_looks_the_same_whoever_else_is_there(name, others, strangers):
    alone, company = Palette([name]), Palette({name, *others, *strangers})
    assert alone.line(name) == company.line(name) and alone.marker(name) == company.marker(name)


def test_more_entries_than_looks_have_looks_too():
    names = [f"m{n}" for n in range(EVERY + 3)]
    palette = Palette(names)
    assert len({str(palette.line(name)) for name in names}) == EVERY


def test_the_best_known_methods_have_colours_of_their_own():
    assert len({Palette([name]).colour(name) for name in PLACES[: len(COLOURS)]}) == len(COLOURS)
    assert len(set(PLACES)) == len(PLACES) <= EVERY


def test_variants_keep_their_methods_colour():
    palette = Palette(["pfedhn", "pfedhn (lr=1)", "pfedhn (lr=2)"])
    assert {palette.colour(name) for name in ("pfedhn", "pfedhn (lr=1)", "pfedhn (lr=2)")} == {COLOURS[4]}


def test_matplotlib_knows_every_look():
    palette = Palette(PLACES)
    for name in PLACES:
        Line2D([0], [0], **palette.matplotlib_line(name))
