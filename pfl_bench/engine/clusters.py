"""Which clients a method takes for alike at the end of a run, beside those that are."""

import numpy as np
import torch

from pfl_bench.client.params import State
from pfl_bench.data.dataset import ArrayDataset
from pfl_bench.data.partition import Partition

from .events import Row
from .federation import Federation
from .method import Method
from .moments import portions


def clusters_of(method: Method, fed: Federation, state: State) -> np.ndarray:
    """``client_clusters`` of everybody, int64 ``[clients]``, as many clients at a time as in an evaluation.

    TypeError or ValueError if it returned anything but a whole number per client.
    """
    found = []
    for clients in portions(fed):
        labels = method.client_clusters(fed, state, clients)
        if not isinstance(labels, torch.Tensor) or labels.is_floating_point() or labels.dtype == torch.bool:
            given = labels.dtype if isinstance(labels, torch.Tensor) else type(labels).__name__
            raise TypeError(f"{method.name}.client_clusters returned {given}; it must be a tensor of whole numbers")
        if labels.shape != clients.shape:
            raise ValueError(
                f"{method.name}.client_clusters returned shape {tuple(labels.shape)} for {len(clients)} clients"
            )
        found.append(labels.cpu().numpy().astype(np.int64))
    return np.concatenate(found)


def cluster_rows(clusters: np.ndarray, partition: Partition, dataset: ArrayDataset) -> list[Row]:
    """A row per training client: its ``cluster``, and its ``group``: the clients that see the same by the scenario's
    shifts, else its natural group; empty where there is neither."""
    groups = partition.natural_groups(dataset) if partition.alike is None else partition.alike
    return [
        {"client": client, "cluster": int(cluster), "group": "" if groups is None else int(groups[client])}
        for client, cluster in enumerate(clusters)
    ]
