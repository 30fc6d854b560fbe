"""What pFedHN and pFedHN-PC share: the server's work in a round, and the loss by which newcomers fit an embedding."""

from dataclasses import dataclass

from torch import Tensor

from pfl_bench.api import Batch, Federation, Net, Params, Sgd, Tensors, cross_entropy

from ._hypernetwork import Shapes, generate, prefix, update_hypernetwork_


@dataclass(frozen=True)
class GeneratedLoss:
    """Cross-entropy of a generated model as a function of its embedding; ``aux`` is the frozen rest of phi.

    ``params`` are the embedding ``[k]`` and what of the client model is not generated.
    """

    shapes: tuple[tuple[str, tuple[int, ...]], ...]

    def __call__(self, net: Net, params: Tensors, batch: Batch, phi: Tensors) -> Tensor:
        """The loss of one client."""
        generated = generate(phi, params["embedding"].unsqueeze(0), dict(self.shapes))
        own = {name: tensor for name, tensor in params.items() if name != "embedding"}
        return cross_entropy(net, {**{name: tensor[0] for name, tensor in generated.items()}, **own}, batch)


@dataclass(frozen=True)
class Hypernetwork:
    """The server's two recurring pieces of work, for the clients of ``fed``; replayed on a GPU."""

    fed: Federation
    phi: Params
    momentum: Params
    shapes: Shapes

    def generate(self, clients: Tensor) -> Params:
        """The models of these clients, stacked ``[c, ...]``."""
        start = prefix(self.fed, self.fed.model)

        def work(phi: Params, given: Tensor) -> Params:
            return generate(phi, phi["embedding"][given], self.shapes, start)

        return Params(self.fed.replayed(f"generate {start}", work, self.phi, self.fed.among_all(clients)))

    def learn(self, clients: Tensor, delta: Tensors, sgd: Sgd) -> None:
        """``update_hypernetwork_`` from what the clients sent back."""
        start = prefix(self.fed, self.fed.model)

        def work(held: tuple[Params, Params], given: tuple[Tensor, Tensors]) -> None:
            update_hypernetwork_(*held, given[0], self.shapes, given[1], sgd, start)

        self.fed.replayed(f"learn {start}", work, (self.phi, self.momentum), (self.fed.among_all(clients), delta))
