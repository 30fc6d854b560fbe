"""Of the Python API, what training elsewhere needs: splits, out, in and back, and scores of what was trained there.

Torch is loaded when models are scored or samples made tensors, not by what reads and writes splits.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pfl_bench.files import expanded

if TYPE_CHECKING:
    from torch import Tensor

    from pfl_bench.data.doors import Imported, Split
    from pfl_bench.engine.reported import Report
    from pfl_bench.spec.scenario import Scenario

Folder = str | Path


def make_split(scenario: "Scenario | str", seed: int = 0, data_dir: Folder | None = None) -> "Split":
    """The data and the partition that runs of a scenario at a seed are computed on.

    ``scenario``: the id of one that ships with the package, or one of a suite that was loaded. ``dataset`` has the
    arrays, ``partition`` which of them each client holds. RequestError as ``run`` would refuse it.
    """
    from pfl_bench.data import doors

    return doors.make_split(scenario, seed, None if data_dir is None else expanded(data_dir))


def export_split(split: "Split", to: str, folder: Folder) -> Sequence[str]:
    """Write a split into a folder that is not there yet, in the form of another framework, as ``data export --to``.

    Returns what should be known, a line each. RequestError for an unknown form, and where nothing can be written.
    """
    from pfl_bench.data import doors

    return doors.export_split(split, to, expanded(folder))


def read_split(folder: Folder) -> "Split":
    """What ``export_split`` wrote, bit by bit. RequestError where a sample or the partition is not what was written."""
    from pfl_bench.data import doors

    return doors.read_split(expanded(folder))


def import_split(form: str, folder: Folder, out: Folder) -> "Imported":
    """Read an export of ours, or what another framework wrote, and write ``out``, as ``data import``.

    The result's ``suite`` is a file that runs on it. RequestError where ``folder`` is not what ``form`` says.
    """
    from pfl_bench.data import doors

    return doors.import_split(form, expanded(folder), expanded(out))


def client_tensors(split: "Split", part: str, client: int) -> "tuple[Tensor, Tensor]":
    """A client's samples of ``train``, ``validation`` or ``test`` as our client models receive them: float32,
    standardised, ``[n, *shape]`` (tokens int64), and labels int64 ``[n]``."""
    from pfl_bench.data.doors import tensors

    return tensors.client_tensors(split, part, client)


def report_of(logits: "Tensor", labels: "Tensor") -> "Report":
    """What metrics take of a client's logits ``[n, classes]`` and labels ``[n]``: numbers and flat lists alone, so that
    it travels in any framework's message."""
    from pfl_bench.engine import reported

    return reported.report_of(logits, labels)


def summary_of(reports: "Sequence[Mapping[str, float | Sequence[float]]]") -> dict[str, float]:
    """Every metric over these clients, one report (``report_of``) each; accuracies in percent."""
    from pfl_bench.engine import reported

    return reported.summary_of(reports)
