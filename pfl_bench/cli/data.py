"""The commands ``data prepare`` and ``data verify``."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pfl_bench.data.dataset import ArrayDataset
from pfl_bench.data.store import default_data_dir, load_dataset, record_hash
from pfl_bench.registry import load_plugins
from pfl_bench.text import counted

from .terminal import make_console, say


def prepare_dataset(name: str, data_dir: Path | None, plugins: Sequence[Path] = ()) -> int:
    """Fetch what is missing, check it, and record its SHA-256 beside it."""
    load_plugins(plugins)
    folder = data_dir or default_data_dir()
    dataset = load_dataset(name, folder)
    if (folder / f"{name}.npz").exists():
        record_hash(dataset, folder)
    _describe(name, dataset)
    return 0


def verify_dataset(name: str, data_dir: Path | None, plugins: Sequence[Path] = ()) -> int:
    """Read a data set without the network, check it, and compare its SHA-256 with the recorded one."""
    load_plugins(plugins)
    _describe(name, load_dataset(name, data_dir, download=False))
    return 0


def _held(dataset: ArrayDataset) -> str:
    """The validation part and the natural groups, where there are any."""
    said = "" if dataset.validation is None else f"{int(dataset.validation.sum())} of the train samples to validate, "
    if dataset.train_groups is None:
        return f"{said}no groups, "
    sizes = np.bincount(dataset.train_groups)
    sizes = sizes[sizes > 0]
    return f"{said}{counted(len(sizes), 'group')} of {sizes.min()} to {sizes.max()} train samples, "


def _describe(name: str, dataset: ArrayDataset) -> None:
    console = make_console()
    for note in dataset.notes:
        say(console, f"Note: {name}: {note}")
    console.print(
        f"{name}: {len(dataset.train_labels)} train and {len(dataset.test_labels)} test samples, "
        f"{dataset.input}, {dataset.classes} classes, {_held(dataset)}SHA-256 {dataset.sha256}",
        soft_wrap=True,
    )
