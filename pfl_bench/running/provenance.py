"""Where a result comes from: commit, library versions, hardware."""

import importlib.metadata
import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pfl_bench.errors import LONGEST, one_line
from pfl_bench.text import printable, shortened

PACKAGES = (
    "pfl-bench",
    "torch",
    "numpy",
    "pandas",
    "ray",
    "scipy",
    "scikit-learn",
    "safetensors",
    "pydantic",
)


@dataclass(frozen=True)
class Commit:
    """The commit of the source tree, with ``+dirty`` for tracked changes outside results/; "" and why, if unknown."""

    name: str
    unknown_because: str = ""

    def as_record(self) -> dict[str, str]:
        """What ``run.json`` says of it."""
        why = {"git_commit_unknown_because": self.unknown_because} if self.unknown_because else {}
        return {"git_commit": self.name, **why}


@cache
def commit() -> Commit:
    """Which text of the package runs."""
    root = Path(__file__).resolve().parents[2]
    if not (root / "pyproject.toml").exists():
        return Commit("", "the package is installed, not run from a checkout")
    try:
        head = _git(root, "rev-parse", "HEAD")
        changed = _git(root, "status", "--porcelain", "--untracked-files=no", "--", ".", ":!results")
    except subprocess.CalledProcessError as error:
        said = " ".join(str(error.stderr).split())  # "dubious ownership", where another user owns the checkout
        return Commit("", f"git: {shortened(printable(said), LONGEST)}")
    except (OSError, subprocess.TimeoutExpired) as error:
        return Commit("", f"git could not be asked: {one_line(error)}")
    return Commit(head + ("+dirty" if changed else ""))


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True, timeout=20)
    return done.stdout.strip()


@cache
def versions() -> dict[str, str]:
    """Python's and the libraries' versions."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


@cache
def hardware() -> dict[str, Any]:
    """Processor, cores, platform and, once torch is loaded, the GPU."""
    facts: dict[str, Any] = {"cpu": _cpu_name(), "cores": os.cpu_count(), "platform": platform.platform()}
    torch = sys.modules.get("torch")
    if torch is not None:
        facts["cpu_capability"] = torch.backends.cpu.get_cpu_capability()  # such as AVX2: it decides the last bits
    if torch is not None and torch.cuda.is_available():
        facts["gpu"] = torch.cuda.get_device_name()
    return facts


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
