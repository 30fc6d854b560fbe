"""Dependency directions and sizes that the design fixes."""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import SLOW

ROOT = Path(__file__).parent.parent

FOUNDATION = {"commands", "errors", "files", "global_state", "metrics", "registry", "seeds", "tallies", "text"}
SHELVES = ("methods", "datasets", "partitions", "shifts", "models")
MAY_IMPORT = {
    "text": set(),
    "errors": {"text"},
    "files": {"errors"},
    "commands": {"errors", "files", "text"},
    "metrics": {"tallies"},
    "tallies": set(),
    "seeds": set(),
    "parameters": set(),
    "shelves": {"errors", "parameters"},
    "global_state": set(),
    "patches": set(),
    "trial": {"errors"},
    "registry": {"errors", "files", "global_state", "shelves", "patches", "trial"},
    "spec": {"errors", "files", "metrics", "registry"},
    "data": FOUNDATION | {"spec"},
    "client": FOUNDATION | {"spec", "data"},
    "engine": FOUNDATION | {"spec", "data", "client"},
    "results": {"commands", "errors", "files", "metrics", "spec", "text"},
    "running": FOUNDATION | {"spec", "data", "client", "engine", "results"},
    "testing": FOUNDATION | {"api", "spec", "data", "client", "engine", "results", "running", "parameters"},
    "website": {"errors", "files", "registry", "results", "spec", "text"},
    "actions": FOUNDATION | {"spec", "data", "client", "engine", "results", "running", "website"},
    "cli": FOUNDATION | {"actions", "spec", "data", "engine", "results", "running", "testing", "shelves", "parameters"},
    "api": FOUNDATION | {"spec", "data", "client", "engine"},
    **{shelf: {"api"} for shelf in SHELVES},
    "__main__": {"cli"},
    "front": {"actions", "cli", "engine", "errors", "files", "front_splits", "results", "running"},
    "front_splits": {"data", "engine", "files", "spec"},
    "": {"front"},
}
"""What each room, or module beside the rooms, may import of the package besides itself, late imports included."""

WITHOUT_TORCH = (
    "spec", "results", "website", "registry", "front", "front_splits", "commands", "files", "actions.request",
    "actions.settings",
    "actions.site", "actions.tune_request", "actions.words", "cli.app", "cli.groups", "cli.options", "cli.list",
    "cli.leaderboard", "cli.compare", "cli.check", "cli.data", "cli.analyse", "cli.results", "cli.doors",
    "cli.imports", "cli.publishing", "cli.site",
)  # fmt: skip
"""Rooms and modules that load neither torch nor ray, nor anything that does. (What they import late does not count.)"""


def module_of(path: Path) -> str:
    """``methods/`` and ``datasets/`` are imported from below ``pfl_bench``."""
    parts = [part for part in path.relative_to(ROOT).with_suffix("").parts if part != "pfl_bench"]
    return ".".join(["pfl_bench", *(parts[:-1] if parts[-1] == "__init__" else parts)])


MODULES = {
    module_of(path): path
    for folder in ("pfl_bench", "methods", "datasets")
    for path in sorted((ROOT / folder).rglob("*.py"))
}


def room_of(module: str) -> str:
    """The room of a module of the package, or the name of one beside the rooms; empty for the package itself."""
    return module.removeprefix("pfl_bench").lstrip(".").split(".")[0]


def when_loaded(node: ast.AST) -> Iterator[ast.AST]:
    """What runs when a module is loaded: no function's body, nothing that is there for the type checker only."""
    for child in ast.iter_child_nodes(node):
        for_types = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
        if not for_types and not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield child
            yield from when_loaded(child)


def imports(module: str, *, loading: bool = False) -> set[str]:
    """Absolute names of the modules that a module imports anywhere, or only when it is loaded."""
    path = MODULES[module]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    found: set[str] = set()
    for node in when_loaded(tree) if loading else ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            named = {f"{base}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else base for name in named}
    return found


def loads(module: str) -> set[str]:
    """Everything that loading a module loads as far as the package's own files say, with the packages above it."""
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += [name.rpartition(".")[0]] if "." in name else []
            waiting += imports(name, loading=True) if name in MODULES else []
    return seen


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_in_the_directions_of_the_design(module):
    room = room_of(module)
    others = {room_of(name) for name in imports(module) if name.split(".")[0] == "pfl_bench"} - {room, ""}
    assert others <= MAY_IMPORT[room]


@pytest.mark.parametrize("start", WITHOUT_TORCH)
def test_who_judges_and_who_refuses_loads_neither_torch_nor_ray(start):
    whole = f"pfl_bench.{start}"
    inside = [name for name in MODULES if name == whole or name.startswith(f"{whole}.")]
    assert inside
    assert {m: heavy for m in inside if (heavy := {n for n in loads(m) if n.split(".")[0] in ("torch", "ray")})} == {}


def test_the_readmes_method_is_the_one_that_is_tested():
    plugin = (ROOT / "tests" / "plugins" / "fedmedian.py").read_text()
    assert plugin[plugin.index("@register_method") :].strip() in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("package", ["torchvision", "ray"])
def test_heavy_packages_that_not_everybody_needs_are_imported_by_name_and_late(package):
    assert not any(name.split(".")[0] == package for module in MODULES for name in imports(module))


def test_torchvision_is_named_in_one_place_for_data_and_one_for_models():
    imported = 'import_module("torchvision'
    named = [module for module, path in MODULES.items() if imported in path.read_text(encoding="utf-8")]
    assert sorted(named) == ["pfl_bench.datasets._torchvision", "pfl_bench.models.torchvision_zoo"]


@pytest.mark.parametrize("path", sorted((ROOT / "methods").glob("*.py")), ids=lambda p: p.name)
def test_a_method_is_one_short_file(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 150


@pytest.mark.parametrize("module", MODULES)
def test_modules_stay_readable(module):
    assert len(MODULES[module].read_text(encoding="utf-8").splitlines()) <= 250, "split it: one idea per module"


def test_what_the_smoke_tier_leaves_out_is_there():
    assert [name for name in sorted(SLOW) if not (ROOT / "tests" / name).exists()] == []


def test_the_wheel_has_every_package():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["packages"]
    found = {".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "pfl_bench").rglob("__init__.py")}
    assert set(listed) == found | {"pfl_bench.methods", "pfl_bench.datasets"}
