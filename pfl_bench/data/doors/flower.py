"""``flower``: ``train.parquet``, ``validation.parquet`` and ``test.parquet``, a row per sample, with the columns
``client`` and ``split``, which ``flwr-datasets`` partitions by.

``FederatedDataset(dataset=FOLDER, partitioners={"train": NaturalIdPartitioner("client")})`` reads the folder as it is:
the names of the files are those of Hugging Face's splits, and partition i is client i. Images of bytes are PNG files in
the column ``image``, which Hugging Face decodes; anything else is nested lists in the column ``x``, in the layout of
``ArrayDataset``. ``index`` is the sample's place in the source. Needs pyarrow (``pip install 'pfl-bench[flower]'``).
"""

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pfl_bench.data.outside import outside_package
from pfl_bench.data.partition import SPLITS
from pfl_bench.errors import RequestError, one_line

from .format import Format
from .layout import in_form, sample_shape
from .manifest import Manifest
from .split import Holding, Split, held

MODES = {1: "L", 3: "RGB", 4: "RGBA"}
"""Of Pillow, by channels."""


def write(split: Split, folder: Path) -> Sequence[str]:
    """A file per split; a row group per client."""
    parquet, arrow = outside_package("pyarrow.parquet", "flower"), outside_package("pyarrow", "flower")
    pictures = _are_pictures(split.dataset.input.kind, split.dataset.train_inputs)
    for part, clients in held(split).items():
        writer = None
        for client, (inputs, labels) in enumerate(clients):
            key, column = ("image", _pngs(inputs, arrow)) if pictures else ("x", _lists(inputs, arrow))
            table = arrow.table({
                key: column, "label": labels, "client": np.full(len(labels), client), "split": [part] * len(labels),
                "index": getattr(split.partition, part)[client],
            })  # fmt: skip
            table = table.replace_schema_metadata(_features(split.dataset.classes) if pictures else None)
            writer = writer or parquet.ParquetWriter(folder / f"{part}.parquet", table.schema)
            writer.write_table(table)
        assert writer is not None
        writer.close()
    first = split.train_clients
    novel = f"; clients {first} to {split.partition.clients - 1} are novel" if split.partition.novel else ""
    return [f"Flower: FederatedDataset(dataset='{folder}', partitioners={{split: NaturalIdPartitioner('client')}})"
            f"{novel}"]  # fmt: skip


def _are_pictures(kind: str, inputs: np.ndarray) -> bool:
    return kind == "image" and inputs.dtype == np.uint8 and inputs.shape[-1] in MODES


def _pngs(images: np.ndarray, arrow: Any) -> Any:
    """Bytes ``[N, H, W, C]`` as Hugging Face keeps pictures."""
    found = []
    for image in images:
        buffer = io.BytesIO()
        Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(buffer, "PNG")
        found.append({"bytes": buffer.getvalue(), "path": None})
    return arrow.array(found, type=arrow.struct([("bytes", arrow.binary()), ("path", arrow.string())]))


def _lists(values: np.ndarray, arrow: Any) -> Any:
    """An array ``[N, ...]`` as lists of lists of one length."""
    column = arrow.array(values.ravel())
    for length in reversed(values.shape[1:]):
        column = arrow.FixedSizeListArray.from_arrays(column, length)
    return column


def _features(classes: int) -> dict[str, str]:
    """What tells Hugging Face that bytes are pictures, and how many classes there are."""
    whole = {"dtype": "int64", "_type": "Value"}
    features = {
        "image": {"_type": "Image"},
        "label": {"names": [str(label) for label in range(classes)], "_type": "ClassLabel"},
        "client": whole, "split": {"dtype": "string", "_type": "Value"}, "index": whole,
    }  # fmt: skip
    return {"huggingface": json.dumps({"info": {"features": features}})}


def read(folder: Path, manifest: Manifest) -> Holding:
    """The clients' samples, in whichever order the rows stand."""
    parquet = outside_package("pyarrow.parquet", "flower")
    found = {}
    for part in SPLITS:
        path = folder / f"{part}.parquet"
        if not path.is_file():
            raise RequestError(f"flower: {path} {'is no file' if path.exists() else 'does not exist'}")
        try:
            table = parquet.read_table(path)
        except Exception as error:  # pyarrow's errors have no common base
            raise RequestError(f"flower: {path} is not readable: {one_line(error)}") from error
        for column in ("label", "client", "split", "index"):
            if column not in table.column_names:
                raise RequestError(f"flower: {path} has no column {column!r}; export anew")
        if set(table["split"].to_pylist()) != {part}:
            raise RequestError(f"flower: {path} has rows of another split than {part!r}")
        found[part] = _clients(path, table, part, manifest)
    return found


def _clients(path: Path, table: Any, part: str, manifest: Manifest) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    """Each client's rows, which must be those it holds."""
    client, index = (in_form(path, name, table[name].to_numpy(), (len(table),), "iu") for name in ("client", "index"))
    inputs, labels = _inputs(path, table, manifest), table["label"].to_numpy()
    sizes, held = manifest.sizes(part), np.concatenate(getattr(manifest.partition, part))
    holders = np.repeat(np.arange(len(sizes)), sizes)
    there, wanted = np.lexsort((index, client)), np.lexsort((held, holders))
    if not (np.array_equal(client[there], holders[wanted]) and np.array_equal(index[there], held[wanted])):
        raise RequestError(f"flower: {path}: client and index are not those that were exported; export anew")
    rows = np.empty_like(there)
    rows[wanted] = there
    return tuple((inputs[own], labels[own]) for own in np.split(rows, np.cumsum(sizes)[:-1]))


def _inputs(path: Path, table: Any, manifest: Manifest) -> np.ndarray:
    """The samples of all rows, ``[N, ...]``."""
    shape = (len(table), *sample_shape(manifest.input))
    if "image" not in table.column_names:
        if "x" not in table.column_names:
            raise RequestError(f"flower: {path} has neither a column image nor x; export anew")
        column = table["x"].combine_chunks()
        while hasattr(column.type, "value_type"):
            column = column.flatten()
        values: np.ndarray = column.to_numpy(zero_copy_only=False)
        if values.size != np.prod(shape):
            raise RequestError(f"flower: {path}: x has {values.size} numbers; exported were samples of shape {shape}")
        return in_form(path, "x", values.reshape(shape), shape, "iuf")
    height, width, channels = shape[1:]
    found = np.empty(shape, np.uint8)
    for row, cell in enumerate(table["image"].to_pylist()):
        image = Image.open(io.BytesIO(cell["bytes"]), formats=("PNG",))
        if (image.size, image.mode) != ((width, height), MODES.get(channels)):
            raise RequestError(f"flower: {path}: image {row} is {image.mode} {image.size}; exported were {shape[1:]}")
        found[row] = np.asarray(image).reshape(shape[1:])
    return found


FORMAT = Format("Parquet with client and split, as flwr-datasets reads it (needs pyarrow)", write, read)
