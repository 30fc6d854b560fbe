"""Whether a scenario's numbers fit its data and its clients, asked before anything is allocated or run."""

from pfl_bench import metrics
from pfl_bench.data.dataset import ArrayDataset
from pfl_bench.data.partition import Partition
from pfl_bench.errors import RequestError
from pfl_bench.spec.scenario import Scenario


def check_fit(scenario: Scenario, dataset: ArrayDataset) -> None:
    """RequestError for a batch of more samples than there are; ``make_partition`` looks at the clients."""
    samples = len(dataset.train_labels)
    if scenario.batch_size > samples:
        raise RequestError(f"batch_size={scenario.batch_size}, but {dataset.name} has {samples} training samples")


def check_clients(scenario: Scenario, dataset: ArrayDataset, partition: Partition) -> None:
    """RequestError where the primary metric does not exist for these clients, or novel ones cannot be enrolled with
    what is asked for."""
    metric, training = metrics.named(scenario.primary), partition.clients - partition.novel
    for split, labels, parts in (
        ("validation", dataset.train_labels, partition.validation),
        ("test", dataset.test_labels, partition.test),
    ):
        if not metric.defined(labels[own] for own in parts[:training]):
            raise RequestError(
                f"primary={scenario.primary!r} is undefined on the {split} samples: {metric.undefined} there; choose "
                "another metric, such as 'accuracy', or another partition"
            )
    asked = [] if scenario.enroll is None else [n for n in scenario.enroll.samples if n != "all"]
    most = max((len(own) for own in partition.train[training:]), default=0)
    for number in asked:
        if number > most:
            raise RequestError(
                f"enroll: samples={number}, but no novel client has more than {most} training samples; use 'all'"
            )


def enrollment_notes(scenario: Scenario, partition: Partition) -> list[str]:
    """Which numbers of labelled samples some novel clients do not have; they are enrolled with what they have."""
    sizes = [len(own) for own in partition.train[partition.clients - partition.novel :]]
    asked = [] if scenario.enroll is None else [n for n in scenario.enroll.samples if n != "all"]
    fewer = {number: sum(size < number for size in sizes) for number in asked}
    return [
        f"enroll: {few} of {len(sizes)} novel clients have fewer than {number} training samples, and are enrolled with "
        "all they have"
        for number, few in fewer.items()
        if few
    ]
