"""Where a run takes place: the federations a method sees, and the validation and test sets it does not."""

from dataclasses import dataclass, replace

import numpy as np
import torch

from pfl_bench.client.backends import choose_backend
from pfl_bench.client.model import make_model
from pfl_bench.data.dataset import ArrayDataset
from pfl_bench.data.partition import Partition
from pfl_bench.data.pool import ImagePool
from pfl_bench.seeds import numpy_generator
from pfl_bench.spec.run import RunSpec

from .evaluation import EvaluationSet
from .federation import Federation


@dataclass(frozen=True)
class Place:
    """The clients that share one client model, with their validation and test sets."""

    fed: Federation
    validation: EvaluationSet
    test: EvaluationSet


def build_federation(
    spec: RunSpec, dataset: ArrayDataset, partition: Partition, device: torch.device, backend: str = "auto"
) -> Federation:
    """The training clients of a scenario with one client model; training samples only."""
    return build_federations(spec, dataset, partition, device, backend)[0]


def build_federations(
    spec: RunSpec, dataset: ArrayDataset, partition: Partition, device: torch.device, backend: str = "auto"
) -> tuple[Federation, ...]:
    """One federation per client model; client i has model i modulo their number."""
    scenario = spec.scenario
    models = tuple(
        make_model(name, dataset.input_shape, dataset.classes, scenario.precision) for name in scenario.models
    )
    pool = ImagePool.of(dataset.train_images, dataset.train_labels, dataset.mean, dataset.std, device)
    training = len(partition.train) - partition.novel
    return tuple(
        Federation(
            model=model,
            backend=choose_backend(backend, model, device),
            pool=pool,
            members=partition.train[position : training : len(models)],
            classes=dataset.classes,
            seed=spec.seed,
            local_steps=scenario.local_steps,
            batch_size=scenario.batch_size,
            batch_mode=scenario.batches,
            models=models,
            numbers=tuple(range(position, training, len(models))),
            population=training,
        )
        for position, model in enumerate(models)
    )


def build_places(
    spec: RunSpec, dataset: ArrayDataset, partition: Partition, device: torch.device, backend: str = "auto"
) -> tuple[Place, ...]:
    """The federations with what is evaluated on."""
    feds = build_federations(spec, dataset, partition, device, backend)
    unseen = ImagePool.of(dataset.test_images, dataset.test_labels, dataset.mean, dataset.std, device)

    def of(parts: tuple[np.ndarray, ...], fed: Federation) -> tuple[np.ndarray, ...]:
        return tuple(parts[number] for number in fed.numbers)

    return tuple(
        Place(
            fed,
            EvaluationSet.of(fed.pool, of(partition.validation, fed)),
            EvaluationSet.of(unseen, of(partition.test, fed)),
        )
        for fed in feds
    )


def newcomers(place: Place, partition: Partition, samples: int | None, steps: int) -> Place:
    """The novel clients, each with its first ``samples`` labelled samples in a random order, or all it has."""
    fed = place.fed
    first = partition.clients - partition.novel
    members = []
    for client, own in enumerate(partition.train[first:]):
        order = numpy_generator(fed.seed, "enroll", "samples", first + client).permutation(own)
        members.append(np.sort(order[:samples]))
    numbers = tuple(range(first, partition.clients))
    federation = replace(fed, members=tuple(members), local_steps=steps, numbers=numbers, population=len(members))
    held_out = tuple(partition.validation[first:]), tuple(partition.test[first:])
    return Place(
        federation,
        EvaluationSet.of(place.validation.pool, held_out[0]),
        EvaluationSet.of(place.test.pool, held_out[1]),
    )
