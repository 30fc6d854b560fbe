"""Clients that rest in a step: on a CPU and, by other operations, on a GPU."""

import pytest
import torch

from pfl_bench.client.backends.vmap import idle_rows_unmoved, masked_unmoved


@pytest.mark.parametrize("unmoved", [idle_rows_unmoved, masked_unmoved])
@pytest.mark.parametrize("active", [[True, False, True, False], [False] * 4, [True] * 4])
def test_who_rests_stays_where_it_was(unmoved, active):
    tensors = [torch.arange(8.0).view(4, 2), torch.ones(4, 3)]
    before = [tensor.clone() for tensor in tensors]
    with unmoved(torch.tensor(active), tensors):
        tensors[0] += 1
        tensors[1][:] = torch.nan  # of a resting client nothing is believed
    for tensor, old, new in zip(tensors, before, (before[0] + 1, torch.full((4, 3), torch.nan)), strict=True):
        for row, takes in enumerate(active):
            assert torch.equal(tensor[row].nan_to_num(-1), (new if takes else old)[row].nan_to_num(-1))
