"""``npz``: two files. ``data.npz`` has the whole data set as the source ``npz:`` reads it, ``partition.npz`` who holds
what, as ``partition = { file = ... }`` reads it."""

from collections.abc import Sequence
from pathlib import Path

from pfl_bench.data.partition import SPLITS
from pfl_bench.data.store import read_npz, write_npz
from pfl_bench.errors import RequestError

from .format import Format
from .manifest import Manifest
from .split import Holding, Split, arrays_of

DATA, PARTITION = "data.npz", "partition.npz"


def write(split: Split, folder: Path) -> Sequence[str]:
    """Both files. Samples that the source validates on stay among the training samples; the partition names them."""
    arrays = arrays_of(split.dataset)
    arrays.pop("validation", None)
    if split.dataset.input.kind == "tokens":
        arrays = {name.replace("_inputs", "_tokens"): array for name, array in arrays.items()}
    write_npz(folder / DATA, arrays)
    split.partition.save(folder / PARTITION)
    return ()


def read(folder: Path, manifest: Manifest) -> Holding:
    """The clients' samples, by the indices of the partition."""
    path, found = folder / DATA, {}
    arrays = read_npz(path, "npz")
    key = {"image": "images", "tokens": "tokens"}.get(manifest.input.kind, "inputs")
    for split in SPLITS:
        part = "test" if split == "test" else "train"
        try:
            inputs, labels = arrays[f"{part}_{key}"], arrays[f"{part}_labels"]
        except KeyError as error:
            raise RequestError(f"{path}: the array {error} is missing; export anew") from error
        owned = getattr(manifest.partition, split)
        most = max(int(own.max()) for own in owned)
        if min(inputs.ndim, labels.ndim) < 1 or most >= min(len(inputs), len(labels)):
            raise RequestError(f"{path}: {part} has no sample {most}, which a client holds; export anew")
        found[split] = tuple((inputs[own], labels[own]) for own in owned)
    return found


FORMAT = Format("data.npz and partition.npz, as 'npz:' and 'partition.file' read them", write, read)
