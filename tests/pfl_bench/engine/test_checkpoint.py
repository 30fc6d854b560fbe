"""State as bytes and back."""

import pytest
import torch

from pfl_bench.client.params import Params, State
from pfl_bench.engine import checkpoint


def test_round_trip_keeps_types_values_and_order():
    state = State(
        params=Params({"w": torch.randn(3, 2), "b": torch.tensor(1, dtype=torch.int64)}),
        nested={"list": [1, 2.5, "x", None, True, torch.zeros(0)]},
        inner=State(k=3),
    )
    back = checkpoint.loads(checkpoint.dumps(state))
    assert isinstance(back, State) and isinstance(back.params, Params) and isinstance(back.inner, State)
    assert list(back.params) == ["w", "b"]
    assert torch.equal(back.params["w"], state.params["w"])
    assert back.params["b"].dtype == torch.int64
    assert back.nested["list"][:5] == [1, 2.5, "x", None, True]


def test_views_and_shared_tensors_are_stored_as_copies():
    base = torch.arange(4.0)
    back = checkpoint.loads(checkpoint.dumps({"a": base.expand(3, 4), "b": base, "c": base}))
    assert back["a"].shape == (3, 4)
    back["b"].add_(1)
    assert torch.equal(back["c"], base)


@pytest.mark.parametrize("bad", [object(), {1: 2}, {"f": lambda: 0}])
def test_what_is_not_data_is_named(bad):
    with pytest.raises(TypeError, match="state at /x"):
        checkpoint.dumps({"x": bad})


@pytest.mark.parametrize("cut", [0, 4, 20, -1])
def test_damaged_bytes_are_a_value_error(cut):
    data = checkpoint.dumps({"w": torch.ones(10)})
    with pytest.raises(ValueError, match="damaged checkpoint"):
        checkpoint.loads(data[:cut])
