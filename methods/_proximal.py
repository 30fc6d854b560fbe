"""Cross-entropy with a pull towards other parameters; FedProx and Ditto descend it."""

from dataclasses import dataclass

from torch import Tensor

from pfl_bench.api import Batch, Net, Tensors, cross_entropy, squared_distance


@dataclass(frozen=True)
class Proximal:
    """F_i(theta) + weight / 2 ||theta - anchor||^2; ``aux`` is the anchor. The norm is squared."""

    weight: float

    def __call__(self, net: Net, params: Tensors, batch: Batch, anchor: Tensors) -> Tensor:
        """The loss of one client; running figures have no pull."""
        moved = {name: params[name] for name in params if name in net.model.trainable}
        return cross_entropy(net, params, batch) + self.weight / 2 * squared_distance(moved, anchor)
