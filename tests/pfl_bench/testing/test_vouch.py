"""A change of a shipped file is either known to leave its numbers as they are, or raises the method's version."""

from pathlib import Path

import pytest

from pfl_bench.results.lineage import code_identity, vouched
from pfl_bench.results.record import read_record
from pfl_bench.running.sources import shipped_hashes
from pfl_bench.testing.vouch import accept, main, missing

PUBLISHED = Path(__file__).parents[3] / "results" / "published"


@pytest.mark.parametrize("file", sorted(shipped_hashes()))
def test_every_shipped_source_is_vouched_for(file):
    assert file not in missing(), (
        f"{file} has changed. If runs before and after are equal bit by bit: "
        "python -m pfl_bench.testing.vouch --accept. "
        "If its numbers changed on purpose: raise the method's version, and start its list in lineage.toml anew."
    )


def test_published_runs_were_computed_by_what_is_shipped():
    for path in PUBLISHED.glob("*/runs/*/run.json"):
        assert code_identity(read_record(path.parent)) == "", path.parent.name


def test_accepting_adds_and_forgets_nothing(tmp_path):
    path = tmp_path / "lineage.toml"
    path.write_text('# why\n\n[files]\n"methods/a.py" = [\n    "1",\n]\n')
    accept({"methods/a.py": "2", "methods/b.py": "3"}, path)
    expected = '# why\n\n[files]\n"methods/a.py" = [\n    "1",\n    "2",\n]\n"methods/b.py" = [\n    "3",\n]\n'
    assert path.read_text() == expected
    assert vouched()["methods/fedavg.py"]


@pytest.mark.parametrize("words", [["x"], ["--acc"], ["--accept", "x"], ["--accept=1"]])
def test_a_misspelt_option_accepts_nothing(words, capsys, monkeypatch):
    monkeypatch.setattr("pfl_bench.testing.vouch.accept", lambda *_: pytest.fail("accepted"))
    assert main(words) == 2
    line = capsys.readouterr().err
    assert line.startswith("error: ") and line.count("\n") == 1
