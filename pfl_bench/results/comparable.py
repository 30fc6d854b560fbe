"""No cell, comparison or statistic mixes runs whose data, splits or code differ: such runs get names of their own.

Everything downstream groups by scenario and configuration, so a name of its own keeps a run apart everywhere.
"""

import pandas as pd

DIGITS = 6


def tell_apart(runs: pd.DataFrame) -> pd.DataFrame:
    """The frame with ``scenario`` told apart where data or splits differ, and ``variant_of_code`` where code does.

    Needs ``scenario``, ``scenario_hash``, ``seed``, ``method``, ``config_hash``, ``data_sha256``, ``partition_sha256``,
    ``code`` and ``time``. Scenarios of one id but different content get their hash behind the id. Within one, the runs
    on other data than most (of equal numbers, than the newest) get that behind the id; then, seed by seed, those on
    another split. ``variant_of_code`` is "" unless entries of one configuration were computed by different code.
    """
    if runs.empty:
        return runs.assign(variant_of_code=pd.Series(dtype=object))
    hashes = runs.groupby("scenario")["scenario_hash"].transform("nunique")
    other_content = runs["scenario"] + " [" + runs["scenario_hash"].astype(str) + "]"
    told = runs.assign(scenario=runs["scenario"].where(hashes <= 1, other_content))
    told = told.assign(scenario=_marked(told, ["scenario"], "data_sha256", "data"))
    told = told.assign(scenario=_marked(told, ["scenario", "seed"], "partition_sha256", "split"))
    codes = told.groupby(["scenario", "method", "config_hash"])["code"].transform("nunique")
    labels = "code " + told["code"].where(told["code"] != "", "as shipped").str[: DIGITS + 4]
    return told.assign(variant_of_code=labels.where(codes > 1, ""))


def _marked(runs: pd.DataFrame, keys: list[str], column: str, what: str) -> pd.Series:
    """Scenario names, with ``[what abc123]`` behind those whose ``column`` is not the usual one of its group."""
    values = runs[column].fillna("").astype(str)
    frame = runs.assign(_value=values)
    known = frame[frame["_value"] != ""]
    ranked = known.groupby([*keys, "_value"]).agg(_runs=("_value", "size"), _time=("time", "max")).reset_index()
    ranked = ranked.sort_values(["_runs", "_time"], kind="stable")
    usual = ranked.groupby(keys)["_value"].last().rename("_usual")
    found = frame.join(usual, on=keys)
    differs = (found["_value"] != "") & (found["_value"] != found["_usual"])
    return runs["scenario"].where(~differs, runs["scenario"] + f" [{what} " + values.str[:DIGITS] + "]")
