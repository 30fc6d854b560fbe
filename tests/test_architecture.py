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


@pytest.mark.parametrize("path", PLUGGED, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_methods_and_data_sets_use_the_public_api_only(path):
    own = {name for name in imports(path) if name.startswith("pfl_bench")}
    assert own <= {"pfl_bench.api"}


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
    assert len(path.read_text().splitlines()) <= 110


@pytest.mark.parametrize("path", ENGINE, ids=lambda p: str(p.relative_to(ROOT)))
def test_modules_stay_readable(path):
    assert len(path.read_text().splitlines()) <= 330, "split it: one idea per module"
