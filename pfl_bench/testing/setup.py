"""Scenarios small enough for a test, with their data and partition."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pfl_bench.data.dataset import ArrayDataset
from pfl_bench.data.partition import Partition, make_partition
from pfl_bench.data.store import load_dataset
from pfl_bench.spec.run import RunSpec, make_config
from pfl_bench.spec.scenario import PartitionSpec, Scenario


@dataclass(frozen=True)
class TinySetup:
    """A tiny scenario with its data and partition."""

    scenario: Scenario
    dataset: ArrayDataset
    partition: Partition

    def spec(self, method: str, **config: Any) -> RunSpec:
        """The run of a method with its defaults, but for ``config``; seed 0."""
        return RunSpec(method, make_config(method, config, "tiny setup"), self.scenario, seed=0)

    def but(self, **changes: Any) -> "TinySetup":
        """The same with other fields of the scenario; data and partition stay."""
        return replace(self, scenario=self.scenario.model_copy(update=changes))


def tiny_setup(
    data: str = "synthetic:classes=3,n=180", model: str = "mlp", rule: dict[str, Any] | None = None, clients: int = 6
) -> TinySetup:
    """Six clients, twelve visits of twenty local steps."""
    dataset = load_dataset(data)
    own = rule or {"rule": "classes", "classes": 2}
    scenario = Scenario(
        id="tiny-v1", dataset=data, partition=PartitionSpec(**own), clients=clients, model=model,
        visits=12, local_steps=20, batch_size=8, eval_every=5,
    )  # fmt: skip
    parameters = {key: value for key, value in own.items() if key != "rule"}
    return TinySetup(scenario, dataset, make_partition(own["rule"], parameters, dataset, clients, seed=0))


def brief_setup() -> TinySetup:
    """``tiny_setup`` with visits of eight steps, which the checks of a method run.

    They are enough for every phase of a visit, and for a recorded step to be replayed.
    """
    return tiny_setup().but(local_steps=8)


def ragged_setup() -> TinySetup:
    """Clients with one training sample, one class, fewer samples than a batch, and plenty."""
    setup = tiny_setup()
    labels = setup.dataset.train_labels
    rng = np.random.default_rng(0)
    of_class = [rng.permutation(np.flatnonzero(labels == label)) for label in range(3)]
    train = (of_class[0][:1], of_class[1][:20], of_class[0][1:4], np.concatenate([c[20:36] for c in of_class]))
    validation = tuple(of_class[2][40 + i : 41 + i] for i in range(4))
    test = tuple(np.arange(i, i + 1) for i in range(4))
    scenario = setup.scenario.model_copy(update={"clients": 4})
    return TinySetup(scenario, setup.dataset, Partition(tuple(map(np.sort, train)), validation, test))
