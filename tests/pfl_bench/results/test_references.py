import pandas as pd
import pytest

from pfl_bench.registry import METHODS
from pfl_bench.results.references import Reference, attach, find, references, verdict
from pfl_bench.spec.suite import builtin_suites

REFERENCE = Reference("m", "s", 88.0, "paper", "source", "verified", 0.3)


def row(**changes) -> pd.DataFrame:
    base = {"method": "pfedhn", "scenario": "cifar10-classes2-n50-v1", "accuracy_mean": 88.5, "accuracy_std": 0.2,
            "budget_scale": 1.0}  # fmt: skip
    return pd.DataFrame([{**base, **changes}])


def test_every_figure_belongs_to_a_method_and_a_scenario_of_ours():
    scenarios = {s.id for suite in builtin_suites().values() for s in suite.scenarios}
    for reference in references():
        assert reference.method in METHODS.names() and reference.scenario in scenarios
        assert 0 < reference.mean < 100 and reference.source


def test_unverified_figures_are_left_out():
    assert {reference.status for reference in references()} == {"verified", "secondary"}
    assert find("fedavg", "cifar10-classes2-n50-v1") is None, "only known from memory"


@pytest.mark.parametrize(
    ("mean", "std", "scale", "expected"),
    [
        (88.4, 0.2, 1, "inside"),
        (88.6, 0.2, 1, "outside"),
        (87.4, 0.2, 1, "outside"),
        (88.0, None, 1, "one seed, no spread"),
        (88.0, 0.2, 0.1, "other budget"),
    ],
)
def test_verdicts(mean, std, scale, expected):
    assert verdict(mean, std, REFERENCE, scale) == expected


def test_the_leaderboard_shows_difference_and_source():
    (found,) = attach(row()).to_dict("records")
    assert (found["published_mean"], found["difference"], found["verdict"]) == (88.38, 0.12, "inside")
    assert found["published_source"].startswith("paper: Shamsian")
    (scaled,) = attach(row(scenario="cifar10-classes2-n50-v1@0.1x", budget_scale=0.1)).to_dict("records")
    assert scaled["verdict"] == "other budget" and pd.isna(scaled["difference"])
    (unknown,) = attach(row(method="fedavg")).to_dict("records")
    assert pd.isna(unknown["published_mean"])
