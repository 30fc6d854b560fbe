"""What a method's text says: a scan for what no entrant needs and every cheat does.

A fence, not a prison: it keeps authors honest and shows readers where to look; the other checks watch what runs.
"""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pfl_bench.api
from pfl_bench.engine.federation import Federation
from pfl_bench.registry import METHODS, Plugin


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


STANDARD = _words(
    "__future__ abc bisect collections collections.abc contextlib copy dataclasses enum fractions functools heapq "
    "itertools logging math numbers operator re statistics string typing typing_extensions warnings"
)
LIBRARIES = frozenset({"torch", "numpy", "scipy", "sklearn", "pydantic"})
BY_HAND = frozenset({"load_dataset", "make_partition", "read_npz", "stored_arrays"})
"""Parts of the public interface that are for data sets: with them a method could fetch the test data itself."""

BUILTINS = _words(
    "getattr setattr delattr vars dir globals locals eval exec compile open __import__ __builtins__ breakpoint input"
)
MODEL_PARTS = frozenset({"module", "training_module", "factory", "evaluating", "computing"})
"""Of a client model: with them it could be run, and trained, without being counted."""

FRAMES = frozenset({"tb_frame", "f_back", "f_locals", "f_globals", "gi_frame", "host_labels"})
OUTSIDE = _words(
    "sys os gc io inspect builtins ctypes ctypeslib types importlib subprocess pickle threading socket pathlib weakref "
    "random_device hub overrides serialization multiprocessing distributed library datasets "
    "load save fromfile from_file tofile memmap open_memmap loadtxt genfromtxt savetxt savez savez_compressed "
    "attrgetter methodcaller cache lru_cache saved_tensors_hooks"
)
"""Of allowed modules: files, frames, other modules, what looks into running code, what keeps values between runs."""

OWN_DUNDERS = frozenset({"__class__", "__name__", "__qualname__", "__doc__", "__init__", "__post_init__", "__call__"})
PRIVATE = frozenset(name for name in dir(Federation) if name.startswith("_") and not name.startswith("__"))


@dataclass(frozen=True)
class Finding:
    """Something that an entrant must not do, and where."""

    file: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"line {self.line} of {self.file} {self.what}"


def findings(method: str, plugins: tuple[Plugin, ...] = ()) -> list[Finding]:
    """What is wrong with the source of a method and of its helper files. OSError if there is no source to read."""
    found: list[Finding] = []
    for file, text, module in sources(METHODS.get(method).__module__, plugins):
        found += scan(text, file, module)
    return found


def sources(module: str, plugins: tuple[Plugin, ...] = ()) -> Iterator[tuple[str, str, str]]:
    """File name, text and module name of a module and of the modules beside it that it imports."""
    texts = {plugin.module_name: plugin.source for plugin in plugins}
    ahead, seen = [module], {module}
    while ahead:
        name = ahead.pop()
        path = Path(getattr(sys.modules[name], "__file__", None) or "?")
        text = texts[name] if name in texts else path.read_text(encoding="utf-8")
        yield path.name, text, name
        for other in siblings(ast.parse(text), name):
            if other not in seen and other in sys.modules:
                seen.add(other)
                ahead.append(other)


def siblings(tree: ast.Module, module: str) -> Iterator[str]:
    """Names of the modules that a module imports from its own package."""
    package = module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and _is_sibling(node, module):
            base = package.split(".")[: len(package.split(".")) - max(0, node.level - 1)] if node.level else []
            start = ".".join([*base, *([node.module] if node.module else [])])
            yield from (start, *(f"{start}.{alias.name}" for alias in node.names))


def _is_sibling(node: ast.ImportFrom, module: str) -> bool:
    """Relative, from the shelf of methods, or absolute from a distribution of its own."""
    top = module.split(".")[0]
    shelf = (node.module or "").split(".")[:2] == ["pfl_bench", "methods"]
    return node.level > 0 or shelf or (top not in ("pfl_bench", module) and (node.module or "").split(".")[0] == top)


