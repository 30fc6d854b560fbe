"""Dependency directions and sizes that the design fixes."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ENGINE = sorted((ROOT / "pfl_bench").rglob("*.py"))
PLUGGED = sorted([*(ROOT / "methods").glob("*.py"), *(ROOT / "datasets").glob("*.py")])


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add("." * node.level + (node.module or ""))
    return found


def own_imports(path: Path) -> set[str]:
    """Modules of the package that a file imports anywhere, as dotted names without ``pfl_bench.``."""
    relative = path.relative_to(ROOT / "pfl_bench").with_suffix("")
    here = [*relative.parts[:-1]]
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {
                alias.name.removeprefix("pfl_bench.") for alias in node.names if alias.name.startswith("pfl_bench.")
            }
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else []
            if node.level or (node.module or "").split(".")[0] == "pfl_bench":
                module = (node.module or "").removeprefix("pfl_bench").lstrip(".").split(".") if node.module else []
                start = ".".join([*base, *filter(None, module)])
                found |= {start, *(f"{start}.{alias.name}".lstrip(".") for alias in node.names)}
    return found


def rooms(path: Path) -> set[str]:
    return {name.split(".")[0] for name in own_imports(path)} & ROOMS


@pytest.mark.parametrize("path", PLUGGED, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_methods_and_data_sets_use_the_public_api_only(path):
    own = {name for name in imports(path) if name.startswith(("pfl_bench", ".."))}
    assert own <= {"pfl_bench.api"}


ROOMS = {"spec", "data", "client", "engine", "running", "results", "testing", "cli", "models", "partitions"}
BELOW = {
    "spec": set(),
    "data": {"spec"},
    "client": {"spec", "data"},
    "engine": {"spec", "data", "client"},
    "results": {"spec"},
    "running": {"spec", "data", "client", "engine", "results"},
    "testing": {"spec", "data", "client", "engine", "results", "running"},
    "models": {"client"},
    "partitions": {"data"},
    "cli": ROOMS - {"models", "partitions"},
}
"""What each room may import, besides itself and the modules at the top."""


@pytest.mark.parametrize(
    "path", [p for p in ENGINE if p.parent != ROOT / "pfl_bench"], ids=lambda p: str(p.relative_to(ROOT))
)
def test_arrows_go_one_way(path):
    room = path.relative_to(ROOT / "pfl_bench").parts[0]
    assert rooms(path) - {room} <= BELOW[room]


@pytest.mark.parametrize("path", ENGINE, ids=lambda p: str(p.relative_to(ROOT)))
def test_the_engine_names_no_method_and_no_data_set(path):
    for name in imports(path):
        assert "pfl_bench.methods" not in name and "pfl_bench.datasets" not in name
        assert not name.lstrip(".").startswith(("methods", "datasets"))


def test_the_readmes_method_is_the_one_that_is_tested():
    plugin = (ROOT / "tests" / "plugins" / "fedmedian.py").read_text()
    assert plugin[plugin.index("@register_method") :].strip() in (ROOT / "README.md").read_text()


def test_torchvision_is_imported_in_one_place_only():
    assert not any("torchvision" in name for path in ENGINE for name in imports(path))


def test_ray_is_imported_lazily():
    assert not any(name.split(".")[0] == "ray" for path in ENGINE + PLUGGED for name in imports(path))


@pytest.mark.parametrize("path", sorted((ROOT / "methods").glob("*.py")), ids=lambda p: p.name)
def test_a_method_is_one_short_file(path):
    assert len(path.read_text().splitlines()) <= 150


@pytest.mark.parametrize("path", ENGINE, ids=lambda p: str(p.relative_to(ROOT)))
def test_modules_stay_readable(path):
    assert len(path.read_text().splitlines()) <= 250, "split it: one idea per module"
