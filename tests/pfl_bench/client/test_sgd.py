"""The one SGD step, and its figures."""

import pytest
import torch

from pfl_bench.client.params import Params, zeros_like
from pfl_bench.client.sgd import Sgd, flat_step_, sgd_step_


def random_params() -> Params:
    torch.manual_seed(0)
    return Params({"w": torch.randn(4, 3), "b": torch.randn(3), "head": torch.randn(2)})


def some_gradients(like: Params) -> Params:
    return like.map(torch.randn_like)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("clip", [None, 0.5])
def test_sgd_is_torch_optim_sgd(momentum, clip):
    ours = random_params()
    theirs = [tensor.clone().requires_grad_() for tensor in ours.values()]
    optimiser = torch.optim.SGD(theirs, lr=0.1, momentum=momentum, weight_decay=0.01)
    buffers, spec = zeros_like(ours), Sgd(0.1, momentum, 0.01, clip)
    for _ in range(5):
        gradients = some_gradients(ours)
        for tensor, gradient in zip(theirs, gradients.values(), strict=True):
            tensor.grad = gradient.clone()
        if clip is not None:
            torch.nn.utils.clip_grad_norm_(theirs, clip)
        optimiser.step()
        sgd_step_(ours, gradients, buffers, spec)
    for mine, other in zip(ours.values(), theirs, strict=True):
        torch.testing.assert_close(mine, other.detach())


def test_groups_are_the_param_groups_of_torch():
    ours = random_params()
    theirs = {name: tensor.clone().requires_grad_() for name, tensor in ours.items()}
    groups = [{"params": [theirs["w"], theirs["b"]]}, {"params": [theirs["head"]], "lr": 0.3, "weight_decay": 0.0}]
    optimiser = torch.optim.SGD(groups, lr=0.1, momentum=0.9, weight_decay=0.01)
    buffers, spec = zeros_like(ours), Sgd(0.1, 0.9, 0.01).but(["head"], lr=0.3, weight_decay=0.0)
    for _ in range(3):
        gradients = some_gradients(ours)
        for name, gradient in gradients.items():
            theirs[name].grad = gradient.clone()
        optimiser.step()
        sgd_step_(ours, gradients, buffers, spec)
    for name, mine in ours.items():
        torch.testing.assert_close(mine, theirs[name].detach())


def test_a_group_that_is_not_clipped_neither_counts_nor_changes():
    params = {"w": torch.zeros(2), "head": torch.zeros(1)}
    gradients = {"w": torch.tensor([3.0, 4.0]), "head": torch.tensor([9.0])}
    sgd_step_(params, gradients, {}, Sgd(1.0, clip_norm=1.0).but({"head"}, clip_norm=None))
    torch.testing.assert_close(params["w"], torch.tensor([-0.6, -0.8]))
    torch.testing.assert_close(params["head"], torch.tensor([-9.0]))


def test_every_group_is_clipped_by_a_norm_of_its_own():
    params = {"w": torch.zeros(2), "head": torch.zeros(1)}
    gradients = {"w": torch.tensor([3.0, 4.0]), "head": torch.tensor([9.0])}
    sgd_step_(params, gradients, {}, Sgd(1.0, clip_norm=1.0).but({"head"}, clip_norm=3.0))
    torch.testing.assert_close(params["w"], torch.tensor([-0.6, -0.8]))
    torch.testing.assert_close(params["head"], torch.tensor([-3.0]))


def test_clipping_can_be_off():
    params = {"w": torch.zeros(2)}
    sgd_step_(params, {"w": torch.tensor([3e6, 4e6])}, {}, Sgd(1.0, clip_norm=None))
    assert params["w"].tolist() == [-3e6, -4e6]


def test_the_same_step_on_all_clients_at_once():
    torch.manual_seed(0)
    flat, gradient, buffers = (
        torch.randn(3, 5),
        torch.randn(3, 5) * torch.tensor([[0.1], [1.0], [9.0]]),
        torch.ones(3, 5),
    )
    apart = flat.clone(), gradient.clone(), buffers.clone()
    spec = Sgd(0.1, 0.9, 0.01, clip_norm=1.0)
    flat_step_(flat, gradient, buffers, spec)
    for client in range(3):
        own, slope, kept = ({"w": tensor[client]} for tensor in apart)
        sgd_step_(own, slope, kept, spec)
        torch.testing.assert_close(flat[client], own["w"])
        torch.testing.assert_close(buffers[client], kept["w"])


def test_parts_follow_the_given_order_and_leave_out_what_does_not_move():
    spec = Sgd(0.1).but({"c", "a"}, lr=0.2).but({"elsewhere"}, lr=0.3)
    assert spec.parts(["a", "b", "c", "d"]) == [(spec, ("b", "d")), (Sgd(0.2), ("a", "c"))]
    assert spec.parts(["c"]) == [(Sgd(0.2), ("c",))]
    assert spec.parts([]) == []


def test_a_parameter_in_two_groups_is_refused():
    with pytest.raises(ValueError, match="'head' is in two groups"):
        Sgd(0.1).but({"head", "w"}, lr=0.2).but({"head"}, lr=0.3).parts(["w", "head"])


def test_equal_figures_are_equal_values():
    assert Sgd(0.1).but(["a", "b"], lr=0.2) == Sgd(0.1).but({"b", "a"}, lr=0.2)
    assert hash(Sgd(0.1).but(["a"], lr=0.2)) == hash(Sgd(0.1).but(["a"], lr=0.2))
    assert Sgd(0.1) != Sgd(0.1, clip_norm=1.0)


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        ({"lr": -0.1}, "lr=-0.1 must be a finite number of at least 0"),
        ({"lr": float("nan")}, "lr=nan"),
        ({"lr": 0.1, "momentum": -1.0}, "momentum=-1.0"),
        ({"lr": 0.1, "weight_decay": float("inf")}, "weight_decay=inf"),
        ({"lr": 0.1, "clip_norm": 0.0}, "clip_norm=0.0 must be above 0, or None"),
    ],
)
def test_figures_that_are_none_are_refused(figures, said):
    with pytest.raises(ValueError, match=said):
        Sgd(**figures)


def test_a_gradient_laid_out_otherwise_in_memory_is_understood():
    params = {"w": torch.zeros(2, 3)}
    sgd_step_(params, {"w": torch.arange(6.0).view(3, 2).t()}, {}, Sgd(1.0))
    torch.testing.assert_close(params["w"], -torch.arange(6.0).view(3, 2).t())
    with pytest.raises(ValueError, match="contiguous"):
        sgd_step_({"w": torch.zeros(3, 2).t()}, {"w": torch.zeros(2, 3)}, {}, Sgd(1.0))
