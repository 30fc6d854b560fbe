"""Handwritten characters of 50 alphabets, 28x28 grey (Lake et al. 2015).

Both official parts are pooled: their alphabets are disjoint, and a client of the pFedHN protocol is one
alphabet. A label is the character's number within its alphabet (at most 55), a group is the alphabet. Each
character has 20 drawings; 3 are test, and 3/17 of the others become validation: 70/15/15 % over all. Validation is
drawn by label, that is from all characters of the same number in their alphabets, so that of a single character it
holds 0 to 9 drawings: at seed 0 of ``omniglot-alphabets-n50-v1`` 56 of the 1,623 characters have none.
"""

from pathlib import Path

import numpy as np

from pfl_bench.api import (
    ArrayDataset,
    Arrays,
    DataRequest,
    make_dataset,
    numpy_generator,
    register_dataset,
    stored_arrays,
)

from ._torchvision import torchvision_class

SIDE = 28
TEST_DRAWINGS = 3


def fetch(folder: Path) -> Arrays:
    """Download both parts, average 105x105 pixels down to 28x28, and make ink 255 on 0."""
    from PIL import Image

    arrays: dict[str, np.ndarray] = {}
    characters = 0
    alphabets: dict[str, int] = {}
    for split, background in (("train", True), ("test", False)):
        part = torchvision_class("Omniglot")(str(folder), background=background, download=True)
        for character in part._characters:
            alphabets.setdefault(Path(character).parts[0], len(alphabets))
        of_character = [alphabets[Path(character).parts[0]] for character in part._characters]
        small = [255 - np.asarray(image.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)) for image, _ in part]
        labels = np.asarray([label for _, label in part], dtype=np.int64)
        arrays[f"{split}_images"] = np.stack(small).astype(np.uint8)
        arrays[f"{split}_labels"] = labels + characters
        arrays[f"{split}_alphabet"] = np.asarray(of_character, dtype=np.int64)[labels]
        characters += len(part._characters)
    return arrays


def pool_alphabets(arrays: Arrays) -> Arrays:
    """Pool both parts, number the characters within their alphabet, and hold out drawings for test."""
    images, characters, alphabets = (
        np.concatenate([arrays[f"train_{key}"], arrays[f"test_{key}"]]) for key in ("images", "labels", "alphabet")
    )
    labels = np.empty_like(characters)
    for alphabet in np.unique(alphabets):
        members = alphabets == alphabet
        labels[members] = np.unique(characters[members], return_inverse=True)[1]
    rng = numpy_generator("omniglot", "test drawings")  # fixed: part of the data set's definition
    test = np.zeros(len(images), dtype=bool)
    for character in np.unique(characters):
        test[rng.permutation(np.flatnonzero(characters == character))[:TEST_DRAWINGS]] = True
    return {
        f"{split}_{key}": array[rows]
        for split, rows in (("train", ~test), ("test", test))
        for key, array in (("images", images), ("labels", labels), ("alphabet", alphabets))
    }


@register_dataset("omniglot", source="Lake et al. 2015", summary="Characters of 50 alphabets, 28x28 grey")
def load(request: DataRequest) -> ArrayDataset:
    """Read ``omniglot.npz``; torchvision fetches it once. Natural groups: the 50 alphabets."""
    return _dataset(stored_arrays("omniglot", request, fetch, check=_dataset))


def _dataset(arrays: Arrays) -> ArrayDataset:
    return make_dataset("omniglot", pool_alphabets(arrays), groups="alphabet", validation_share=3 / 17)
