"""MH-pFedHN: clients have as many embedding vectors as their models' sizes ask for; models of like size share heads."""

import math
from dataclasses import dataclass

import torch
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn

from pfl_bench.api import (
    Batch,
    Federation,
    Method,
    Net,
    Params,
    Sgd,
    State,
    Tensors,
    cross_entropy,
    register_method,
    stacked,
)

from ._adam import AdamRule, adam_carry, adam_moments, adam_step_, clipped, moment_rows, set_moment_rows
from ._hypernetwork import HypernetworkConfig, Shapes, pulled_back, trunk
from ._layers import add_layer, seeded


def assembled(phi: Tensors, vectors: Tensor, shapes: Shapes) -> Params:
    """theta_i = the pieces W_j relu(trunk(v_ij)) + b_j behind one another, cut to size: ``[c, m, k]`` to ``[c, ...]``.

    ``phi`` is the trunk and the heads ``weight`` ``[m, hidden, piece]``, whose gradient lies in memory as they do, and
    ``bias`` ``[m, piece]``; further vectors have no part in it.
    """
    feature = trunk(phi, vectors[:, : len(phi["weight"])]).relu()
    pieces = torch.einsum("cmh,mhp->cmp", feature, phi["weight"]) + phi["bias"]
    sizes = [math.prod(shape) for shape in shapes.values()]
    parts = torch.split(pieces.flatten(1)[:, : sum(sizes)], sizes, 1)
    return Params({name: part.view(-1, *shapes[name]) for name, part in zip(shapes, parts, strict=True)})


@dataclass(frozen=True)
class AssembledLoss:
    """Cross-entropy of an assembled model as a function of its ``vectors`` ``[m, k]``; ``aux`` is the frozen phi."""

    shapes: tuple[tuple[str, tuple[int, ...]], ...]

    def __call__(self, net: Net, params: Tensors, batch: Batch, phi: Tensors) -> Tensor:
        """The loss of one client."""
        made = assembled(phi, params["vectors"].unsqueeze(0), dict(self.shapes)).map(lambda tensor: tensor[0])
        return cross_entropy(net, made | {n: t for n, t in params.items() if n != "vectors"}, batch)


