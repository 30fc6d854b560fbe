"""What is kept of a source's files: made once, of what can be read, and anew when the files change."""

from urllib.error import URLError

import numpy as np
import pytest

from pfl_bench.data.prepared import ORIGINALS, stored_arrays
from pfl_bench.data.store import DataRequest, read_npz, write_npz
from pfl_bench.errors import RequestError


class Source:
    """A source that reads one number from every file of its own, or downloads a 9."""

    def __init__(self, folder, names):
        self.folder, self.names, self.reads = folder, names, 0

    def load(self, download=False, check=None):
        places = [self.folder / name for name in self.names]
        found = [place if place.exists() else None for place in places]

        def fetch(_):
            self.reads += 1
            return {"x": np.asarray([int(place.read_text()) if place else 9 for place in found])}

        request = DataRequest(self.folder, download=download)
        return stored_arrays("mine", request, fetch, found, check=check)["x"].tolist()


@pytest.fixture
def source(tmp_path):
    for name, value in (("a", "1"), ("b", "2")):
        (tmp_path / name).write_text(value)
    return Source(tmp_path, ("a", "b"))


def test_files_are_read_once_and_again_when_one_has_changed(source):
    assert [source.load() for _ in range(3)] == [[1, 2]] * 3 and source.reads == 1
    (source.folder / "b").write_text("3")
    assert source.load() == [1, 3] and source.load() == [1, 3] and source.reads == 2
    (source.folder / "a").unlink()
    assert source.load() == [1, 3] and source.reads == 2, "what is kept needs no original"
    (source.folder / "b").unlink()
    assert source.load() == [1, 3] and source.reads == 2


def test_what_was_kept_without_a_record_of_its_originals_is_made_anew(source):
    write_npz(source.folder / "mine.npz", {"x": np.asarray([7, 7])})
    assert source.load() == [1, 2] and source.reads == 1
    kept = read_npz(source.folder / "mine.npz", "mine")
    assert sorted(kept) == [ORIGINALS, "x"] and all(len(digest) == 64 for digest in kept[ORIGINALS])


def test_a_file_that_came_after_the_download_is_taken(source):
    for name in source.names:
        (source.folder / name).unlink()
    assert source.load(download=True) == [9, 9]
    assert ORIGINALS not in read_npz(source.folder / "mine.npz", "mine")
    (source.folder / "a").write_text("5")
    with pytest.raises(RequestError, match=r"mine: .*mine\.npz was not made of .*a as it is now; run 'pfl-bench data"):
        source.load()
    assert source.load(download=True) == [5, 9] == source.load()
    (source.folder / "b").write_text("6")
    assert source.load() == [5, 6]


def test_what_does_not_pass_the_check_is_not_kept(source):
    def check(arrays):
        if arrays["x"][0] < 1:
            raise RequestError("mine: too small")

    (source.folder / "a").write_text("0")
    with pytest.raises(RequestError, match="too small"):
        source.load(check=check)
    assert not (source.folder / "mine.npz").exists()
    (source.folder / "a").write_text("4")
    assert source.load(check=check) == [4, 2]
    (source.folder / "a").write_text("0")
    with pytest.raises(RequestError, match="too small"):
        source.load(check=check)
    assert read_npz(source.folder / "mine.npz", "mine")["x"].tolist() == [4, 2], "the good one stays"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (URLError("no network"), r"download failed .*connect to the network"),
        (ValueError("cut"), "b.csv is not readable"),
    ],
)
def test_a_file_that_is_there_is_not_blamed_for_the_network(tmp_path, error, said):
    (tmp_path / "b.csv").write_text("1")

    def fetch(_):
        raise error

    with pytest.raises(RequestError, match=said):
        stored_arrays("mine", DataRequest(tmp_path, download=True), fetch, [None, tmp_path / "b.csv"])
