import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from pfl_bench.cli.progress import RunProgress
from pfl_bench.data.store import write_npz
from pfl_bench.engine.events import RunResult
from pfl_bench.registry import METHODS
from pfl_bench.results.frame import read_runs
from tests.conftest import PLUGINS

FEDMEDIAN = str(PLUGINS / "fedmedian.py")

SUITE = """
name = "tiny"
methods = "fedavg,fedper"
seeds = "0-1"

[[scenario]]
id = "synthetic-classes2-n6-v1"
dataset = "synthetic:classes=3,n=180"
partition = { rule = "classes", classes = 2 }
clients = 6
model = "mlp"
visits = 20
local_steps = 10
batch_size = 8
eval_every = 5
"""


@pytest.fixture
def tiny(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(SUITE)
    return str(path)


def run_tiny(cli, tiny, *arguments):
    return cli("run", "--suite", tiny, "--executor", "serial", *arguments)


def files(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


def test_run_prints_the_table_and_writes_the_ledger(cli, tiny, tmp_path):
    status, out, _ = run_tiny(cli, tiny)
    assert status == 0
    assert "synthetic-classes2-n6-v1: 20 client visits x 10 local steps" in out
    assert "fedper" in out and "leaderboard.csv" in out
    folder = tmp_path / "results" / "tiny"
    rows = list(csv.DictReader((folder / "leaderboard.csv").open()))
    assert {row["method"] for row in rows} == {"fedavg", "fedper"}
    assert {row["seeds"] for row in rows} == {"2"}
    runs = list(csv.DictReader((folder / "runs.csv").open()))
    assert len(runs) == 4
    for row in runs:
        record = json.loads((folder / "runs" / row["run_id"] / "run.json").read_text())
        assert record["partition_sha256"] == row["partition_sha256"] and len(row["partition_sha256"]) == 64
        assert record["versions"]["torch"] and record["hardware"]["cores"] and record["method_source_sha256"]
    hashes = {(row["method"], row["seed"]): row["partition_sha256"] for row in runs}
    assert hashes["fedavg", "0"] == hashes["fedper", "0"] != hashes["fedavg", "1"]


def test_finished_runs_are_not_repeated_and_fresh_repeats_them(cli, tiny, tmp_path):
    run_tiny(cli, tiny)
    before = read_runs(tmp_path / "results" / "tiny")
    status, out, _ = run_tiny(cli, tiny)
    assert status == 0 and "4 of 4 runs were finished before" in out
    assert read_runs(tmp_path / "results" / "tiny")["seconds"].equals(before["seconds"])
    run_tiny(cli, tiny, "--fresh", "--methods", "fedavg")
    after = read_runs(tmp_path / "results" / "tiny")
    changed = after["seconds"] != before["seconds"]
    assert set(after["method"][changed]) == {"fedavg"}
    assert after["accuracy"].equals(before["accuracy"])


def test_budget_scale_and_settings_make_other_runs(cli, tiny, tmp_path):
    run_tiny(cli, tiny, "--methods", "fedavg", "--seeds", "0", "--budget-scale", "0.5", "--set", "fedavg.lr=0.1")
    (row,) = read_runs(tmp_path / "results" / "tiny").to_dict("records")
    assert row["scenario"] == "synthetic-classes2-n6-v1@0.5x" and row["visits"] == 10
    assert json.loads(row["config"])["lr"] == 0.1


def test_leaderboard_command_rebuilds_all_formats(cli, tiny, tmp_path):
    run_tiny(cli, tiny)
    folder = tmp_path / "results" / "tiny"
    original = (folder / "leaderboard.csv").read_text()
    (folder / "leaderboard.csv").unlink()
    status, _, _ = cli("leaderboard", "--suite", "tiny", "--format", "csv,md,tex")
    assert status == 0
    assert (folder / "leaderboard.csv").read_text() == original
    assert {"leaderboard.md", "leaderboard.tex"} <= files(folder)


def test_a_failed_run_is_in_the_table_and_the_others_go_on(cli, tiny, tmp_path):
    status, out, _ = run_tiny(cli, tiny, "--seeds", "0", "--set", "fedavg.lr=1e30", "--set", "fedavg.clip_norm=1e30")
    assert status == 1
    assert "1 diverged" in out and "NaN or infinite loss for client" in out
    statuses = read_runs(tmp_path / "results" / "tiny").set_index("method")["status"].to_dict()
    assert statuses == {"fedavg": "diverged", "fedper": "finished"}
    again, out, _ = run_tiny(cli, tiny, "--seeds", "0", "--set", "fedavg.lr=1e30", "--set", "fedavg.clip_norm=1e30")
    assert again == 1 and "2 of 2 runs were finished before" in out


def test_a_full_disk_fails_the_run_with_its_reason(cli, tiny, monkeypatch):
    write = Path.write_text

    def full(self, data, **kwargs):
        if self.name == "clients.csv" and "fedavg" in str(self):
            raise OSError(28, "No space left on device")
        return write(self, data, **kwargs)

    monkeypatch.setattr(Path, "write_text", full)
    status, out, _ = run_tiny(cli, tiny, "--seeds", "0")
    assert status == 1
    assert "No space left on device" in out and re.search(r"fedper .* 1 *\n", out)
    monkeypatch.setattr(Path, "write_text", write)
    assert run_tiny(cli, tiny, "--seeds", "0")[0] == 0, "a failed run is tried again"


def test_tables_that_cannot_be_written_are_still_printed(cli, tiny, monkeypatch, tmp_path):
    opened = Path.open

    def full(self, *arguments, **kwargs):
        if "leaderboard" in self.name:
            raise OSError(28, "No space left on device")
        return opened(self, *arguments, **kwargs)

    monkeypatch.setattr(Path, "open", full)
    status, out, _ = run_tiny(cli, tiny, "--seeds", "0")
    assert status == 1
    assert "20 client visits x 10 local steps" in out and "could not be written" in out
    assert not list((tmp_path / "results" / "tiny").glob(".*.new"))


def test_a_method_in_one_file_takes_part_everywhere(cli, tiny):
    assert len(Path(FEDMEDIAN).read_text().splitlines()) < 30
    assert "fedmedian" in cli("list", "methods", "--plugin", FEDMEDIAN)[1]
    status, out, _ = run_tiny(cli, tiny, "--methods", "fedavg,fedmedian", "--plugin", FEDMEDIAN)
    assert status == 0 and "fedmedian" in out
    status, out, _ = cli("check", "fedmedian", "--plugin", FEDMEDIAN)
    assert status == 0 and "all checks passed" in out and "serial = Ray" in out


def test_check_fails_a_bad_method(cli, tmp_path):
    bad = tmp_path / "bad.py"
    text = Path(FEDMEDIAN).read_text().replace("models.median(dim=0).values", "models[0] * torch.rand(1)")
    bad.write_text("import torch\n" + text.replace('"""A', '"""Bad', 1).replace("fedmedian", "randommedian"))
    status, out, _ = cli("check", "randommedian", "--plugin", str(bad))
    assert status == 1
    assert "FAILED deterministic" in out


def test_a_methods_own_exception_is_told_with_its_place_and_its_traceback(cli, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    bad = tmp_path / "mine.py"
    text = Path(FEDMEDIAN).read_text().replace("fedmedian", "mine").replace("trained.params)", "trained.params).mean()")
    bad.write_text(text)
    line = next(number for number, code in enumerate(text.splitlines(), 1) if ".mean()" in code)
    reason = f"AttributeError: 'Params' object has no attribute 'mean' (mine.py, line {line}, in round)"
    status, out, _ = run_tiny(cli, tiny, "--methods", "mine", "--seeds", "0", "--plugin", str(bad))
    assert status == 1 and reason in out
    (path,) = re.findall(r"its traceback: (\S+error\.txt)", out)
    assert f'mine.py", line {line}, in round' in Path(path).read_text()
    status, out, _ = cli("check", "mine", "--plugin", str(bad))
    assert status == 1 and f"the run failed: {reason}" in " ".join(out.split())
    path = re.findall(r"its traceback: (\S+\.txt)", out)[0]
    assert f'mine.py", line {line}, in round' in Path(path).read_text()


def test_what_goes_wrong_in_an_inherited_hook_is_placed_in_the_file_of_that_hook(cli, tiny, tmp_path):
    heir = tmp_path / "heir.py"
    heir.write_text(
        "from pfl_bench.api import MethodConfig, register_method\n"
        "from pfl_bench.methods.fedavg import FedAvg\n"
        "@register_method('heir', paper='none')\n"
        "class Heir(FedAvg):\n"
        "    Config = MethodConfig\n"
    )
    status, out, _ = run_tiny(cli, tiny, "--methods", "heir", "--seeds", "0", "--plugin", str(heir))
    assert status == 1 and re.search(r"has no attribute 'server_memory' \(fedavg\.py, line \d+, in init\)", out)


def test_an_exception_without_words_stops_no_other_run(cli, tiny, tmp_path):
    mute = tmp_path / "mute.py"
    fail = "raise type('Mute', (Exception,), {'__str__': lambda self: 1 / 0})()"
    text = Path(FEDMEDIAN).read_text().replace("fedmedian", "mute")
    assert "State(server=fed.init_params())" in text
    mute.write_text(text.replace("return State(server=fed.init_params())", fail))
    status, out, _ = run_tiny(cli, tiny, "--methods", "mute,fedavg", "--seeds", "0", "--plugin", str(mute))
    assert status == 1 and "Mute: (its text cannot be had) (mute.py, line" in out
    assert re.search(r"fedavg .* 1 *\n", out)


@pytest.fixture
def absent(monkeypatch):
    """The shelves' files offer a method that cannot be loaded."""
    offers = METHODS.known_names
    monkeypatch.setattr(METHODS, "known_names", lambda: sorted([*offers(), "absent"]))
    monkeypatch.setitem(METHODS.broken, "absent", "ModuleNotFoundError: no_such_module")


def test_a_method_that_cannot_be_loaded_is_left_out_of_all_and_refused_by_name(cli, tiny, absent):
    with pytest.warns(UserWarning, match="'absent' is left out, it could not be loaded: ModuleNotFoundError"):
        status, out, err = run_tiny(cli, tiny, "--methods", "all", "--seeds", "0", "--budget-scale", "0.1")
    assert status == 0, err
    assert "fedavg" in out and "absent" not in out
    with pytest.warns(UserWarning, match="'absent' is left out"):
        status, _, err = run_tiny(cli, tiny, "--methods", "fedavg,absent", "--seeds", "0")
    assert status == 2 and "method 'absent' could not be loaded: ModuleNotFoundError" in err


def test_check_all_tells_of_a_method_that_cannot_be_loaded(cli, absent, monkeypatch):
    monkeypatch.setattr("pfl_bench.testing.CHECKS", ())
    status, out, _ = cli("check", "all")
    assert status == 1 and "absent could not be loaded: ModuleNotFoundError" in out and "1 checks failed" in out


@pytest.mark.parametrize("what", ["methods", "datasets", "scenarios", "suites"])
def test_lists(cli, what):
    status, out, _ = cli("list", what)
    assert status == 0
    expected = {"methods": "pfedhn_pc", "datasets": "omniglot", "scenarios": "cifar10-classes2-n50-v1",
                "suites": "paper-table1"}  # fmt: skip
    assert expected[what] in out


@pytest.mark.parametrize(
    ("what", "rows"),
    [
        (
            "partitions",
            [("classes", "variant", '"code"', "code: as in"), ("(every rule of labels)", "quantity")],
        ),
        ("quantity", [("lognormal", "sigma", "2.0", "the larger"), ("dirichlet", "beta", "required")]),
        ("shifts", [("rotation", "angles", "[]", "in degrees"), ("(every shift)", "groups", "2", "into how many")]),
        ("availability", [("availability", "least_work", "0.1", "the least share")]),
        ("models", [("torchvision", "image", "NAME or NAME")]),
        ("metrics", [("auc", "percent", "higher", "yes"), ("log_loss", "nats", "lower")]),
        ("fields", [("scenario", "primary", '"accuracy"', "the metric"), ("enroll", "samples", '["all"]')]),
    ],
)
def test_lists_have_parameters_with_defaults_and_meanings(cli, what, rows):
    status, out, _ = cli("list", what)
    assert status == 0
    for row in rows:
        assert re.search(r"^.*" + r" .*".join(map(re.escape, row)), out, re.MULTILINE), row


PLUGIN_SHIFT = """
from pydantic import Field
from pfl_bench.api import ShiftConfig, register_shift

class Fog(ShiftConfig):
    thickness: float = Field(default=0.5, description="share of white")

@register_shift("fog", config=Fog, of="inputs", inputs=("image",), summary="white over everything")
def fog(config, context, groups, rng):
    return [None] * groups
"""


def test_a_plugins_parameters_are_listed_as_those_that_ship_are(cli, tmp_path):
    (tmp_path / "fog.py").write_text(PLUGIN_SHIFT)
    _, out, _ = cli("list", "shifts", "--plugin", "fog.py")
    assert re.search(r"fog +white over everything +inputs +image", out)
    assert re.search(r"fog +thickness +0.5 +share of white", out)


def test_edited_method_is_noticed(cli, tiny, tmp_path):
    run_tiny(cli, tiny, "--seeds", "0")
    paths = list(tmp_path.rglob("run.json"))
    for path in paths:
        path.write_text(path.read_text().replace('"method:methods/', '"method:edited_since/'))
    _, out, _ = run_tiny(cli, tiny, "--seeds", "0")
    assert out.count("because the method's source (") == len(paths) and "were finished before" not in out


def bad_npz(folder: Path, kind: str) -> str:
    good: dict[str, np.ndarray] = {
        "train_images": np.zeros((40, 8, 8), np.uint8),
        "train_labels": np.arange(40) % 4,
        "test_images": np.zeros((20, 8, 8), np.uint8),
        "test_labels": np.arange(20) % 4,
    }
    changes: dict[str, dict[str, np.ndarray]] = {
        "dtype": {"train_images": np.zeros((40, 8, 8))},
        "shape": {"train_images": np.zeros((40, 8), np.uint8)},
        "lengths": {"train_labels": np.arange(39) % 4},
        "labels": {"test_labels": np.arange(20) - 4},
        "truncated": {},
    }
    path = folder / "bad.npz"
    write_npz(path, good | changes[kind])
    if kind == "truncated":
        path.write_bytes(path.read_bytes()[:-300])
    return str(path)


@pytest.mark.parametrize("kind", ["dtype", "shape", "lengths", "labels", "truncated"])
def test_bad_npz_is_one_line_and_nothing_is_written(cli, tmp_path, kind):
    suite = tmp_path / "s.toml"
    suite.write_text(SUITE.replace("synthetic:classes=3,n=180", f"npz:{bad_npz(tmp_path, kind)}"))
    assert_refused(cli, tmp_path, "bad.npz", "run", "--suite", str(suite), "--executor", "serial")


def assert_refused(cli, folder: Path, message: str, *arguments: str) -> None:
    before = files(folder)
    status, out, err = cli(*arguments)
    assert status == 2, (out, err)
    assert err.startswith("error: ") and err.count("\n") == 1, err
    assert message in err
    assert files(folder) == before, "nothing may be written"


def ray_is_running() -> bool:
    """Ray's own search; a run that is going on at the same time counts."""
    from ray._private import services

    return bool(services.find_gcs_addresses())


REFUSALS = [
    (["run", "--methods", "fedavgg"], "did you mean 'fedavg'"),
    (["run", "--methods", ""], "empty entry"),
    (["run", "--scenarios", "digits-classes2-n21-v1"], "did you mean 'digits-classes2-n20-v2'"),
    (["run", "--suite", "quik"], "did you mean 'quick'"),
    (["run", "--suite", "none.toml"], "cannot be read"),
    (["run", "--set", "fedavg.rl=1"], "unknown hyper-parameter of fedavg 'rl': did you mean 'lr'"),
    (["run", "--set", "fedavg.lr=-1"], "greater than 0"),
    (["run", "--set", "fedavg.lr=NaN"], "finite number"),
    (["run", "--set", "fedavg.cohort=x"], "must be a whole number"),
    (["run", "--seeds", "3-1"], "'3-1' is not a number or a rising range"),
    (["run", "--seeds", "a"], "'a' is not a number"),
    (["run", "--seeds", ""], "empty entry"),
    (["run", "--budget-scale", "nan"], "must be a positive number"),
    (["run", "--budget-scale", "-1"], "must be a positive number"),
    (["run", "--budget-scale", "x"], "--budget-scale"),
    (["run", "--workers", "0"], "--workers"),
    (["run", "--lockstep", "0"], "--lockstep"),
    (["run", "--lockstep", "many"], "--lockstep"),
    (["run", "--executor", "rai"], "did you mean 'ray'"),
    (["run", "--backend", "lop"], "did you mean 'loop'"),
    (["run", "--precision", "fp16"], "unknown precision"),
    (["run", "--device", "tpu"], "--device: 'tpu'"),
    (["run", "--device", "cuda:99"], "is not there; this machine has"),
    (["run", "--device", "mps"], "device 'mps' is not there"),
    (["run", "--address", "127.0.0.1:1"], "nothing answers at 127.0.0.1:1"),
    (["run", "--address", "auto"], "Ray could not be reached at auto"),
    (["run", "--plugin", "none.py"], "plug-in 'none.py' cannot be read"),
    (["run", "--out", "/proc/none"], "cannot be written"),
    (["run", "--suite", "paper-table1", "--scenarios", "cifar10*n50*"], "cifar10"),
    (["run", "--nonsense"], "--nonsense"),
    (["leaderboard", "--suite", "quick"], "no runs in"),
    (["leaderboard", "--format", "png"], "unknown format"),
    (["check", "fedavgg"], "did you mean 'fedavg'"),
    (["list", "method"], "did you mean 'methods'"),
    (["data", "verify", "mnist"], "does not exist"),
    (["data", "prepare", "mnst"], "did you mean 'mnist'"),
    (["nonsense"], "nonsense"),
]


@pytest.mark.parametrize(("arguments", "message"), REFUSALS, ids=lambda a: " ".join(a) if isinstance(a, list) else "")
def test_wrong_requests_are_one_line_status_2_and_write_nothing(cli, tmp_path, arguments, message, monkeypatch):
    def no_network(*args, **kwargs):
        raise OSError("network is unreachable")

    if "auto" in arguments and ray_is_running():
        pytest.skip("a Ray cluster is running on this machine, and auto would find it")
    monkeypatch.setattr("urllib.request.urlopen", no_network)
    assert_refused(cli, tmp_path, message, *arguments)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("classes = 2", "classes = 4", "4 classes per client, but the data set has 3"),
        ("clients = 6", "clients = 600", "clients=600: use fewer clients, at most 36"),
        ('"synthetic:classes=3,n=180"', '"sinthetic"', "did you mean 'synthetic'"),
        ('"mlp"', '"mpl"', "did you mean 'mlp'"),
        ('"mlp"', '"lenet"', "does not fit images of shape (1, 8, 8)"),
        ('rule = "classes"', 'rule = "class"', "did you mean 'classes'"),
        ("visits = 20", "visits = 0", "visits=0 must be greater than 0"),
        ("visits = 20", 'visits = "many"', "visits='many'"),
    ],
)
def test_wrong_scenarios(cli, tmp_path, old, new, message):
    suite = tmp_path / "s.toml"
    suite.write_text(SUITE.replace(old, new))
    assert_refused(cli, tmp_path, message, "run", "--suite", str(suite), "--executor", "serial")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def broken(:", "could not be loaded, line 1"),
        (Path(FEDMEDIAN).read_text().replace("fedmedian", "fedavg"), "'fedavg' is already registered"),
    ],
)
def test_bad_plugins(cli, tmp_path, text, message):
    (tmp_path / "p.py").write_text(text)
    assert_refused(cli, tmp_path, message, "run", "--plugin", str(tmp_path / "p.py"))


