from pfl_bench.data.doors import export_split, make_split
from pfl_bench.data.store import load_dataset

from .broken import assert_refused


def test_an_export_is_a_source_as_it_lies_there(tmp_path, cli):
    split = make_split("digits-classes2-n20-v2", 2)
    for form in ("pfllib", "fl-bench"):
        export_split(split, form, tmp_path / form)
        found = load_dataset(f"exported:{tmp_path / form}")
        assert found.sha256 == split.dataset.sha256 and found.facts == split.dataset.facts
    status, out, error = cli("data", "verify", f"exported:{tmp_path / 'pfllib'}")
    assert status == 0 and split.dataset.sha256 in out, error


def test_what_is_no_export(tmp_path):
    assert_refused("exported", "needs a folder: exported:FOLDER")
    assert_refused(f"exported:{tmp_path}", "has no pfl-bench.json; it is no folder that 'data export' wrote")
    assert_refused(f"exported:{tmp_path / 'none'}", "does not exist")
