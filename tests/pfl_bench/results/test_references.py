import re
from dataclasses import replace

import pandas as pd
import pytest

from pfl_bench.registry import METHODS
from pfl_bench.results.references import Reference, attach, find, needed, references, verdict
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


def test_every_method_has_a_figure_or_what_it_would_need():
    """One or the other: what was found is taken out of the list of what is needed."""
    built_in = {e.name for e in METHODS if METHODS.get(e.name).__module__.startswith("pfl_bench.methods.")}
    with_figures = {reference.method for reference in references()}
    assert with_figures | set(needed()) == built_in and not with_figures & set(needed())
    assert all(line and not line.endswith(".") and "\n" not in line for line in needed().values())


def test_scenarios_that_lines_of_what_is_needed_speak_of_exist():
    suites = builtin_suites()
    known = {s.id for suite in suites.values() for s in suite.scenarios} | set(suites)
    assert {name for line in needed().values() for name in re.findall(r"`([^`]*)`", line)} <= known


def test_a_benchmark_says_how_its_protocol_differs_and_is_not_judged():
    assert all(reference.protocol for reference in references() if reference.kind == "benchmark")
    assert len({(r.method, r.scenario, r.kind, r.source) for r in references()}) == len(references())
    other = replace(REFERENCE, kind="benchmark", protocol="the best round on test data")
    assert {verdict(mean, std, other, scale) for mean in (88.0, 10.0) for std in (0.2, None) for scale in (1, 0.1)} == {
        "other protocol"
    }
    (found,) = attach(row(method="fedrep", scenario="cifar100-dirichlet0.1-n20-v1")).to_dict("records")
    assert (found["published_mean"], found["published_std"], found["verdict"]) == (52.39, 0.35, "other protocol")
    assert found["published_source"].startswith("benchmark: PFLlib") and pd.isna(found["difference"])


def test_what_was_run_under_the_scenarios_protocol_comes_first():
    """A benchmark's figure is not shown where there is one to be judged."""
    for reference in references():
        shown = find(reference.method, reference.scenario)
        assert shown and (not shown.protocol or reference.protocol)
