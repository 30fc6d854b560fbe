"""Where a run takes place: the groups of clients, and the validation and test sets that no method sees."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
import torch

from pfl_bench.client.backends import Backend, choose_backend
from pfl_bench.client.build import make_model
from pfl_bench.data.dataset import ArrayDataset
from pfl_bench.data.partition import Partition
from pfl_bench.data.pool import make_pool
from pfl_bench.data.shifts import shifted
from pfl_bench.seeds import numpy_generator
from pfl_bench.spec.options import Options
from pfl_bench.spec.run import RunSpec

from .availability import Availability
from .clients import ClientGroup
from .evaluation import EvaluationSet

Company = Callable[[Backend], Backend]
"""How a run in company of others executes what it would execute with a back-end of its own."""


def alone(own: Backend) -> Backend:
    """The company of a run that has none."""
    return own


@dataclass(frozen=True)
class Place:
    """The clients that share one client model, with their validation and test sets."""

    group: ClientGroup
    validation: EvaluationSet
    test: EvaluationSet


def backends_of(places: Iterable[Place]) -> str:
    """What computes the clients: ``loop``, or where it differs between client models ``loop; vmap``."""
    return "; ".join(sorted({place.group.backend.name for place in places}))


def build_groups(
    spec: RunSpec, dataset: ArrayDataset, partition: Partition, options: Options, company: Company = alone
) -> tuple[ClientGroup, ...]:
    """One group of training clients per client model, with training samples only; client i has model i modulo their
    number."""
    scenario, device = spec.scenario, torch.device(options.device)
    models = tuple(make_model(name, dataset.input, dataset.classes, scenario.precision) for name in scenario.models)
    pool = make_pool(dataset, "train", device)
    training = len(partition.train) - partition.novel
    return tuple(
        ClientGroup(
            model=model,
            backend=company(choose_backend(options.backend, model, device)),
            pool=pool,
            members=partition.train[position : training : len(models)],
            classes=dataset.classes,
            seed=spec.seed,
            batch_size=scenario.batch_size,
            batch_mode=scenario.batches,
            models=models,
            numbers=tuple(range(position, training, len(models))),
            population=training,
            on_disk=options.state == "disk",
            availability=Availability(scenario.availability, spec.seed),
        )
        for position, model in enumerate(models)
    )


def build_places(
    spec: RunSpec, dataset: ArrayDataset, partition: Partition, options: Options, company: Company = alone
) -> tuple[Place, ...]:
    """The groups with what is evaluated on; samples are as the clients see them (``scenario.shift``)."""
    dataset = shifted(dataset, partition, spec.scenario.shift, spec.seed)
    groups = build_groups(spec, dataset, partition, options, company)
    device = torch.device(options.device)
    unseen = make_pool(dataset, "test", device)

    def of(parts: tuple[np.ndarray, ...], group: ClientGroup) -> tuple[np.ndarray, ...]:
        return tuple(parts[number] for number in group.numbers)

    return tuple(
        Place(
            group,
            EvaluationSet.of(group.pool, of(partition.validation, group)),
            EvaluationSet.of(unseen, of(partition.test, group)),
        )
        for group in groups
    )


def newcomers(place: Place, partition: Partition, samples: int | None) -> Place:
    """The novel clients, each with its first ``samples`` labelled samples in a random order, or all it has."""
    group = place.group
    first = partition.clients - partition.novel
    members = []
    for client, own in enumerate(partition.train[first:]):
        order = numpy_generator(group.seed, "enroll", "samples", first + client).permutation(own)
        members.append(np.sort(order[:samples]))
    numbers = tuple(range(first, partition.clients))
    held_out = tuple(partition.validation[first:]), tuple(partition.test[first:])
    return Place(
        replace(group, members=tuple(members), numbers=numbers, population=len(members)),
        EvaluationSet.of(place.validation.pool, held_out[0]),
        EvaluationSet.of(place.test.pool, held_out[1]),
    )
