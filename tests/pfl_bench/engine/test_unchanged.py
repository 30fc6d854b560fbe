import pytest
import torch

from pfl_bench.client.backends.traced import TraceCache
from pfl_bench.client.params import Params, State
from pfl_bench.client.sgd import Sgd, sgd_step_
from pfl_bench.engine.per_client import PerClient
from pfl_bench.engine.unchanged import marks


def state() -> State:
    own = PerClient({"w": torch.zeros(3)}, clients=4)
    return State(server=Params(w=torch.zeros(2)), own=own, inner=State(n=1), list=[torch.zeros(1)], seen=(1, 2))


CHANGES = {
    "a number in place": lambda s: s.server["w"].add_(1),
    "a step of SGD": lambda s: sgd_step_(s.server, {"w": torch.ones(2)}, {"w": torch.zeros(2)}, Sgd(0.1, momentum=0.9)),
    "a tensor replaced": lambda s: s.server.__setitem__("w", torch.zeros(2)),
    "a client's row": lambda s: s.own.set_rows(torch.tensor([1]), {"w": torch.ones(1, 3)}),
    "a plain value": lambda s: setattr(s.inner, "n", 2),
    "a longer list": lambda s: s.list.append(torch.zeros(1)),
    "a new field": lambda s: setattr(s, "fresh", None),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changes_are_noticed(change):
    one = state()
    before = marks(one)
    CHANGES[change](one)
    assert marks(one) != before


def test_reading_is_no_change():
    one = state()
    before = marks(one)
    one.own.rows(torch.tensor([0, 3]))
    assert (one.server["w"] + 1).sum() == 2 and marks(one) == before


def test_a_replayed_step_is_noticed_too():
    one, traces = state(), TraceCache()

    def step(held, given):
        sgd_step_({"w": held["w"]}, {"w": given["w"].clone()}, {}, Sgd(0.1))

    for _ in range(5):
        before = marks(one)
        traces.call("step", step, one.server, {"w": torch.ones(2)})
        assert marks(one) != before
    assert traces.traced == 1
