import pytest
import typer

from pfl_bench.cli.numbers import number, whole


@pytest.mark.parametrize("text", ["\u0663", "\u00b2", "1_0", "0", "11", "1e1", "5.0", "", " 5", "9" * 30, "true"])
def test_no_whole_number_from_1_to_10(text):
    with pytest.raises(typer.BadParameter, match="is not a whole number from 1 to 10"):
        whole(1, 10)(text)
    assert whole(1, 10)("10") == 10 and whole(0, 5)(3) == 3


@pytest.mark.parametrize("text", ["\u0663", "1_0", "x", "", "0x1", "1e", "1,5", "infinity5"])
def test_no_number(text):
    with pytest.raises(typer.BadParameter, match="is not a number"):
        number(text)
    assert (number("0.5"), number(".5"), number("1e-3"), number(1.0), number("-inf")) == (
        0.5,
        0.5,
        1e-3,
        1.0,
        float("-inf"),
    )