def test_download_without_network(cli, tmp_path, monkeypatch):
    def fetch(name, folder):
        raise OSError("network is unreachable")

    from pfl_bench.datasets import mnist

    monkeypatch.setattr(mnist, "fetch_images", fetch)
    assert_refused(cli, tmp_path, "mnist: download failed (OSError: network is unreachable)", "data", "prepare",
                   "mnist", "--data-dir", str(tmp_path / "data"))  # fmt: skip


def test_prepare_and_verify(cli, tmp_path):
    rng = np.random.default_rng(0)
    arrays = {
        "train_images": rng.integers(0, 255, (40, 28, 28), dtype=np.uint8),
        "train_labels": np.arange(40) % 10,
        "test_images": rng.integers(0, 255, (20, 28, 28), dtype=np.uint8),
        "test_labels": np.arange(20) % 10,
    }
    write_npz(tmp_path / "mnist.npz", arrays)
    status, out, _ = cli("data", "prepare", "mnist", "--data-dir", str(tmp_path))
    assert status == 0 and "40 train and 20 test samples" in out
    assert cli("data", "verify", "mnist", "--data-dir", str(tmp_path))[0] == 0
    write_npz(tmp_path / "mnist.npz", arrays | {"train_labels": (np.arange(40) + 1) % 10})
    assert_refused(cli, tmp_path, "mnist: SHA-256 is", "data", "verify", "mnist", "--data-dir", str(tmp_path))


