"""The clients of one run that share a client model, with their training data. Methods see them through a federation."""

from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from pfl_bench.client.backends import Backend
from pfl_bench.client.backends.cuda_graphs import Recordings
from pfl_bench.client.backends.traced import TraceCache
from pfl_bench.client.batches import BatchMode, BatchPlan, plan_all, plan_batches
from pfl_bench.client.model import ClientModel
from pfl_bench.data.pool import Pool, on_device
from pfl_bench.seeds import numpy_generator

from .availability import Availability

COMPUTE_SAMPLES = 1024
"""Samples per client and chunk, where all of them are wanted."""


def client_ids(ids: np.ndarray, device: torch.device) -> Tensor:
    """Client ids on a device, int64 ``[c]``, which remember their values on the host: nobody waits to read them."""
    clients = on_device(torch.from_numpy(np.ascontiguousarray(ids)), device)
    clients.host_ids = ids.tolist(), clients._version  # type: ignore[attr-defined]
    return clients


def host_ids(clients: Tensor) -> list[int]:
    """The values of client ids. Waits for the device if they were made by anything but ``client_ids``."""
    known: tuple[list[int], int] | None = getattr(clients, "host_ids", None)
    if known is None or known[1] != clients._version:  # made elsewhere, or changed in place since
        return [int(client) for client in clients.tolist()]
    return known[0]


def check_ids(ids: list[int], clients: int) -> list[int]:
    """The same ids; ValueError for one that no client has."""
    for client in ids:
        if not 0 <= client < clients:
            raise ValueError(f"client {client} does not exist; there are clients 0 to {clients - 1}")
    return ids


@dataclass(frozen=True)
class ClientGroup:
    """``members[i]`` are client i's training samples in the pool, numbered ``0..clients-1``.

    Where the scenario has several client models, each has a group of its own: ``models`` are all of them, ``numbers``
    say which of all ``population`` training clients these are. ``availability``: how much of a round's steps they do.
    """

    model: ClientModel
    backend: Backend
    pool: Pool
    members: tuple[np.ndarray, ...]
    classes: int
    seed: int
    batch_size: int
    batch_mode: BatchMode
    models: tuple[ClientModel, ...]
    numbers: tuple[int, ...]
    population: int
    on_disk: bool = False
    availability: Availability = field(default_factory=Availability)
    recordings: Recordings = field(default_factory=Recordings)
    traces: TraceCache = field(default_factory=TraceCache)
    sizes: Tensor = field(init=False)
    class_counts: Tensor = field(init=False)
    _parts: dict[float, tuple["ClientGroup", "ClientGroup"]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        lengths = torch.tensor([float(len(own)) for own in self.members])
        object.__setattr__(self, "sizes", on_device(lengths, self.device))
        labels = self.pool.host_labels
        counts = np.stack([np.bincount(labels[own], minlength=self.classes) for own in self.members])
        object.__setattr__(self, "class_counts", on_device(torch.from_numpy(counts).float(), self.device))

    @property
    def device(self) -> torch.device:
        """Where tensors live."""
        return self.pool.device

    def plan(
        self, clients: Tensor, steps: int, draws: int, coordinates: tuple[str, str], round: int,
        taken: np.ndarray | None = None,
    ) -> BatchPlan:  # fmt: skip
        """The batches of some clients, each from its own stream: (seed, phase, stream, client, round)."""
        each, noise = [], []
        for client in check_ids(host_ids(clients), len(self.members)):
            at = (*coordinates, self.numbers[client], round)
            rng = numpy_generator(self.seed, *at)
            each.append(plan_batches(self.members[client], steps, draws, self.batch_size, self.batch_mode, rng))
            if self.model.random:
                drawn = numpy_generator(self.seed, "noise", *at).integers(2**32, size=each[-1][0].shape)
                noise.append(drawn.astype(np.int64))
        indices, sizes = (np.stack(column) for column in zip(*each, strict=True))
        seeds = on_device(torch.from_numpy(np.stack(noise)), self.device) if noise else None
        return BatchPlan(on_device(torch.from_numpy(indices), self.device), sizes, seeds, taken)

    def plan_all(self, clients: Tensor) -> BatchPlan:
        """Every training sample of some clients once, in chunks."""
        members = tuple(self.members[client] for client in check_ids(host_ids(clients), len(self.members)))
        indices, sizes = plan_all(members, COMPUTE_SAMPLES)
        return BatchPlan(on_device(torch.from_numpy(indices[:, :, None]), self.device), sizes[:, :, None])

    def part(self, share: float) -> tuple["ClientGroup", "ClientGroup"]:
        """The group with the rest of each client's training samples, and with the ``share`` held out."""
        if share not in self._parts:
            kept, held = [], []
            for number, own in zip(self.numbers, self.members, strict=True):
                order = numpy_generator(self.seed, "part", f"{share:.6f}", number).permutation(own)
                cut = min(max(1, round(share * len(own))), max(1, len(own) - 1))
                held.append(np.sort(order[:cut]))
                kept.append(np.sort(order[cut:]) if len(own) > 1 else own)
            self._parts[share] = replace(self, members=tuple(kept)), replace(self, members=tuple(held))
        return self._parts[share]
