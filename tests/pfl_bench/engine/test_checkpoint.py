"""State as bytes and back."""

import hashlib
import pickle

import pytest
import safetensors.torch
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


@pytest.mark.parametrize("cut", [0, 4, 20, 60, -1])
def test_damaged_bytes_are_a_value_error(cut):
    data = checkpoint.dumps({"w": torch.ones(10)})
    with pytest.raises(ValueError, match="damaged checkpoint"):
        checkpoint.loads(data[:cut])


def test_one_flipped_bit_anywhere_is_noticed():
    """In version 1 one in the tensors went unnoticed, and the run came to another result."""
    data = checkpoint.dumps({"w": torch.ones(4), "k": [1, "x"]})
    for position in range(len(data)):
        flipped = bytearray(data)
        flipped[position] ^= 1 << position % 8
        with pytest.raises(ValueError, match="damaged checkpoint"):
            checkpoint.loads(bytes(flipped))


def test_whole_bytes_that_are_no_checkpoint():
    """A right checksum over something else: no traceback, and nothing is unpickled."""
    for body in (b"", pickle.dumps({"w": 1}), b"\x08" + bytes(7) + b'{"a":1}}', bytes(8) + b"[" * 5000):
        data = checkpoint._VERSION + hashlib.sha256(body).digest() + body
        with pytest.raises(ValueError, match="damaged checkpoint"):
            checkpoint.loads(data)


def test_a_checkpoint_of_version_1_is_said_to_be_of_another_version():
    old = safetensors.torch.save({"w": torch.ones(2)}, metadata={"pfl_bench": '{"tensor": "w"}'})
    with pytest.raises(ValueError, match="of another version"):
        checkpoint.loads(old)


def test_keys_with_slashes_and_nested_keys_are_told_apart():
    tree = {"a/b": torch.zeros(2), "a": {"b": torch.ones(2)}, "": {"a/b": torch.full((1,), 3.0)}}
    again = checkpoint.loads(checkpoint.dumps(tree))
    assert again["a/b"].tolist() == [0, 0] and again["a"]["b"].tolist() == [1, 1] and again[""]["a/b"].tolist() == [3]


def test_tuples_stay_tuples_and_sparse_tensors_are_named():
    assert checkpoint.loads(checkpoint.dumps(State(t=(1, (2, [3]))))).t == (1, (2, [3]))
    with pytest.raises(TypeError, match=r"state at /s is a tensor of layout torch.sparse_coo"):
        checkpoint.dumps(State(s=torch.eye(2).to_sparse()))
