"""What data sources, partitions and methods have to say to whoever asked for the runs."""

from pfl_bench.client.build import make_model
from pfl_bench.data.dataset import ArrayDataset
from pfl_bench.data.partition import Partition
from pfl_bench.registry import METHODS
from pfl_bench.text import agreeing, counted

from .fit import enrollment_notes
from .runner import Plan


def notes_of(plan: Plan) -> list[str]:
    """One line per note: of every data set once, of every scenario's partition at the first of its seeds.

    And of every method that is another on a scenario's client model.
    """
    lines = [f"{name}: {note}" for name, dataset in plan.datasets.items() for note in dataset.notes]
    scenarios = {run.scenario.id: run.scenario for run in plan.runs}
    first: dict[str, int] = {}
    for scenario, seed in plan.partitions:
        if first.setdefault(scenario, seed) == seed:
            partition, data = plan.partitions[scenario, seed], plan.datasets[scenarios[scenario].dataset]
            notes = [*partition_notes(partition, data), *enrollment_notes(scenarios[scenario], partition)]
            lines += [f"{scenario}, seed {seed}: {note}" for note in notes]
    return [*lines, *method_notes(plan)]


def method_notes(plan: Plan) -> list[str]:
    """Which methods are about BatchNorm layers that a client model does not have."""
    lines: dict[str, None] = {}
    for run in plan.runs:
        data = plan.datasets[run.scenario.dataset]
        for name in run.scenario.models if METHODS.get(run.method).without_batch_norm else ():
            if not make_model(name, data.input, data.classes).norms:
                left = METHODS.get(run.method).without_batch_norm
                lines[f"{run.method} is {left} with the client model {name}, which has no BatchNorm layers"] = None
    return list(lines)


def partition_notes(partition: Partition, dataset: ArrayDataset) -> list[str]:
    """A partition's own notes, and what of its test data nobody could learn where it lies."""
    clients, samples = partition.untrained(dataset)
    absent = (
        f"{clients} of {counted(partition.clients, 'client')} {agreeing(clients, 'holds', 'hold')} test samples "
        f"({samples} of {sum(map(len, partition.test))}) of "
        "classes they have no training sample of"
    )
    return [*partition.notes, *([absent] if clients else [])]