@register_method("mh_pfedhn", paper="Zhang et al. 2025, arXiv:2507.22330, and the authors' code", family="hypernetwork")
class MHPFedHN(Method):
    """As pFedHN, with m_i = ceil(|theta_i| / piece) vectors v_ij; theta_i = (H_j(relu(trunk(v_ij))))_j, cut to size.

    Clients of equal m_i share the heads H_1 to H_m, whatever their models; all share the trunk. As in the authors' code
    Adam moves what the cohort used and nothing else. What is not generated (buffers) is averaged; there it stays on the
    clients. The variant with a global model that is distilled (MH-pFedHNGD) is left out.
    """

    version = 2
    joint = True
    search_space = {"lr": [2e-4, 1e-3, 3e-3, 1e-2], "inner_lr": [0.1, 0.05, 0.01, 0.005]}

    class Config(HypernetworkConfig):
        """The authors' values; one client per step."""

        cohort: PositiveInt = 1
        lr: PositiveFloat = Field(2e-4, description="Adam's learning rate, of hypernetwork and vectors")
        inner_weight_decay: NonNegativeFloat = 5e-4
        piece: PositiveInt = Field(3072, description="parameters that one vector makes")
        embedding: PositiveInt = Field(64, description="size of a vector")
        hidden: PositiveInt = Field(128, description="width of the trunk, which ends in a ReLU")
        hidden_layers: NonNegativeInt = 2
        spread: PositiveFloat = Field(0.002, description="standard deviation of the vectors at the start")

    def size_class(self, shapes: Shapes) -> int:
        """m of a client model."""
        return math.ceil(sum(map(math.prod, shapes.values())) / self.config.piece)

    def init(self, fed: Federation) -> State:
        """Trunk, heads per size class and vectors per client, with their moments, on the server."""
        config, trunk = self.config, Params()
        classes = sorted({self.size_class(model.shapes) for model in fed.models})
        with seeded(fed, "hypernetwork"):
            for layer in range(config.hidden_layers + 1):
                add_layer(
                    trunk, f"trunk.{layer}", nn.Linear(config.hidden if layer else config.embedding, config.hidden)
                )
            bound = config.hidden**-0.5  # of nn.Linear
            drawn = {str(m): torch.empty(m, config.piece, config.hidden + 1).uniform_(-bound, bound) for m in classes}
        phi = {"trunk": trunk} | {
            m: Params(weight=w[..., :-1].transpose(1, 2).contiguous(), bias=w[..., -1].clone())
            for m, w in drawn.items()
        }
        phi = {part: own.map(lambda tensor: tensor.to(fed.device)) for part, own in phi.items()}
        vectors = Params(v=self.fresh(fed, fed.population, classes[-1]))
        rest = {model.name: fed.init_params(model).without(model.shapes) for model in fed.models}
        adam = {part: adam_moments(own) for part, own in phi.items()}
        return State(phi=phi, adam=adam, vectors=vectors, moments=adam_moments(vectors, fed.population), rest=rest)

    def fresh(self, fed: Federation, clients: int, vectors: int) -> Tensor:
        """Vectors as drawn at the start, ``[clients, vectors, k]``."""
        shape = (clients, vectors, self.config.embedding)
        return torch.from_numpy(fed.generator("vectors").normal(0.0, self.config.spread, shape)).float().to(fed.device)

    def round(self, fed: Federation, state: State, cohort: Tensor) -> State:
        """Generate, send, train, collect the update, and step what it was generated with."""
        shapes, model, at = fed.model.shapes, fed.model.name, fed.among_all(cohort)
        m = str(self.size_class(shapes))
        trunk, heads, vectors = state.phi["trunk"], state.phi[m], state.vectors.rows(at)
        made = assembled(trunk | heads, vectors["v"], shapes)
        sent = fed.send_each(made | stacked(state.rest[model], len(cohort)))
        trained = fed.train(sent, cohort, self.config.inner_sgd()).params
        up = fed.collect({name: sent[name] - trained[name] for name in shapes} | trained.only(state.rest[model]))
        slopes = pulled_back(trunk | heads | vectors, lambda w: assembled(w, w["v"], shapes), up.only(shapes))
        slopes = clipped(slopes, self.config.clip_norm)
        own = moment_rows(state.moments, at)
        for params, moments in ((trunk, state.adam["trunk"]), (heads, state.adam[m]), (vectors, own)):
            adam_step_(params, slopes, moments, self.config.lr)
        state.vectors.set_rows(at, vectors)
        set_moment_rows(state.moments, at, own)
        state.rest[model] = fed.average(up.only(state.rest[model]), cohort, "uniform")
        return state

    def client_params(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """The generated models."""
        vectors, shapes = state.vectors.rows(fed.among_all(clients)), fed.model.shapes
        made = assembled(self.phi(fed, state), vectors["v"], shapes)
        return made | stacked(state.rest[fed.model.name], len(clients))

    def phi(self, fed: Federation, state: State) -> Params:
        """What makes this client model: the trunk and the heads of its size class."""
        phi: Params = state.phi["trunk"] | state.phi[str(self.size_class(fed.model.shapes))]
        return phi

    def enroll(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """Fit fresh vectors by Adam, with the hypernetwork frozen."""
        shapes, phi = fed.model.shapes, self.phi(fed, state)
        vectors = Params(vectors=self.fresh(fed, fed.clients, len(phi["weight"]))[clients])
        start = vectors | stacked(state.rest[fed.model.name], len(clients))
        loss, aux, carry = AssembledLoss(tuple(shapes.items())), stacked(phi, len(clients)), adam_carry(vectors)
        fitted = fed.train(start, clients, Sgd(self.config.lr), loss=loss, rule=AdamRule(), aux=aux, carry=carry).params
        return assembled(phi, fitted["vectors"], shapes) | fitted.without(vectors)

    def client_vectors(self, fed: Federation, state: State) -> Tensor:
        """The learned vectors, behind one another."""
        return state.vectors["v"].flatten(1)
