"""What is refused, in one line, and writes nothing."""

from pathlib import Path

import numpy as np
import pytest

from pfl_bench.data.store import write_npz
from tests.pfl_bench.cli.tiny import FEDMEDIAN, SUITE, assert_refused, run_tiny


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
    (["run", "--budget-scale", "1e-300"], "--budget-scale: 1e-300 times 300 client visits is less than one"),
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
    (["run", "quick"], "'run' is told by an option: --suite, --methods"),
    (["leaderboard", "quick"], "'leaderboard' is told by an option: --suite"),
    (["tune", "--suite", "quick"], "'tune' takes it without an option: tune SUITE..."),
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


def test_a_working_directory_that_is_gone_is_one_line(cli, tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    status, _, err = cli("list", "methods")
    assert status == 2 and err == "error: the working directory is not there any more; change to one that is\n"


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


def test_a_suite_of_ones_own_is_not_called_as_one_that_ships(cli, tiny):
    path = Path(tiny)
    path.write_text(path.read_text().replace('name = "tiny"', 'name = "quick"'))
    status, _, err = run_tiny(cli, tiny)
    assert status == 2 and "the name 'quick' is that of a suite that ships with the package" in err
