"""The order of scenarios in every table: by name, with the numbers in it by value, so that n50 comes before n100."""

import re

import pandas as pd

DIGITS = 18


def natural_key(name: str) -> str:
    """A sorting key: the name with its numbers padded to one width."""
    return re.sub(r"\d+", lambda number: number[0].zfill(DIGITS), name)


def by_scenario(frame: pd.DataFrame, *then: str) -> pd.DataFrame:
    """A frame sorted by ``scenario`` and further columns, missing values last, with a new index."""
    keyed = frame.assign(_scenario=frame["scenario"].map(natural_key))
    ordered = keyed.sort_values(["_scenario", "scenario", *then], na_position="last", ignore_index=True)
    return ordered.drop(columns="_scenario")
