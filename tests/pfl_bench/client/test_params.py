"""Parameters as plain data."""

import torch

from pfl_bench.client.params import Params, plain, squared_distance, stacked, zeros_like


def example() -> Params:
    return Params({"a.weight": torch.arange(6.0).view(2, 3), "b": torch.ones(2)})


def test_union_prefers_the_right_and_stays_params():
    union = example() | {"b": torch.zeros(2), "c": torch.ones(1)}
    assert isinstance(union, Params)
    assert union["b"].sum() == 0
    assert list(union) == ["a.weight", "b", "c"]


def test_only_and_without_are_complements():
    params = example()
    assert list(params.only(["b"])) == ["b"]
    assert list(params.without(["b"])) == ["a.weight"]


def test_rows_are_copies_and_set_rows_writes_in_place():
    clients = stacked(example(), 4).map(torch.clone)
    ids = torch.tensor([3, 1])
    rows = clients.rows(ids)
    rows["b"] += 5
    assert clients["b"].max() == 1, "rows must not alias the state"
    clients.set_rows(ids, rows)
    assert clients["b"][:, 0].tolist() == [1, 6, 1, 6]


def test_stacked_is_a_view():
    assert stacked(example(), 1000)["a.weight"].untyped_storage().nbytes() == 6 * 4


def test_squared_distance_and_zeros():
    params = example()
    assert squared_distance(params, zeros_like(params)) == sum(range(6)) * 0 + 0 + 1 + 4 + 9 + 16 + 25 + 2


def test_plain_gives_what_torch_func_understands():
    tree = plain({"x": Params({"w": torch.ones(1)}), "y": [Params(), None]})
    assert type(tree["x"]) is dict
    assert tree["y"] == ({}, None)