def drive(tiny: str, folder: Path, *arguments: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "pfl_bench", "run", "--suite", tiny, "--executor", "serial", *arguments]
    return subprocess.Popen(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # A test run started in the background of a shell ignores Ctrl-C, and its children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def wait_for(condition, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


ENDINGS = {"KILL": (-9, ""), "INT INT": (130, "Interrupted:"), "TERM": (143, "Stopped by SIGTERM:")}


@pytest.mark.parametrize("how", ENDINGS)
def test_killed_and_interrupted_drivers_go_on(cli, tiny, tmp_path, how):
    """After any of these the next run repeats no finished run and ends with the undisturbed leaderboard."""
    Path(tiny).write_text(SUITE.replace("visits = 20", "visits = 300"))
    ledger = tmp_path / "results" / "tiny" / "runs"
    driver = drive(tiny, tmp_path)
    wait_for(lambda: len(list(ledger.glob("fed*"))) >= 1)
    for name in how.split():
        driver.send_signal(getattr(signal, f"SIG{name}"))
        time.sleep(0.03)
    output, _ = driver.communicate(timeout=60)
    status, said = ENDINGS[how]
    assert driver.returncode == status and said in output and "Traceback" not in output
    if how != "KILL":
        begun = list(ledger.glob("*/checkpoint.bin"))  # of those in lock-step; none if they just ended
        assert f"{len(begun)} more have a checkpoint. The same command goes on from there." in output
        assert all(json.loads((one.parent / "run.json").read_text())["status"] == "unfinished" for one in begun)
    there = [p for p in ledger.glob("fed*") if not (p / "checkpoint.bin").exists()]
    finished = {p.name: (p / "run.json").stat().st_mtime_ns for p in there}
    assert 1 <= len(finished) < 4
    status, _, _ = run_tiny(cli, tiny)
    assert status == 0
    assert all((ledger / name / "run.json").stat().st_mtime_ns == stamp for name, stamp in finished.items())
    undisturbed = tmp_path / "undisturbed"
    assert run_tiny(cli, tiny, "--out", str(undisturbed))[0] == 0
    untimed = ["run_id", "accuracy", "worst_decile", "last_accuracy", "bytes_up", "local_steps"]
    mended, whole = (read_runs(out / "tiny")[untimed] for out in (tmp_path / "results", undisturbed))
    assert mended.equals(whole)


def test_a_signal_while_the_program_is_loaded_is_told_in_one_line(tiny, tmp_path):
    driver = drive(tiny, tmp_path)
    time.sleep(0.3)
    driver.send_signal(signal.SIGTERM)
    output, _ = driver.communicate(timeout=60)
    if driver.returncode != -signal.SIGTERM:  # before Python had loaded a line of ours
        assert driver.returncode == 143 and output.strip() == "Stopped by SIGTERM; the same command starts again"


@pytest.mark.parametrize("what", ["results", "results/tiny", "results/tiny/runs", "one run"])
def test_what_is_deleted_meanwhile_is_missed(cli, tiny, tmp_path, monkeypatch, what):
    """In version 1 the exit status was 0, with runs missing."""
    listen, ended = RunProgress.listen, []

    def delete(self, run, event):
        listen(self, run, event)
        if isinstance(event, RunResult):
            ended.append(run.id)
            if len(ended) == 3:
                shutil.rmtree(tmp_path / (f"results/tiny/runs/{ended[0]}" if what == "one run" else what))

    with monkeypatch.context() as patch:
        patch.setattr(RunProgress, "listen", delete)
        status, out, _ = run_tiny(cli, tiny)
    gone = ended[:1] if what == "one run" else ended[:2]
    assert status == 1 and f"Missing: {', '.join(gone)}: finished, but not in" in out
    status, out, _ = run_tiny(cli, tiny)
    assert status == 0 and f"{4 - len(gone)} of 4 runs were finished before" in out
    assert len(read_runs(tmp_path / "results/tiny")) == 4 and any((tmp_path / "results/tiny/partitions").iterdir())


def test_a_second_driver_shares_the_work_and_takes_over_what_a_killed_one_leaves(cli, tiny, tmp_path):
    """What the first one has, the second one leaves to it; killed, it leaves it to whoever comes next."""
    Path(tiny).write_text(SUITE.replace("visits = 20", "visits = 2000"))
    driver, folder = drive(tiny, tmp_path, "--lockstep", "1"), tmp_path / "results" / "tiny"
    try:
        wait_for(lambda: list(folder.glob(".holds/*")))
        status, out, _ = run_tiny(cli, tiny, "--no-wait", "--lockstep", "1", "--seeds", "0")
        assert status == 0 and (
            "computed by other drivers" in out or "Other drivers are still computing fedavg-s0" in out
        )
        assert "fedper-s0" in out
    finally:
        driver.kill()
        driver.communicate()
    assert run_tiny(cli, tiny, "--lockstep", "1")[0] == 0
    assert len(read_runs(folder)) == 4 and not (folder / ".holds").exists()


def test_ray_and_serial_write_the_same_results(cli, tiny, tmp_path):
    assert cli("run", "--suite", tiny, "--workers", "2", "--out", "by-ray")[0] == 0
    assert run_tiny(cli, tiny, "--out", "by-hand")[0] == 0
    columns = ["run_id", "accuracy", "loss", "worst_decile", "validation_accuracy", "last_accuracy"]
    by_ray, by_hand = (read_runs(tmp_path / f"by-{how}" / "tiny")[columns] for how in ("ray", "hand"))
    assert by_ray.equals(by_hand)


def test_no_arguments_show_help(cli):
    status, out, err = cli()
    assert "run" in out + err and status in (0, 2)


def test_tests_read_nothing_of_the_users_data():
    assert os.environ["PFL_BENCH_DATA"].startswith("/nonexistent")


def test_whatever_a_method_says_of_its_failure_costs_no_other_run(cli, tiny, tmp_path, clean_registries):
    (tmp_path / "says.py").write_text("""
from pfl_bench.api import LocalSgdConfig, UnsuitedError, register_method
from pfl_bench.methods.fedavg import FedAvg

for name, error in (("surrogate", ValueError("caf\\udce9")), ("lengthy", UnsuitedError("x" * 10_000_000))):
    def init(self, fed, error=error):
        raise error
    register_method(name, paper="none")(type(name, (FedAvg,), {"init": init, "Config": LocalSgdConfig}))
""")
    words = ("--methods", "surrogate,lengthy,fedavg", "--seeds", "0", "--plugin", str(tmp_path / "says.py"))
    assert run_tiny(cli, tiny, *words)[0] == 1
    runs = read_runs(tmp_path / "results" / "tiny").set_index("method")
    assert runs["status"].to_dict() == {"surrogate": "failed", "lengthy": "skipped", "fedavg": "finished"}
    assert len(runs["reason"]["lengthy"]) < 400
    assert "2 of 3 runs were finished before" in run_tiny(cli, tiny, *words)[1]


def test_a_working_directory_that_is_gone_is_one_line(cli, tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    status, _, err = cli("list", "methods")
    assert status == 2 and err == "error: the working directory is not there any more; change to one that is\n"


def test_a_folder_whose_name_is_no_text_is_written(cli, tiny, tmp_path):
    status, _, err = run_tiny(cli, tiny, "--seeds", "0", "--methods", "fedavg", "--out", str(tmp_path / "o\udce9"))
    assert status == 0, err
    assert (tmp_path / "o\udce9" / "tiny" / "leaderboard.csv").exists()


def test_a_default_that_is_another_one_each_time_is_refused(cli, tiny, tmp_path, clean_registries):
    (tmp_path / "dice.py").write_text("""
import random
from pydantic import Field
from pfl_bench.api import LocalSgdConfig, register_method
from pfl_bench.methods.fedavg import FedAvg

@register_method("dice", paper="none")
class Dice(FedAvg):
    class Config(LocalSgdConfig):
        start: float = Field(default_factory=random.random)
""")
    status, _, err = run_tiny(cli, tiny, "--methods", "dice", "--plugin", str(tmp_path / "dice.py"))
    assert status == 2 and "the default of start is another one each time" in err and err.count("\n") == 1


def test_tables_that_are_there_are_renewed_with_the_runs(cli, tiny, tmp_path):
    run_tiny(cli, tiny, "--seeds", "0", "--methods", "fedavg")
    cli("leaderboard", "--suite", "tiny", "--format", "md,html")
    run_tiny(cli, tiny, "--seeds", "0", "--methods", "fedavg,local")
    folder = tmp_path / "results" / "tiny"
    assert all("local" in (folder / f"leaderboard.{name}").read_text() for name in ("csv", "md", "html"))
    assert not (folder / "leaderboard.tex").exists()


def test_a_cell_that_is_gone_is_no_success(cli, tiny, tmp_path):
    run_tiny(cli, tiny, "--seeds", "0-2", "--methods", "fedavg,local", "--out", "a")
    run_tiny(cli, tiny, "--seeds", "0-2", "--methods", "fedavg", "--out", "b")
    status, out, _ = cli("compare", "a/tiny", "b/tiny")
    assert status == 1 and "0 of 2 cells got worse; 1 are gone" in out
    assert cli("compare", "b/tiny", "a/tiny")[0] == 0, "a new one is none"


def test_a_suite_of_ones_own_is_not_called_as_one_that_ships(cli, tiny):
    path = Path(tiny)
    path.write_text(path.read_text().replace('name = "tiny"', 'name = "quick"'))
    status, _, err = run_tiny(cli, tiny)
    assert status == 2 and "the name 'quick' is that of a suite that ships with the package" in err
