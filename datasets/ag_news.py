"""News in four classes: world, sports, business, science and technology (Zhang, Zhao and LeCun 2015, arXiv:1509.01626).

120,000 texts to train on and 7,600 to test on. Tokens are words in lower case: 0 pads, 1 is unknown, the others are the
most frequent words of the training part. ``ag_news:length=64,vocabulary=10000`` are the numbers. It has no natural
clients. ``ag_news:part=test`` is the test part alone, a fifth of every class of it held out, for trying things out.
The files ``train.csv`` and ``test.csv`` in the data directory's ``ag_news`` are taken where they are.
"""

import csv
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from pfl_bench.api import (
    ArrayDataset,
    DataRequest,
    RequestError,
    download,
    hold_out,
    make_dataset,
    original_file,
    register_dataset,
    shown,
    stored_arrays,
    whole_number,
)

from ._words import FIRST, numbered, padded

URL = "https://raw.githubusercontent.com/mhjabreel/CharCnn_Keras/master/data/ag_news_csv/{}.csv"
DEFAULTS = {"length": 64, "vocabulary": 10000}
CLASSES = ("1", "2", "3", "4")
TEXTS = {"train": 120_000, "test": 7_600}


@register_dataset("ag_news", source="Zhang, Zhao and LeCun 2015, arXiv:1509.01626", summary="News, 64 words, 4 classes")
def load(request: DataRequest) -> ArrayDataset:
    """Read ``ag_news.npz``, made once from the files in the data directory or from the public ones."""
    length, vocabulary, alone = _options(request.argument)
    parts = ("test",) if alone else ("train", "test")
    own = {part: original_file(request, "ag_news", f"{part}.csv", f"ag_news_{part}.csv") for part in parts}

    def fetch(folder: Path) -> Mapping[str, np.ndarray]:
        return read_news({part: path or download(URL.format(part), folder) for part, path in own.items()})

    name = f"ag_news:{request.argument}".rstrip(":")

    def dataset(arrays: Mapping[str, np.ndarray]) -> ArrayDataset:
        return _dataset(name, arrays, length, vocabulary, alone)

    kept = "ag_news-test" if alone else "ag_news"
    arrays = stored_arrays(kept, replace(request, argument=""), fetch, list(own.values()), check=dataset, asked=name)
    return dataset(arrays)


def _dataset(
    name: str, arrays: Mapping[str, np.ndarray], length: int, vocabulary: int, alone: bool
) -> ArrayDataset:  # fmt: skip
    parts = ("test",) if alone else ("train", "test")
    labels = {part: arrays[f"{part}_labels"] for part in parts}
    notes = [f"{len(own)} texts in the {part} part; the published file has {TEXTS[part]}"
             for part, own in labels.items() if len(own) != TEXTS[part]]  # fmt: skip
    inputs = {part: padded(arrays[f"{part}_codes"], arrays[f"{part}_lengths"], length, vocabulary) for part in parts}
    if alone:
        found = hold_out("ag_news", inputs["test"], labels["test"], 0.2, "inputs")
        notes.append("the test part alone, a fifth of every class held out; its words make the vocabulary")
    else:
        found = {f"{part}_inputs": own for part, own in inputs.items()}
        found |= {f"{part}_labels": own for part, own in labels.items()}
    return make_dataset(name, found, kind="tokens", vocabulary=vocabulary, classes=4, notes=notes)


def _options(argument: str) -> tuple[int, int, bool]:
    options: dict[str, str] = {}
    for each in argument.split(",") if argument else ():
        key, _, value = each.partition("=")
        if key not in (*DEFAULTS, "part") or key in options or (key == "part" and value != "test"):
            raise RequestError(
                f"ag_news: option {shown(each)} must be one of length=, vocabulary=, part=test, each once"
            )
        options[key] = value
    length = whole_number("ag_news", options, "length", DEFAULTS["length"], 1000)
    vocabulary = whole_number("ag_news", options, "vocabulary", DEFAULTS["vocabulary"], 200_000)
    if vocabulary <= FIRST:
        raise RequestError(f"ag_news: vocabulary={vocabulary} must be more than {FIRST}: padding and unknown are two")
    return length, vocabulary, "part" in options


def read_news(files: Mapping[str, Path]) -> Mapping[str, np.ndarray]:
    """Numbers of words, lengths and classes from 0 of files with ``"class","title","text"`` in each line."""
    texts, found = {}, dict[str, np.ndarray]()
    for part, path in files.items():
        rows = _rows(path)
        texts[part] = [f"{title} {text}" for _, title, text in rows]
        found[f"{part}_labels"] = np.asarray([CLASSES.index(label) for label, _, _ in rows], dtype=np.int64)
    for part, (codes, lengths) in zip(texts, numbered(*texts.values()), strict=True):
        found[f"{part}_codes"], found[f"{part}_lengths"] = codes, lengths
    return found


def _rows(path: Path) -> list[list[str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.reader(file, strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise RequestError(f"{path} is not readable as CSV in UTF-8: {shown(str(error))}") from error
    for number, row in enumerate(rows, 1):
        if len(row) != 3 or row[0] not in CLASSES:
            raise RequestError(f'{path}, row {number}: it must be "class","title","text" with a class from 1 to 4')
    if not rows:
        raise RequestError(f"{path} has no text")
    return rows
