"""Who holds what in a scenario, at a seed."""

from pfl_bench.errors import RequestError
from pfl_bench.files import expanded
from pfl_bench.spec.scenario import Scenario

from .alike import with_shifts
from .dataset import ArrayDataset
from .partition import Partition, make_partition


def scenario_partition(scenario: Scenario, dataset: ArrayDataset, seed: int) -> Partition:
    """The scenario's partition at a seed, with the groups of its shifts. RequestError if it cannot be had, or if a
    shift does not go with the data."""
    return with_shifts(scenario.shift, dataset, _split(scenario, dataset, seed), seed)


def _split(scenario: Scenario, dataset: ArrayDataset, seed: int) -> Partition:
    """Who holds what: computed by the scenario's rule, or imported."""
    spec = scenario.partition
    if spec.file is not None:
        partition = Partition.load(expanded(spec.file))
        if spec.sha256 is not None and partition.sha256() != spec.sha256:
            raise RequestError(f"partition {spec.file} is not the one with hash {spec.sha256[:12]}")
        if (partition.clients, partition.novel) != (scenario.clients, scenario.novel):
            raise RequestError(
                f"partition {spec.file} has {partition.clients} clients ({partition.novel} novel), "
                f"the scenario {scenario.clients} ({scenario.novel})"
            )
        partition.check(dataset)
        return partition
    return make_partition(str(spec.rule), spec.parameters, dataset, scenario.clients, seed, scenario.novel)
