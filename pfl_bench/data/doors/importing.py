"""From a folder of another framework to one that runs: data, partition, and a suite file that names them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pfl_bench.data.dataset import ArrayDataset
from pfl_bench.data.partition import Partition
from pfl_bench.errors import RequestError, shown

from .export import export_split
from .formats import FORMATS, find_format
from .manifest import has_manifest, read_manifest
from .npz import PARTITION
from .reading import read_split
from .split import Split
from .suite_file import suite_text

SUITE = "suite.toml"
MODELS = {"image": "mlp", "table": "mlp", "series": "mlp", "tokens": "text-mean"}
"""The client model that a suite file begins with, by kind of input."""


@dataclass(frozen=True)
class Imported:
    """What was read, where its suite file is, and what the user should know. ``ours``: it was an export of ours."""

    split: Split
    suite: Path
    ours: bool
    notes: Sequence[str]


def import_split(form: str, folder: Path, out: Path) -> Imported:
    """Read ``folder``, an export of ours or what the framework itself wrote, and write ``out``: the form ``npz`` and
    ``suite.toml``, a scenario on this data and this partition.

    RequestError for a folder that is not what ``form`` says, or whose samples are not those that were exported.
    """
    reader = find_format(form)
    if not folder.is_dir():
        what = "is no folder" if folder.exists() else "does not exist"
        raise RequestError(f"{shown(str(folder), 200)} {what}; give the folder that {form} has its data set in")
    ours = has_manifest(folder)
    if ours:
        if (written := read_manifest(folder).format) != form:
            raise RequestError(f"{shown(str(folder), 200)} was exported to {written!r}, not to {form!r}")
        split, remark = read_split(folder), "The scenario that was exported, on this data and partition."
    elif reader.foreign is None:
        able = ", ".join(name for name, each in FORMATS.items() if each.foreign)
        raise RequestError(
            f"{shown(str(folder), 200)} is no export of ours (it has no pfl-bench.json), and of {form} only those are "
            f"read; of what others wrote: {able}"
        )
    else:
        split = _foreign(folder, *reader.foreign(folder))
        remark = "Model and budget are a start: change them."
    export_split(split, "npz", out)
    path = out / SUITE
    path.write_text(suite_text(_scenario(split, out), remark), encoding="utf-8")
    return Imported(split, path, ours, (*split.dataset.notes, *split.partition.notes))


def _foreign(folder: Path, dataset: ArrayDataset, partition: Partition) -> Split:
    """A split with a scenario of its own, called like the folder."""
    name = re.sub("[^a-z0-9._+-]+", "-", folder.resolve().name.lower()).strip("-._+")[:60] or "imported"
    fewest = min(len(own) for own in partition.train)
    table = {
        "id": f"{name}-v1", "dataset": dataset.name, "partition": {"rule": "natural"}, "clients": partition.clients,
        "model": MODELS[dataset.input.kind], "visits": 20 * partition.clients, "local_steps": 20,
        "batch_size": max(1, min(32, fewest)), "eval_every": 2 * partition.clients,
    }  # fmt: skip
    return Split(table, 0, dataset, partition)


def _scenario(split: Split, out: Path) -> Mapping[str, Any]:
    """The scenario on what was written: what it shifts is done already, and who holds what is in a file."""
    table = {key: value for key, value in split.scenario.items() if key != "shift"}
    held = replace(split.partition, groups=())
    file = {"file": str(out / PARTITION), "sha256": held.sha256()}
    return table | {"dataset": f"exported:{out}", "partition": file}
