"""Broken files of every kind of source: each must be one clear line."""

import re

import pytest

from pfl_bench.data.store import load_dataset
from pfl_bench.errors import RequestError


def assert_refused(spec, said, data_dir=None):
    """Loading is refused in one line of bounded length that says so and is nobody's traceback."""
    with pytest.raises(RequestError) as refused:
        load_dataset(spec, data_dir, download=False)
    text = str(refused.value)
    assert re.search(said, text), text
    assert "\n" not in text and len(text) < 700 and "could not be loaded" not in text, text
