"""What is recorded of the clusters that a method finds."""

import numpy as np
import pytest
import torch

from pfl_bench.data.alike import with_shifts
from pfl_bench.engine.clusters import cluster_rows, clusters_of
from pfl_bench.engine.simulator import simulate
from pfl_bench.spec.heterogeneity import ShiftSpec
from pfl_bench.spec.options import Options
from pfl_bench.testing.harness import Harness
from pfl_bench.testing.setup import TinySetup, tiny_setup

NAMES = (ShiftSpec(rule="permutation", groups=2),)


def shifted_setup(specs=NAMES, **changes) -> TinySetup:
    setup = tiny_setup("synthetic:classes=3,n=360", rule={"rule": "iid"}, clients=6).but(shift=specs, **changes)
    return TinySetup(setup.scenario, setup.dataset, with_shifts(specs, setup.dataset, setup.partition, 0))


def test_ifca_finds_the_groups_of_a_permutation():
    setup = shifted_setup(visits=48)
    spec = setup.spec("ifca", lr=0.1, cohort=6)
    *_, result = simulate(spec, setup.dataset, setup.partition, Options())
    rows = result.tables["clusters"]
    assert [row["client"] for row in rows] == list(range(6))
    assert [row["group"] for row in rows] == setup.partition.groups[0].tolist()
    assert len({(row["cluster"], row["group"]) for row in rows}) == 2, "a cluster is a group"
    plain = shifted_setup(visits=48)
    *_, fedavg = simulate(plain.spec("fedavg", lr=0.1, cohort=6), plain.dataset, plain.partition, Options())
    assert "clusters" not in fedavg.tables
    found, one = (r.summary[r.facts["official_moment"]]["last"]["accuracy"] for r in (result, fedavg))
    assert found > one + 20, "one model cannot have two names for a thing"


def test_to_be_asked_for_clusters_costs_nothing():
    setup = shifted_setup()
    *_, result = simulate(setup.spec("ifca"), setup.dataset, setup.partition, Options())
    assert result.facts["costs"]["adapt_forward_samples"] == result.history[-1]["adapt_forward_samples"]


@pytest.mark.parametrize("method", ["ifca", "cfl", "fedem"])
def test_every_client_has_a_cluster_whoever_is_asked_with_it(method):
    harness = Harness(method, shifted_setup(), rounds=2)
    everybody = clusters_of(harness.method, harness.federation("evaluate"), harness.state)
    assert everybody.shape == (6,) and everybody.dtype == np.int64
    alone = [int(harness.method.client_clusters(harness.federation("evaluate"), harness.state, harness.clients(c))[0])
             for c in range(6)]  # fmt: skip
    assert alone == everybody.tolist()


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (torch.zeros(6), "returned torch.float32; it must be a tensor of whole numbers"),
        ([0] * 6, "returned list"),
        (torch.zeros(5, dtype=torch.int64), r"returned shape \(5,\) for 6 clients"),
    ],
)
def test_what_is_no_cluster_is_refused(monkeypatch, returned, message):
    harness = Harness("ifca", shifted_setup())
    monkeypatch.setattr(type(harness.method), "client_clusters", lambda *asked: returned)
    with pytest.raises((TypeError, ValueError), match=f"ifca.client_clusters {message}"):
        clusters_of(harness.method, harness.federation("evaluate"), harness.state)


def test_without_shifts_the_groups_are_the_sources_or_none():
    setup = tiny_setup()
    rows = cluster_rows(np.zeros(6, np.int64), setup.partition, setup.dataset)
    assert {row["group"] for row in rows} == {""}
