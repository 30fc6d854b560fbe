import subprocess
import sys

from tests.bad_data.__main__ import examine


def test_bad_data_files_are_refused_in_one_line_or_read_as_they_must_be():
    """A fixed slice, each kind four times; ``python -m tests.bad_data`` makes as many as you like."""
    counts, wrong = examine(120, seed=16)
    assert wrong == []
    assert all(sum(found.values()) == 4 for found in counts.values())
    assert all(counts[name]["read"] == 4 for name in ("npz: numbers with gaps", "imagefolder: pictures of mixed modes"))


def test_the_command_line_refuses_in_one_line(tmp_path):
    (tmp_path / "x.npz").write_bytes(b"PK")
    command = [sys.executable, "-m", "pfl_bench", "data", "verify", f"npz:{tmp_path / 'x.npz'}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
