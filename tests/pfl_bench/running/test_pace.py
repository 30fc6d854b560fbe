"""How fast a run is: a method that refuses rounds of a few steps is not taken for a fast one."""

import pytest

from pfl_bench.running.pace import _pace, _with_steps
from pfl_bench.running.runner import make_plan
from pfl_bench.spec.options import Options
from pfl_bench.spec.run import plan_runs
from pfl_bench.spec.suite import parse_suite
from tests.pfl_bench.running.test_turns import SUITE


def test_a_round_that_is_refused_has_no_pace(tmp_path):
    suite = parse_suite(SUITE.replace("local_steps = 2", "local_steps = 50"), "s.toml")
    plan = make_plan("s", plan_runs(["pfedme"], suite.scenarios, [0], suite, {}), tmp_path, Options())
    (run,) = plan.runs
    with pytest.raises(RuntimeError, match="local_steps=2 is too few"):
        _pace(plan, _with_steps(run, 2), 0)
    assert _pace(plan, _with_steps(run, 10), 0).visit > 0
