"""Whether a scenario's numbers fit its data, asked before anything of that size is allocated."""

from pfl_bench.data.dataset import ArrayDataset
from pfl_bench.errors import RequestError
from pfl_bench.spec.scenario import Scenario


def check_fit(scenario: Scenario, dataset: ArrayDataset) -> None:
    """RequestError for a batch of more samples than there are; ``make_partition`` looks at the clients."""
    samples = len(dataset.train_labels)
    if scenario.batch_size > samples:
        raise RequestError(f"batch_size={scenario.batch_size}, but {dataset.name} has {samples} training samples")
