import torch

from pfl_bench.client.params import Params, State
from pfl_bench.engine.footprint import state_sizes
from pfl_bench.engine.per_client import PerClient
from pfl_bench.testing.harness import Harness


def test_what_is_kept_is_counted_wherever_it_lies():
    own = PerClient({"w": torch.zeros(2, 3), "b": torch.zeros(3)}, clients=50)
    own.set_rows(torch.tensor([1, 4]), {"w": torch.ones(2, 2, 3), "b": torch.ones(2, 3)})
    state = State(a=Params(x=torch.zeros(5)), list=[torch.zeros(2), own], inner=State(own=own, text="abc", number=3))
    assert state_sizes(state) == (18, 7), "visits make a client's part no larger"


def test_methods():
    size = Harness("fedavg", rounds=0).group.model.size
    assert state_sizes(Harness("fedavg", rounds=1).state) == (0, size)
    assert state_sizes(Harness("local", rounds=1).state)[0] == size
    assert state_sizes(Harness("ditto", rounds=1).state) == (size, size)
    scaffold = Harness("scaffold", rounds=1)
    assert state_sizes(scaffold.state) == (size, 2 * size)
    _, head = scaffold.fed.split(scaffold.fed.init_params())
    kept = sum(tensor.numel() for tensor in head.values())
    assert state_sizes(Harness("fedper", rounds=1).state) == (kept, size - kept)
