from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pfl_bench.results.statistics.aggregates import aggregate
from pfl_bench.results.statistics.common import common, complete, split_edition
from pfl_bench.results.statistics.ranks import ranking

TABLE1 = Path(__file__).parents[4] / "results" / "published" / "paper-table1" / "runs.csv"


def runs(cells: dict[str, dict[str, list[float]]]) -> pd.DataFrame:
    """Accuracies over seeds 0, 1, ... by scenario and entry; None for a run that is not there."""
    return pd.DataFrame(
        [
            {"scenario": scenario, "entry": entry, "seed": seed, "accuracy": value}
            for scenario, entries in cells.items()
            for entry, values in entries.items()
            for seed, value in enumerate(values)
            if value is not None
        ]
    )


@pytest.mark.parametrize(
    ("scenario", "parts"),
    [
        ("a-v1", ("a-v1", "full")),
        ("a-v1@0.1x+bf16", ("a-v1", "@0.1x+bf16")),
        ("a-v1+bf16 [data ab]", ("a-v1", "+bf16 [data ab]")),
        ("a-v1 [split ab]", ("a-v1", " [split ab]")),
    ],
)
def test_an_edition_is_what_follows_the_version(scenario, parts):
    assert split_edition(scenario) == parts


def test_table_1_is_ranked_over_its_seven_columns_with_all_ten_methods():
    frame = pd.read_csv(TABLE1)
    once = ~frame["config"].str.contains('"inner_steps": 1,')  # pFedMe with K = 1 has three of the columns
    found = ranking(frame[once & (frame["status"] == "finished")].assign(entry=frame["method"]))
    assert (found.count, len(found.mean_ranks)) == (7, 10)
    means = {entry: round(rank, 2) for entry, rank in found.mean_ranks.items()}
    assert list(means.items())[:4] == [("fedavg_ft", 1.71), ("lg_fedavg", 2.86), ("fedper", 3.29), ("pfedhn_pc", 3.57)]
    assert found.critical_difference == pytest.approx(5.12, abs=0.005)
    assert len(found.left_out) == 3 and "cifar10-classes2-n50-v1: @0.1x+bf16 counts" in found.left_out[0]


def test_one_edition_of_a_scenario_counts():
    """s was run at three editions; most cells of the frame are of @0.1x, which u lacks, and t has."""
    cell = {"a": [1.0], "b": [2.0]}
    found = common(runs({"s": cell, "s@0.1x": cell, "s@0.5x+bf16": cell, "t@0.1x": cell, "u@0.5x": cell}))
    assert found.editions == {"s": "@0.1x", "t": "@0.1x", "u": "@0.5x"}
    assert found.left_out == (
        "s: @0.1x counts for this scenario",
        "s@0.5x+bf16: @0.1x counts for this scenario",
    )


def test_what_lacks_most_goes_and_is_named():
    table = pd.DataFrame(
        {"a": [1.0, 2, 3, 4], "b": [1.0, 2, 3, 4], "c": [1.0, 2, 3, np.nan], "new": [1.0, np.nan, np.nan, np.nan]},
        index=["s", "t", "u", "v"],
    )
    kept, gone = complete(table)
    assert kept.columns.tolist() == ["a", "b", "c"] and kept.index.tolist() == ["s", "t", "u"]
    assert gone == ["new: in 1 of 4", "v: 2 of 3 methods"]
    whole, nothing = complete(table[["a", "b"]])
    assert whole.equals(table[["a", "b"]]) and nothing == []


def test_only_seeds_that_all_have_count():
    frame = runs({"s": {"a": [70.0, 0.0], "b": [50.0]}, "t": {"a": [60.0, 64.0], "b": [50.0, 52.0]}})
    found = common(frame)
    assert found.left_out == ("s: seeds 1, which not all methods have",) and len(found.runs) == 6
    table = aggregate(frame, "b").set_index("entry")
    assert table.loc["a", "interquartile_mean"] == pytest.approx(67), "of 60, 64, 70, 70: scenarios weigh alike"
    assert table["runs"].tolist() == [3, 3]


def test_without_a_common_seed_a_scenario_goes():
    frame = runs({"s": {"a": [60.0], "b": [None, 50.0]}, "t": {"a": [1.0], "b": [2.0]}})
    found = common(frame)
    assert set(found.runs["scenario"]) == {"t"} == set(found.editions)
    assert found.left_out == ("s: seeds 0, 1, which not all methods have",)
    assert common(frame.iloc[:0]).runs.empty
