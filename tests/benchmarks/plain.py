"""Federated averaging as a plain PyTorch loop on tensors that are held in memory: the least that anybody would write.

Nothing of a framework is in it: no evaluation, no meter, no checkpoint, and no clipping either, which ours does. What
is slower than this has to say why.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

Samples = tuple[Tensor, Tensor]


def federated_averaging(
    model: nn.Module, clients: list[Samples], visits: int, cohort: int, steps: int, batch: int, lr: float
) -> dict[str, Tensor]:
    """The server's weights after so many client visits; one model's memory is used for all clients."""
    rng = np.random.default_rng(0)
    server = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for _ in range(visits // cohort):
        returned = []
        for client in rng.choice(len(clients), cohort, replace=False):
            model.load_state_dict(server)
            optimiser = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9, weight_decay=5e-5)
            x, y = clients[client]
            for _ in range(steps):
                own = torch.from_numpy(rng.permutation(len(y))[:batch])
                optimiser.zero_grad()
                F.cross_entropy(model(x[own]), y[own]).backward()
                optimiser.step()
            returned.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
        weights = [len(clients[client][1]) for client in range(cohort)]
        total = sum(weights)
        server = {
            name: sum((own[name] * (w / total) for own, w in zip(returned, weights, strict=True)), torch.zeros(()))
            for name in server
        }
    return server
