"""What ranks: a scenario's primary metric.

Statistics, tables and curves are of frames whose column ``accuracy`` is what ranks. Where a scenario names another
primary metric, that one is put in its place here; what a run scored by each metric is in the columns of their names.
"""

import pandas as pd

from pfl_bench.metrics import METRICS, PRIMARY

YLABEL = "pooled test accuracy (%)"
HEADINGS = {metric.key: metric.heading for metric in METRICS}


def primaries(frame: pd.DataFrame) -> pd.Series:
    """Per row the primary metric of its scenario; rows and frames that do not say have the usual one."""
    if "primary" not in frame:
        return pd.Series(PRIMARY, index=frame.index, dtype=object)
    return frame["primary"].astype(object).where(frame["primary"].notna(), PRIMARY)


def by_primary(runs: pd.DataFrame) -> pd.DataFrame:
    """A results frame (``frame.read_runs``) with what ranks as ``accuracy``, and as ``validation_accuracy`` what it was
    chosen by. Done twice it is the same."""
    named = primaries(runs)
    runs = runs.assign(**{key: runs[key] for key in ("accuracy", "validation_accuracy") if key in runs})
    for key in sorted(set(named) - {PRIMARY}):
        own = named == key
        for column, source in (("accuracy", key), ("validation_accuracy", "validation_primary")):
            figures = pd.to_numeric(runs[source], errors="coerce")  # None where it was undefined in every run
            runs[column] = pd.to_numeric(runs[column], errors="coerce").where(~own, figures)
    return runs


def heading(table: pd.DataFrame) -> str:
    """What the ranking column of a table is called: the primary metric, or all there are of several scenarios."""
    return " / ".join(HEADINGS.get(key, key) for key in sorted(set(primaries(table)))) or HEADINGS[PRIMARY]


def ylabel(runs: pd.DataFrame) -> str:
    """What an axis shows of these runs."""
    ranks = heading(runs)
    return YLABEL if ranks == HEADINGS[PRIMARY] else f"{ranks} on test data (%)"
