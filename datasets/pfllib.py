"""``pfllib:FOLDER``: clients as PFLlib's generators write them, ``FOLDER/train/0.npz`` and ``FOLDER/test/0.npz``.

Each file holds ``data``, a dictionary with ``x`` and ``y``. Their clients and their split into train and test stay as
they are; validation is held out of every client's training samples, because PFLlib has none (it reports the best test
accuracy). A folder ``validation/`` of such files, as ``data export`` writes it, is the validation part. A group is a
client: ask for the rule ``natural`` with as many clients as there are. Pictures are float ``[N, C, H, W]`` there,
scaled by PFLlib; they are standardised per channel here all the same. The files are pickles; only arrays are read from
them, and nothing in them is run.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pfl_bench.api import (
    ArrayDataset,
    DataRequest,
    InputKind,
    RequestError,
    make_dataset,
    read_object,
    register_dataset,
    shown,
)

PARTS = ("train", "test")


@register_dataset("pfllib", source="Zhang et al. 2025, JMLR 26(50)", summary="pfllib:FOLDER with PFLlib's clients")
def load(request: DataRequest) -> ArrayDataset:
    """Read every client's training and test samples."""
    folder = Path(request.argument)
    if not request.argument or not all((folder / part).is_dir() for part in PARTS):
        raise RequestError(f"data set 'pfllib' needs a folder with train/ and test/, found {shown(request.argument)}")
    parts = ("train", "validation", "test") if (folder / "validation").is_dir() else PARTS
    name, clients = f"pfllib:{folder}", _clients(folder, parts)
    arrays: dict[str, np.ndarray] = {}
    for part in parts:
        read = [_samples(folder / part / f"{client}.npz") for client in clients]
        for client, (x, _) in zip(clients, read, strict=True):
            if x.shape[1:] != read[0][0].shape[1:]:
                raise RequestError(
                    f"pfllib: {folder / part / f'{client}.npz'}: samples differ in shape: {x.shape[1:]}, and "
                    f"{read[0][0].shape[1:]} of client {clients[0]}"
                )
        arrays[f"{part}_inputs"] = np.concatenate([x for x, _ in read])
        arrays[f"{part}_labels"] = np.concatenate([y for _, y in read])
        arrays[f"{part}_groups"] = np.repeat(clients, [len(y) for _, y in read])
    kind, notes = _kind(arrays), [f"{len(clients)} clients; deal them with the rule natural"]
    empty = np.setdiff1d(clients, np.concatenate([arrays[f"{part}_groups"] for part in parts])).tolist()
    if empty:
        listed = ", ".join(map(str, empty[:5])) + (", ..." if len(empty) > 5 else "")
        notes.append(f"{len(empty)} of them without a sample, left out: {listed}")
    if kind == "image":
        for part in parts:
            arrays[f"{part}_images"] = arrays[f"{part}_inputs"].transpose(0, 2, 3, 1)
    vocabulary = 0
    if kind == "tokens":
        vocabulary = 1 + max(int(arrays[f"{part}_inputs"].max(initial=0)) for part in parts)
        notes.append(f"x are rows of whole numbers, read as {vocabulary} tokens up to the highest")
    return make_dataset(
        name, arrays, kind=kind, groups="groups", vocabulary=vocabulary, held_out_within="groups", notes=notes
    )


def _clients(folder: Path, parts: Sequence[str]) -> np.ndarray:
    """Numbers of the clients; RequestError unless they are those from 0 on, with a file in each part."""
    numbers: dict[str, set[int]] = {}
    for part in parts:
        stems = [path.stem for path in (folder / part).glob("*.npz")]
        odd = next((stem for stem in stems if not stem.isdecimal()), None)
        if odd is not None:
            raise RequestError(f"pfllib: {folder / part / odd}.npz is no client; those are 0.npz, 1.npz, ...")
        numbers[part] = {int(stem) for stem in stems}
    if not numbers["train"]:
        raise RequestError(f"pfllib: {folder / 'train'} has no 0.npz, 1.npz, ...")
    for part in parts[1:]:
        if lonely := sorted(numbers["train"] ^ numbers[part]):
            raise RequestError(f"pfllib: client {lonely[0]} of {folder} has a file in one of train/ and {part}/ only")
    return np.asarray(sorted(numbers["train"]))


def _samples(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """A client's ``x`` and ``y``."""
    data = read_object(path, "data", "pfllib")
    if not isinstance(data, dict) or not {"x", "y"} <= data.keys():
        raise RequestError(f"pfllib: {path} has no dictionary with x and y")
    x, y = data["x"], data["y"]
    if not isinstance(x, np.ndarray) or x.dtype.kind not in "fiu" or x.ndim < 2:
        text = " (texts come as pairs of tokens and length; save the tokens as one array)" if _is_text(x) else ""
        raise RequestError(f"pfllib: {path}: x is no array of numbers [N, ...]{text}")
    y = np.asarray(y)
    if y.ndim != 1 or len(y) != len(x):
        raise RequestError(f"pfllib: {path}: y has shape {y.shape} for {len(x)} samples")
    if y.dtype.kind not in "iu" or y.min(initial=0) < 0:
        raise RequestError(f"pfllib: {path}: y must be whole numbers from 0, found {y.dtype}{_least(y)}")
    if x.dtype.kind == "f" and not (finite := np.isfinite(x)).all():
        raise RequestError(
            f"pfllib: {path}: x of sample {np.argwhere(~finite)[0][0]} has missing or infinite values; fill them, or "
            "take such samples out"
        )
    if x.dtype.kind in "iu" and x.ndim == 2 and x.min(initial=0) < 0:
        raise RequestError(f"pfllib: {path}: x are tokens, whole numbers from 0, found{_least(x)}")
    return x, y


def _least(values: np.ndarray) -> str:
    return f" {values.min()}" if values.size and values.dtype.kind in "iu" else ""


def _is_text(x: object) -> bool:
    return isinstance(x, list | tuple) or (isinstance(x, np.ndarray) and x.dtype == object)


def _kind(arrays: dict[str, np.ndarray]) -> InputKind:
    """What samples are, by their axes and type."""
    own = arrays["train_inputs"]
    if own.ndim == 2:
        return "tokens" if own.dtype.kind in "iu" else "table"
    if own.ndim == 4:
        return "image"
    raise RequestError(f"pfllib: samples of shape {own.shape[1:]} are neither pictures [C, H, W] nor rows")
