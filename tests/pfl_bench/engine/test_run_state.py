"""What a run is gone on from, and what not."""

import pytest
import torch

from pfl_bench.client.params import State
from pfl_bench.engine import checkpoint
from pfl_bench.engine.events import Checkpoint
from pfl_bench.engine.meter import Costs
from pfl_bench.engine.run_state import RunState, doubt
from pfl_bench.engine.simulator import simulate
from pfl_bench.spec.options import Options
from pfl_bench.testing.setup import tiny_setup


def one(**changes) -> bytes:
    run = RunState([State(w=torch.ones(2))], Costs(), 3, 6, [{"visits": 5}], {})
    return checkpoint.dumps({**vars(run), "costs": run.costs.as_dict(), "run": "a", **changes})


def test_a_real_checkpoint_is_not_doubted():
    setup = tiny_setup()
    spec = setup.spec("ditto")
    events = simulate(spec, setup.dataset, setup.partition, Options(checkpoint_seconds=0))
    data = next(event.data for event in events if isinstance(event, Checkpoint))
    assert doubt(data, spec.id) == ""
    assert "a checkpoint of another run" in doubt(data, setup.spec("fedavg").id)
    assert doubt(one(), "a") == ""


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"run": "b"}, "a checkpoint of another run, 'b'"),
        ({"run": 7}, "a checkpoint of another run, '7'"),
        ({"more": 1}, "with other fields"),
        ({"states": []}, "states is of another type"),
        ({"states": [1]}, "states is of another type"),
        ({"visits": "6"}, "visits is of another type"),
        ({"visits": -1}, "visits is of another type"),
        ({"round": True}, "round is of another type"),
        ({"costs": {"bytes_up": "many"}}, "costs is of another type"),
        ({"costs": {"money": 1}}, "costs is of another type"),
        ({"history": [1], "picks": {"global/best": 3}}, "history, picks is of another type"),
        ({"picks": {"global/best": {"visits": 1}}}, "picks is of another type"),
    ],
)
def test_fields_of_another_kind(changes, why):
    assert why in doubt(one(**changes), "a")


def test_what_is_no_tree_of_fields_or_missing():
    assert "a checkpoint of another run" in doubt(checkpoint.dumps([1, 2]), "a")
    assert doubt(None, "a") == "its checkpoint is missing"
