"""An imitation of the official pFedHN code's data path, and plain models: yardsticks that are no real peers.

A ``Subset`` of a map-style data set with per-image transforms, a fresh ``DataLoader`` for every local step (as the
official code draws its batches), an ``nn.Module`` whose weights are loaded from and copied to state dicts. No published
benchmark as a whole is as slow as that in training: measured on one core, a LeNet step took the official code 16 ms,
FL-bench 13, PFLlib 12, Flower 11, pfl-research and a channels-last plain loop 8, as ours. The plain loops of ``speed``
and ``test_local_step`` are what ours is to be compared with.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Subset

from pfl_bench.data.dataset import ArrayDataset


class PlainLeNet(nn.Module):
    """The paper's network in the usual order: convolution, ReLU, pooling."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 16, 5), nn.Conv2d(16, 32, 5)
        self.fc1, self.fc2, self.classifier = nn.Linear(800, 120), nn.Linear(120, 84), nn.Linear(84, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.classifier(F.relu(self.fc2(F.relu(self.fc1(x.flatten(1))))))


class PlainMlp(nn.Module):
    """The client model of ``quick``."""

    def __init__(self, inputs: int, classes: int = 10) -> None:
        super().__init__()
        self.hidden, self.classifier = nn.Linear(inputs, 64), nn.Linear(64, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(F.relu(self.hidden(x.flatten(1))))


class Images(Dataset):
    """A map-style data set: PIL image in, normalised tensor out, one at a time."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, mean, std) -> None:
        from torchvision import transforms

        self.images, self.labels = images, labels
        self.transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize(mean, std)])

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        from PIL import Image

        return self.transform(Image.fromarray(self.images[index])), int(self.labels[index])


def client_data(data: ArrayDataset, members: np.ndarray) -> Subset:
    """One client's training samples."""
    return Subset(Images(data.train_inputs, data.train_labels, data.mean, data.std), np.asarray(members).tolist())


def plain_step(model: nn.Module, optimiser: torch.optim.Optimizer, x: Tensor, y: Tensor) -> None:
    """One mini-batch step: zero_grad, forward, backward, clip, step."""
    optimiser.zero_grad()
    F.cross_entropy(model(x), y).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 50)
    optimiser.step()


def sgd(model: nn.Module) -> torch.optim.SGD:
    """The client's optimiser in the official code."""
    return torch.optim.SGD(model.parameters(), lr=5e-3, momentum=0.9, weight_decay=5e-5)


def train_visit(model: nn.Module, weights: dict, data: Subset, steps: int, batch_size: int = 64) -> dict:
    """One client visit: load weights, train, return the new weights as a copied state dict."""
    model.load_state_dict(weights)
    optimiser = sgd(model)
    for _ in range(steps):
        x, y = next(iter(DataLoader(data, batch_size=batch_size, shuffle=True)))
        plain_step(model, optimiser, x, y)
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


class PlainHypernetwork(nn.Module):
    """pFedHN's hypernetwork: an embedding, a trunk, one linear head per tensor of the client model."""

    def __init__(self, clients: int, client_model: nn.Module) -> None:
        super().__init__()
        size = int(1 + clients / 4)
        self.embedding = nn.Embedding(clients, size)
        widths = [size, 100, 100, 100, 100]
        layers = [layer for a, b in pairwise(widths) for layer in (nn.Linear(a, b), nn.ReLU())]
        self.trunk = nn.Sequential(*layers[:-1])
        self.shapes = {name: tensor.shape for name, tensor in client_model.state_dict().items()}
        self.heads = nn.ModuleList(nn.Linear(100, shape.numel()) for shape in self.shapes.values())

    def forward(self, client: Tensor) -> dict[str, Tensor]:
        feature = self.trunk(self.embedding(client))
        outputs = zip(self.shapes.items(), self.heads, strict=True)
        return {name: head(feature).view(shape) for (name, shape), head in outputs}


def pfedhn_visits(clients: list[Subset], visits: int, steps: int) -> Iterator[int]:
    """The official training loop: generate, train, descend the vector-Jacobian product. Yields after each visit."""
    model = PlainLeNet()
    server = PlainHypernetwork(len(clients), model)
    optimiser = torch.optim.SGD(server.parameters(), lr=1e-2, momentum=0.9, weight_decay=1e-3)
    for visit in range(visits):
        client = visit % len(clients)
        weights = server(torch.tensor([client]))
        trained = train_visit(model, weights, clients[client], steps)
        optimiser.zero_grad()
        delta = [weights[name].detach() - trained[name] for name in weights]
        gradients = torch.autograd.grad(list(weights.values()), list(server.parameters()), delta)
        for parameter, gradient in zip(server.parameters(), gradients, strict=True):
            parameter.grad = gradient
        torch.nn.utils.clip_grad_norm_(server.parameters(), 50)
        optimiser.step()
        yield visit
