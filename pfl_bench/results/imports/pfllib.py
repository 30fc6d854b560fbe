"""PFLlib's result files: ``<data>_<algorithm>_<goal>_<number>.h5``, one per run.

``rs_test_acc`` has the accuracy at each evaluation, over the test samples of all clients, as a fraction. (Facts:
TsingZ0/PFLlib, ``system/flcore/servers/serverbase.py``, commit d832e76.)
"""

import importlib
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pfl_bench.errors import RequestError, one_line, shown

from .figures import Figure
from .wanted import PICKS, Wanted, over_runs


def read_h5(files: Sequence[Path], wanted: Wanted) -> list[Figure]:
    """One figure per method."""
    if wanted.scenario is None:
        raise RequestError("--scenario: a .h5 file of PFLlib does not say which scenario of ours it is beside")
    if wanted.columns:
        raise RequestError("--column is for CSV files")
    runs: dict[str, list[Path]] = {}
    for path in dict.fromkeys(files):
        match = re.fullmatch(r".+_([^_]+)_[^_]+_[0-9]+", path.stem)
        if not match and wanted.method is None:
            raise RequestError(
                f"{shown(path.name)} is not called as PFLlib calls them, DATA_ALGORITHM_GOAL_NUMBER.h5; give --method"
            )
        name = wanted.method or (wanted.called(match[1]) if match else "")
        runs.setdefault(name, []).append(path)
    found = []
    for method, own in runs.items():
        curves = [_curve(path) for path in own]
        values = np.asarray([100.0 * PICKS[wanted.pick](curve) for curve in curves])
        lengths = sorted({len(curve) for curve in curves})
        of = f"{lengths[0]}" if len(lengths) == 1 else f"{lengths[0]} to {lengths[-1]}"
        what = f"{wanted.pick} of {of} evaluations on test data"
        found.append(over_runs(wanted.scenario, method, values, wanted.source or "PFLlib", what, own))
    return found


def _curve(path: Path) -> np.ndarray:
    """A run's accuracies, fractions ``[evaluations]``."""
    try:
        h5py = importlib.import_module("h5py")
    except ImportError as error:
        raise RequestError("reading .h5 files needs h5py: pip install 'pfl-bench[pfllib]'") from error
    try:
        with h5py.File(path, "r") as file:
            if "rs_test_acc" not in file or not hasattr(file["rs_test_acc"], "shape"):
                raise RequestError(f"{shown(path.name)} has no rs_test_acc; PFLlib's result files do")
            values = np.asarray(file["rs_test_acc"][()])
    except RequestError:
        raise
    except Exception as error:  # h5py raises whatever damaged bytes lead to
        raise RequestError(f"{shown(path.name)} is not readable as .h5: {one_line(error)}") from error
    if values.ndim != 1 or not values.size or values.dtype.kind not in "fiu":
        raise RequestError(
            f"{shown(path.name)}: rs_test_acc is {values.dtype} {values.shape}, not numbers [evaluations]"
        )
    if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1):
        raise RequestError(f"{shown(path.name)}: rs_test_acc must be fractions from 0 to 1; is it PFLlib's?")
    return values.astype(np.float64)
