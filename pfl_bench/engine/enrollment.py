"""Clients that were not there in training: what a method does for them with how many labelled samples."""

import numpy as np

from pfl_bench.client.params import State
from pfl_bench.data.partition import Partition
from pfl_bench.spec.scenario import EnrollSpec

from .evaluation import as_served, checked, evaluate
from .events import Row
from .federation import Federation
from .meter import BudgetError, Costs
from .method import Method
from .places import Place, newcomers


def class_shares(labels: np.ndarray, parts: tuple[np.ndarray, ...], classes: int) -> np.ndarray:
    """Each client's distribution over classes, ``[clients, classes]``; rows sum to 1."""
    counts = np.stack([np.bincount(labels[own], minlength=classes) for own in parts]).astype(float)
    shares: np.ndarray = counts / counts.sum(axis=1, keepdims=True)
    return shares


def nearest(shares: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Per row of ``shares``: which row of ``others`` has the least total variation distance, and that distance."""
    distances = 0.5 * np.abs(shares[:, None] - others[None]).sum(axis=2)
    return distances.argmin(axis=1), distances.min(axis=1)


def enroll(
    method: Method, state: State, place: Place, costs: Costs, partition: Partition, spec: EnrollSpec
) -> list[Row]:
    """One row per novel client and number of labelled samples; none if the method has no rule for newcomers.

    ``tv_distance``: total variation between the class distributions of the client and of the nearest training
    client, over all samples that the two hold. BudgetError if it took more than ``spec.steps`` gradients per client.
    """
    if not method.defines("enroll"):
        return []
    labels, first = place.group.pool.host_labels, partition.clients - partition.novel
    shares = class_shares(labels, partition.train, place.group.classes)
    neighbours, distances = nearest(shares[first:], shares[:first])
    rows: list[Row] = []
    for samples in spec.samples:
        new = newcomers(place, partition, None if samples == "all" else samples)
        fed, before = Federation(new.group, costs, "enroll", spec.steps, progress=1.0), costs.adapt_steps
        hook = f"{method.name}.enroll"
        served = checked(as_served(method.enroll(fed, state, fed.everyone), hook), fed.model, fed.clients, hook)
        used, allowed = costs.adapt_steps - before, fed.clients * spec.steps
        if used > allowed:
            raise BudgetError(f"enroll took {used} mini-batch gradients for {fed.clients} clients; the scenario's "
                              f"enroll.steps={spec.steps} allows {allowed}")  # fmt: skip
        fed.check_spent(hook)
        fed.close()
        scores = evaluate(fed.model, new.group.backend, served, new.test, fed.everyone)
        for client, own in enumerate(new.group.members):
            rows.append(
                {
                    "client": first + client,
                    "samples": samples,
                    "train_samples": len(own),
                    "steps": spec.steps,
                    "test_samples": int(scores.total[client]),
                    "test_correct": int(scores.correct[client]),
                    "test_accuracy": float(scores.accuracies[client]),
                    "nearest_client": int(neighbours[client]),
                    "tv_distance": float(distances[client]),
                }
            )
    return rows
