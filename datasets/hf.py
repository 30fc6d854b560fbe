"""``hf:OWNER/NAME?label=COLUMN&inputs=COLUMN``: a data set of the Hugging Face hub, with its columns named.

``inputs`` names a column of pictures (``size=32`` makes them squares of 32 pixels), of texts (``length=64`` words,
``vocabulary=10000``) or of rows of numbers, or several columns of numbers (``inputs=A,B``). ``group``: the natural
clients. ``config`` and ``revision`` as the hub calls them; the revision that was fetched is kept with the data and
told. Parts are the hub's ``train``, ``validation`` and ``test``; without test the validation part is it, and without
both a fifth is held out. Needs ``pip install 'pfl-bench[hf]'``.

Parquet files in the data directory's ``hf/OWNER--NAME`` are taken instead, of the parts that their names begin with
(``train-00000-of-00001.parquet``).
"""

import hashlib
import importlib.util
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pfl_bench.api import (
    ArrayDataset,
    DataRequest,
    RequestError,
    dataset_of_rows,
    name_list,
    one_line,
    outside_package,
    read_argument,
    register_dataset,
    shown,
    stored_arrays,
    whole_number,
)

from ._columns import refuse_two_roles
from ._hub_columns import Frames, as_arrays
from ._words import FIRST, padded

OPTIONS = {
    "label": "COLUMN of the classes", "inputs": "COLUMN or COLUMN,COLUMN", "group": "COLUMN of the natural clients",
    "config": "the hub's configuration", "revision": "a commit or tag", "size": "pixels", "length": "words",
    "vocabulary": "words",
}  # fmt: skip
PARTS = ("train", "validation", "test")


@register_dataset("hf", source="Hugging Face hub", summary="hf:OWNER/NAME?label=COLUMN&inputs=COLUMN")
def load(request: DataRequest) -> ArrayDataset:
    """Read the kept arrays, made once from files in the data directory or from the hub."""
    name, options = read_argument("hf", request.argument, OPTIONS)
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,95}(/[A-Za-z0-9][\w.-]{0,95})?", name):
        raise RequestError(f"hf: {shown(name)} is no name of the hub, OWNER/NAME")
    for needed in ("label", "inputs"):
        if needed not in options:
            raise RequestError(f"hf: say which columns: hf:{name}?label=COLUMN&inputs=COLUMN ({needed} is missing)")
    named = [(key, options[key]) for key in ("label", "group") if key in options]
    refuse_two_roles("hf", [*named, *(("inputs", column) for column in name_list(options["inputs"]))])
    length = whole_number("hf", options, "length", 64, 10_000)
    vocabulary = whole_number("hf", options, "vocabulary", 10_000, 1_000_000)
    if vocabulary <= FIRST:
        raise RequestError(f"hf: vocabulary={vocabulary} must be more than {FIRST}: padding and unknown are two")
    size = whole_number("hf", options, "size", 1, 1024) if "size" in options else None
    folder = request.data_dir / "hf" / name.replace("/", "--")
    files = sorted(folder.rglob("*.parquet")) if folder.is_dir() else []

    def fetch(_: Path) -> Mapping[str, np.ndarray]:
        frames, revision = (_of_files(files), "") if files else _of_hub(name, options)
        return {**as_arrays(frames, options, size), "revision": np.asarray(revision)}

    kept = {key: value for key, value in options.items() if key not in ("length", "vocabulary")}
    digest = hashlib.sha256(repr((name, sorted(kept.items()))).encode()).hexdigest()[:12]
    whole = f"hf:{request.argument}"

    def dataset(arrays: Mapping[str, np.ndarray]) -> ArrayDataset:
        revision = str(arrays["revision"])
        notes = [
            f"revision {revision}" if revision else f"read from the files in {folder}, whose revision nobody knows"
        ]
        _refuse_without_meaning(options, arrays, revision)
        return _dataset(whole, arrays, length, vocabulary, notes)

    return dataset(stored_arrays(
        f"hf-{name.replace('/', '--')}-{digest}", replace(request, argument=""), fetch, files, check=dataset,
        asked=whole,
    ))  # fmt: skip


def _refuse_without_meaning(options: Mapping[str, str], arrays: Mapping[str, np.ndarray], revision: str) -> None:
    """RequestError for an option that changes nothing for such samples, or such files."""
    for key, needed, what in (
        ("size", "train_images" in arrays, "samples that are no pictures"),
        ("length", "train_codes" in arrays, "samples that are no texts"),
        ("vocabulary", "train_codes" in arrays, "samples that are no texts"),
        ("revision", bool(revision), "files in the data directory, whose revision nobody knows"),
        ("config", bool(revision), "files in the data directory, which are what they are"),
    ):
        if key in options and not needed:
            raise RequestError(f"hf: {key}={shown(options[key])} has no meaning for {what}; leave it out")


def _of_files(files: list[Path]) -> Frames:
    """Tables by part, from files whose names begin with it."""
    import pandas as pd

    if importlib.util.find_spec("pyarrow") is None:
        raise RequestError("reading Parquet files needs pyarrow; pip install 'pfl-bench[hf]'")
    found: dict[str, list[Any]] = {}
    for path in files:
        part = next((part for part in PARTS if path.name.startswith(part)), None)
        if part is None:
            raise RequestError(f"{path} is of no part; names begin with {', '.join(PARTS)}")
        try:
            found.setdefault(part, []).append(pd.read_parquet(path, engine="pyarrow"))
        except Exception as error:  # pyarrow's errors have no common base
            raise RequestError(f"{path} is not readable: {one_line(error)}") from error
    return {part: pd.concat(found[part], ignore_index=True) for part in PARTS if part in found}


def _of_hub(name: str, options: Mapping[str, str]) -> tuple[Frames, str]:
    """Tables by part from the hub, and the commit that they are of."""
    library, hub = outside_package("datasets", "hf"), outside_package("huggingface_hub", "hf")
    revision = str(hub.HfApi().dataset_info(name, revision=options.get("revision")).sha)
    found = library.load_dataset(name, options.get("config"), revision=revision)
    return {part: found[part].to_pandas() for part in PARTS if part in found}, revision


def _dataset(
    name: str, arrays: Mapping[str, np.ndarray], length: int, vocabulary: int, notes: list[str]
) -> ArrayDataset:
    """The parts joined, each sample with the part it is of."""
    parts = [part for part in PARTS if f"{part}_labels" in arrays]
    kind: Any = next(kind for key, kind in (("images", "image"), ("codes", "tokens"), ("inputs", "table"))
                     if f"train_{key}" in arrays)  # fmt: skip
    if kind == "tokens":
        inputs = [padded(arrays[f"{part}_codes"], arrays[f"{part}_lengths"], length, vocabulary) for part in parts]
    else:
        inputs = [arrays[f"{part}_{'images' if kind == 'image' else 'inputs'}"] for part in parts]
    if len({own.shape[1:] for own in inputs}) > 1:
        raise RequestError(f"{name}: samples of the parts differ in shape")
    splits = np.repeat(parts, [len(own) for own in inputs])
    if "test" not in parts:
        splits = np.where(splits == "validation", "test", splits)
    groups = np.concatenate([arrays[f"{part}_groups"] for part in parts]) if "train_groups" in arrays else None
    return dataset_of_rows(
        name, np.concatenate(inputs), np.concatenate([arrays[f"{part}_labels"] for part in parts]), kind=kind,
        groups=groups, splits=splits if len(parts) > 1 else None, notes=notes,
        vocabulary=vocabulary if kind == "tokens" else 0,
    )  # fmt: skip
