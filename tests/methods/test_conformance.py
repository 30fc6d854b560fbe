"""Every registered method against every check, as ``pfl-bench check all`` does."""

import pytest

from pfl_bench.registry import METHODS
from pfl_bench.testing import CHECKS, Context, run_check

NAMES = METHODS.names()


@pytest.fixture(scope="module")
def context():
    return Context(tuple(NAMES))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.examine.__name__)
@pytest.mark.parametrize("method", NAMES)
def test_method_conforms(method, check, context):
    assert run_check(check, method, context) is None