def scan(text: str, file: str, module: str = "") -> list[Finding]:
    """What is wrong with one file, in the order of its lines."""
    scanner = _Scanner(file, module)
    scanner.visit(ast.parse(text))
    return sorted(set(scanner.found), key=lambda finding: finding.line)


@dataclass
class _Scanner(ast.NodeVisitor):
    file: str
    module: str
    found: list[Finding] = field(default_factory=list)
    imported: set[str] = field(default_factory=set)

    def _note(self, node: ast.AST, what: str) -> None:
        self.found.append(Finding(self.file, getattr(node, "lineno", 0), what))

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self.imported.add((alias.asname or alias.name).split(".")[0])
            if not _allowed(alias.name):
                self._note(node, f"imports {alias.name}; {_advice(alias.name)}")

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        name = node.module or ""
        if _is_sibling(node, self.module):
            return
        self.imported |= {alias.asname or alias.name for alias in node.names}
        if name != "pfl_bench.api" and not _allowed(name):
            self._note(node, f"imports {name}; {_advice(name)}")
            return
        for alias in node.names:
            whole = f"{name}.{alias.name}"
            if name == "pfl_bench.api" and alias.name in BY_HAND:
                self._note(node, f"imports {alias.name}: data reach a method through fed.train and fed.compute only")
            elif name == "pfl_bench.api" and alias.name not in pfl_bench.api.__all__:
                self._note(node, f"imports {whole}, which is no part of the public interface")
            elif alias.name == "*" or alias.name.startswith("_") or alias.name in OUTSIDE:
                self._note(node, f"imports {whole}; {_advice(alias.name)}")

    def visit_Name(self, node: ast.Name) -> None:
        if node.id in BUILTINS and isinstance(node.ctx, ast.Load):
            self._note(node, f"uses {node.id}, which no method needs")

    def visit_Global(self, node: ast.Global) -> None:
        self._note(node, f"keeps {', '.join(node.names)} in a global of its module; what lasts belongs in the state")

    def visit_MatchClass(self, node: ast.MatchClass) -> None:
        for name in node.kwd_attrs:
            if name.startswith("_"):
                self._note(node, f"reaches {name}, which is private")
        self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        whole, name = ast.unparse(node), node.attr
        if name in PRIVATE:
            self._note(node, f"reaches {whole}, a private part of the federation")
        elif name.startswith("_") and not _own(node):
            self._note(node, f"reaches {whole}, which is private")
        elif name in FRAMES or (name in OUTSIDE and _root(node) in self.imported):
            self._note(node, f"reaches {whole}; {_advice(name)}")
        elif name in MODEL_PARTS and not _on_self(node):
            self._note(node, f"reaches {whole}: a client model is applied by net, inside fed.train and fed.compute")
        if isinstance(node.ctx, ast.Store | ast.Del) and _root(node) in self.imported:
            self._note(node, f"changes {whole}, which is not its own")
        self.generic_visit(node)


def _allowed(name: str) -> bool:
    if name in STANDARD:
        return True
    parts = name.split(".")
    return parts[0] in LIBRARIES and not any(part.startswith("_") or part in OUTSIDE for part in parts[1:])


def _advice(name: str) -> str:
    if name.split(".")[0] == "random":
        return "random numbers come from fed.generator"
    if name.split(".")[0] == "pfl_bench":
        return "methods import from pfl_bench.api only"
    if name in ("cache", "lru_cache"):
        return "it keeps values from run to run"
    return "a method needs torch, numpy, scipy, sklearn, pydantic and the harmless part of the standard library"


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def _on_self(node: ast.Attribute) -> bool:
    return isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")


def _own(node: ast.Attribute) -> bool:
    """A private name of the object itself, or one of the special names that say what a thing is."""
    dunder = node.attr.startswith("__") and node.attr.endswith("__")
    return node.attr in OWN_DUNDERS if dunder else _on_self(node) or ast.unparse(node.value) == "super()"
