"""The commands ``data prepare`` and ``data verify``."""

from pathlib import Path

from pfl_bench.data.dataset import ArrayDataset
from pfl_bench.data.store import default_data_dir, load_dataset, record_hash

from .terminal import make_console, say


def prepare_dataset(name: str, data_dir: Path | None) -> int:
    """Fetch what is missing, check it, and record its SHA-256 beside it."""
    folder = data_dir or default_data_dir()
    dataset = load_dataset(name, folder)
    if (folder / f"{name}.npz").exists():
        record_hash(dataset, folder)
    _describe(name, dataset)
    return 0


def verify_dataset(name: str, data_dir: Path | None) -> int:
    """Read a data set without the network, check it, and compare its SHA-256 with the recorded one."""
    _describe(name, load_dataset(name, data_dir, download=False))
    return 0


def _describe(name: str, dataset: ArrayDataset) -> None:
    console = make_console()
    for note in dataset.notes:
        say(console, f"Note: {name}: {note}")
    console.print(
        f"{name}: {len(dataset.train_labels)} train and {len(dataset.test_labels)} test samples, "
        f"{dataset.input}, {dataset.classes} classes, SHA-256 {dataset.sha256}",
        soft_wrap=True,
    )
