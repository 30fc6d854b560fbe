"""Shared fixtures. Tests never need the network, a GPU or a prepared data folder."""

import importlib
import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("same-every-time", derandomize=True)  # a suite that fails once in a while is not believed
settings.load_profile("same-every-time")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # as a worker computes; tiny tensors on many threads wait for each other
os.environ.setdefault("RAY_worker_niceness", "0")  # Ray's 15 lets its workers starve beside the other tests
os.environ["PFL_BENCH_DATA"] = "/nonexistent/pfl-bench-tests"  # nothing may be read from the user's data


SLOW = {
    "benchmarks",
    "examples/test_own.py",
    "methods/test_conformance.py",
    "pfl_bench/cli/test_app.py",
    "pfl_bench/cli/test_failures.py",
    "pfl_bench/cli/test_interrupted.py",
    "pfl_bench/cli/test_own_methods.py",
    "pfl_bench/cli/test_refused.py",
    "pfl_bench/engine/test_enrollment.py",
    "pfl_bench/models/test_checked.py",
    "pfl_bench/results/report/test_browser.py",
    "pfl_bench/results/statistics/test_paired.py",
    "pfl_bench/results/test_comparison.py",
    "pfl_bench/running/test_executors.py",
    "pfl_bench/running/test_ray.py",
    "pfl_bench/running/test_own_files.py",
    "pfl_bench/running/test_reuse.py",
    "pfl_bench/running/tuning",
    "pfl_bench/test_front.py",
    "pfl_bench/testing/test_checks.py",
    "pfl_bench/testing/test_model_checks.py",
    "pfl_bench/testing/test_submission.py",
    "pfl_bench/testing/test_unfair.py",
    "pfl_bench/website/test_browser.py",
    "test_docs.py",
    "test_fuzz_requests.py",
    "test_platforms.py",
    "test_tutorials.py",
    "test_wheel.py",
}
"""Files and folders that ``make smoke`` leaves out."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of those files as slow."""
    root = Path(__file__).parent
    for item in items:
        path = item.path.relative_to(root) if item.path.is_relative_to(root) else item.path
        if SLOW.intersection(map(str, (path, *path.parents))):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def clean_registries():
    """Plug-ins that a test registers are gone after it."""
    import sys

    from pfl_bench.registry import ALL

    for registry in ALL:
        registry.discover()
    before = [(dict(registry._entries), dict(registry.broken)) for registry in ALL]
    modules = set(sys.modules)
    yield
    for registry, (entries, broken) in zip(ALL, before, strict=True):
        registry._entries, registry.broken = entries, broken
    for name in set(sys.modules) - modules:
        if name.startswith("pfl_bench_plugin_"):
            del sys.modules[name]


@pytest.fixture
def fresh_plugins():
    """Forget plug-ins, and helper modules by name, as a new process would have."""
    import sys

    from pfl_bench.registry import ALL

    before = [dict(registry._entries) for registry in ALL]

    importlib.invalidate_caches()

    def forget(*helpers: str) -> None:
        importlib.invalidate_caches()
        for registry, entries in zip(ALL, before, strict=True):
            registry._entries = dict(entries)
        for name in list(sys.modules):
            if name.startswith("pfl_bench_plugin_") or name in helpers:
                del sys.modules[name]

    path = list(sys.path)
    yield forget
    sys.path[:] = path


@pytest.fixture
def cli(capsys, tmp_path, monkeypatch):
    """Run the command line in an empty folder; returns (status, stdout, stderr)."""
    from pfl_bench.cli.app import run_command_line

    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        status = run_command_line(list(arguments))
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


@pytest.fixture
def first_checks_only(monkeypatch):
    """The kits are tested elsewhere, and examples in tests/examples."""
    import pfl_bench.testing
    from pfl_bench.testing import submission

    monkeypatch.setattr(pfl_bench.testing, "CHECKS", pfl_bench.testing.CHECKS[:1])
    monkeypatch.setattr(pfl_bench.testing, "MODEL_CHECKS", pfl_bench.testing.MODEL_CHECKS[:1])
    monkeypatch.setattr(submission, "CHECKS", submission.CHECKS[:1])


PLUGINS = Path(__file__).parent / "plugins"
