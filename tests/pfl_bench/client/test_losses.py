"""Losses, and what may be one."""

from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor

from pfl_bench.client.batches import Batch
from pfl_bench.client.losses import GradientRule, Loss, Scaled, check_value, cross_entropies, cross_entropy, mean_over

SCALE = 2.0


def at_the_top_level(net, params, batch, aux):
    return SCALE * cross_entropy(net, params, batch)


@dataclass(frozen=True)
class Weighted:
    weight: float
    names: frozenset[str] = frozenset()
    shapes: tuple[tuple[str, tuple[int, ...]], ...] = ()

    def __call__(self, net, params, batch, aux):
        return self.weight * cross_entropy(net, params, batch)

    def method(self, net, params, batch, aux):
        return self(net, params, batch, aux)


@dataclass(frozen=True)
class Sum:
    parts: tuple[Loss, ...]

    def __call__(self, net, params, batch, aux):
        return sum(part(net, params, batch, aux) for part in self.parts)


@dataclass
class Thawed:
    weight: float

    def __call__(self, net, params, batch, aux):
        return self.weight * cross_entropy(net, params, batch)


@dataclass(frozen=True, eq=False)
class Incomparable:
    weight: float


@dataclass(frozen=True)
class WithList:
    weights: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class WithTensor:
    weight: Tensor


@dataclass(frozen=True)
class WithHiddenState:
    weight: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "calls", [])


class Plain:
    def __call__(self, net, params, batch, aux):
        return cross_entropy(net, params, batch)


def closure():
    weight = 2.0
    return lambda net, params, batch, aux: weight * cross_entropy(net, params, batch)


def test_padding_does_not_count_in_the_loss():
    torch.manual_seed(0)
    logits = torch.randn(5, 3)
    batch = Batch(torch.zeros(5), torch.tensor([0, 1, 2, 0, 1]), torch.tensor([1.0, 1, 1, 0, 0]))
    padded = cross_entropy(lambda params, x: logits, {}, batch)
    torch.testing.assert_close(padded, torch.nn.functional.cross_entropy(logits[:3], batch.y[:3]))
    assert mean_over(batch, torch.tensor([1.0, 2, 3, 50, 60])) == 2


def test_cross_entropies_are_pytorch_s_to_the_last_bit():
    torch.manual_seed(0)
    logits, labels = torch.randn(20, 7), torch.randint(0, 7, (20,))
    assert torch.equal(
        cross_entropies(logits, labels), torch.nn.functional.cross_entropy(logits, labels, reduction="none")
    )


@pytest.mark.parametrize(
    "loss",
    [
        cross_entropy,
        at_the_top_level,
        Weighted(1.0),
        Weighted(1.0, frozenset({"a"}), (("a", (2, 3)),)),
        Sum((Weighted(1.0), Weighted(2.0))),
    ],
)
def test_values_and_functions_of_a_module_are_losses(loss):
    check_value("loss", loss)
    assert hash(loss) is not None


@pytest.mark.parametrize(
    "loss",
    [
        closure(),
        lambda net, params, batch, aux: 0.0,
        Weighted(1.0).method,
        Weighted,
        Thawed(1.0),
        Incomparable(1.0),
        WithList(),
        WithTensor(torch.ones(1)),
        WithHiddenState(1.0),
        Plain(),
        Sum((Weighted(1.0), Thawed(2.0))),
        3.0,
        "cross_entropy",
        None,
    ],
    ids=lambda loss: getattr(loss, "__qualname__", type(loss).__name__),
)
def test_what_could_read_what_changes_is_refused(loss):
    with pytest.raises(TypeError, match=r"loss=.* must be a frozen dataclass of plain values or a function"):
        check_value("loss", loss)


def test_a_refusal_names_what_was_given():
    with pytest.raises(TypeError, match=r"predict=Weighted\.method must be"):
        check_value("predict", Weighted(1.0).method)


def test_a_rule_takes_one_batch_and_one_gradient_unless_it_says_otherwise():
    rule = Scaled(frozenset({"w"}), 3.0)
    assert isinstance(rule, GradientRule) and (rule.draws, rule.gradients) == (1, 1)
    check_value("rule", rule)
    assert rule == Scaled(frozenset({"w"}), 3.0) != Scaled(frozenset({"w"}), 2.0)


def test_scaled_multiplies_the_gradients_of_some_parameters():
    params = {"w": torch.ones(1), "b": torch.ones(1)}
    direction, carry = Scaled(frozenset({"w"}), 3.0)(lambda at, batch: at, params, (None,), None, "carried")
    assert (direction["w"].item(), direction["b"].item(), carry) == (3.0, 1.0, "carried")
