"""What each shift does to a client's samples."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pfl_bench.data.inputs import InputSpec
from pfl_bench.data.shifts import ShiftContext
from pfl_bench.errors import RequestError
from pfl_bench.registry import SHIFTS

IMAGES = InputSpec("image", (3, 5, 5))
PIXELS = ShiftContext(IMAGES, 4, (0.5, 0.4, 0.3), (0.2, 0.1, 0.3), 255.0)
FLOATS = ShiftContext(IMAGES, 4, (0.5, 0.4, 0.3), (0.2, 0.1, 0.3), 1.0)


def made(rule: str, groups: int, context=PIXELS, seed=0, **parameters):
    shift = SHIFTS.get(rule)
    return shift.make(shift.config(**parameters), context, groups, np.random.default_rng(seed))


def images(seed=0, n=6, dtype=np.uint8):
    drawn = np.random.default_rng(seed).integers(0, 256, (n, 5, 5, 3), dtype=np.uint8)
    return drawn if dtype == np.uint8 else (drawn / 255).astype(dtype)


RNG = partial(np.random.default_rng, 7)


def test_quarter_turns_are_numpys_and_four_of_them_are_none():
    changes = made("rotation", 4)
    assert changes[0] is None
    own = images()
    for quarter in (1, 2, 3):
        assert (changes[quarter](own, RNG()) == np.rot90(own, quarter, axes=(1, 2))).all()
    once = own
    for _ in range(4):
        once = changes[1](once, RNG())
    assert (once == own).all()


def test_other_angles_interpolate_and_turn_the_same_way():
    """A small turn moves a bright pixel as a quarter turn does: counter-clockwise."""
    own = np.zeros((1, 21, 21, 1), np.uint8)
    own[0, 10, 18] = 255  # right of the middle
    turned = made("rotation", 1, angles=(45.0,))[0](own, RNG())
    row, column = np.unravel_index(turned[0, :, :, 0].argmax(), (21, 21))
    assert row < 7 and column > 13, "it is now up and to the right"
    assert turned.dtype == np.uint8 and turned.shape == own.shape


def test_rotation_refuses_what_cannot_be():
    with pytest.raises(RequestError, match="2 angles for 3 groups"):
        made("rotation", 3, angles=(0.0, 90.0))
    wide = ShiftContext(InputSpec("image", (1, 4, 6)), 2, (0.5,), (0.5,), 255.0)
    with pytest.raises(RequestError, match="4 x 6 cannot make quarter turns"):
        made("rotation", 4, wide)
    assert made("rotation", 2, wide)[1] is not None, "half a turn goes with any shape"


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_noise_has_the_groups_level(dtype):
    context = PIXELS if dtype == np.uint8 else FLOATS
    changes = made("noise", 3, context, level=0.5)
    assert changes[0] is None
    grey = np.full((400, 5, 5, 3), 0.5 * context.unit, dtype)
    for group, level in ((1, 0.25), (2, 0.5)):
        noisy = changes[group](grey, RNG())
        assert noisy.dtype == dtype
        assert noisy.std(axis=(0, 1, 2)) == pytest.approx(level * context.unit * np.asarray(context.std), rel=0.05)
    assert (changes[1](grey, RNG()) == changes[1](grey, RNG())).all(), "by its stream alone"


def test_inversion_twice_is_nothing():
    for context, dtype in ((PIXELS, np.uint8), (FLOATS, np.float32)):
        first, second = made("inversion", 2, context)
        own = images(dtype=dtype)
        assert first is None
        assert second(second(own, RNG()), RNG()) == pytest.approx(own, abs=1e-6)
    assert (made("inversion", 2)[1](images(), RNG()) == 255 - images()).all()


def test_contrast_keeps_the_mean():
    change = made("contrast", 2, FLOATS, factors=(1.0, 0.5))[1]
    own = images(dtype=np.float32)
    mean = np.asarray(FLOATS.mean, np.float32)
    assert change(own, RNG()) == pytest.approx((own + mean) / 2, abs=1e-6)
    assert [c is None for c in made("contrast", 3)] == [True, False, False]


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 12), st.integers(2, 6), st.data())
def test_permutations_move_so_many_classes_and_differ(classes, groups, data):
    moved = data.draw(st.none() | st.integers(2, classes))
    context = ShiftContext(IMAGES, classes, (0.5,), (0.5,), 255.0)
    try:
        changes = made("permutation", groups, context, seed=data.draw(st.integers(0, 99)), moved=moved)
    except RequestError as error:
        assert "at most" in str(error) and classes <= 4
        return
    labels = np.arange(classes)
    names = [labels if change is None else change(labels, RNG()) for change in changes]
    assert (names[0] == labels).all()
    for name in names[1:]:
        assert sorted(name) == labels.tolist() and name.dtype == labels.dtype
        assert (name != labels).sum() == (moved or classes)
    assert len({tuple(name) for name in names}) == groups


def test_one_class_has_no_other_name():
    with pytest.raises(RequestError, match="the data have 1 class, and no other name to give it"):
        made("permutation", 2, ShiftContext(IMAGES, 1, (0.5,), (0.5,), 255.0))


def test_more_classes_cannot_move_than_there_are():
    with pytest.raises(RequestError, match="moved=5 of 4 classes; give a number from 2 to 4"):
        made("permutation", 2, moved=5)
