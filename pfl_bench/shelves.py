"""What a registry's own package offers, read from its files without importing them: torch takes seconds to load."""

import ast
import importlib.metadata
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from .errors import RequestError
from .parameters import Parameter, of_class


class UnreadableError(ValueError):
    """A file has to be imported to know what it registers."""


@dataclass(frozen=True)
class Offer:
    """One registration as it stands in a file: the name and the texts beside it.

    ``attributes``: texts that the registered class, or one that it inherits from, assigns in its body; None where
    a base class is not to be found in the package. ``parameters``: the fields of the class that is registered as its
    ``config``, where the file defines it.
    """

    name: str
    info: Mapping[str, str]
    attributes: Mapping[str, str] | None
    origin: str
    parameters: tuple[Parameter, ...] = ()


def places(package: str) -> list[Path]:
    """The folders of a registry's package.

    RequestError where one of ours comes from another checkout than the rest, as it does where ``PYTHONPATH`` names one
    and the environment has another installed: what runs would then be neither, and a run would name the wrong commit.
    """
    spec = importlib.util.find_spec(package)
    found = [Path(place) for place in (spec.submodule_search_locations or ())] if spec else []
    core = Path(__file__).parent.resolve()  # an installer may link every file by itself
    for place in found if package.startswith("pfl_bench.") else ():
        if place.resolve().parent not in (core, core.parent):
            raise RequestError(
                f"pfl_bench is taken from {core.parent} and {package} from {place}: two checkouts; make an environment "
                "for each (make in it, or pip install -e . there), instead of PYTHONPATH"
            )
    return found


def offers(package: str, decorator: str, group: str) -> list[Offer] | None:
    """Every registration in a package's modules, by name; None where reading is not enough.

    That is where another distribution adds entries of its own (entry points of ``group``), where a module is a folder,
    no Python, or shows no registration, and where a file does anything else with the decorator than to register
    something under a literal name: what is registered some other way must not be taken for missing.
    """
    if importlib.metadata.entry_points(group=group):
        return None
    files: list[tuple[Path, int, int]] = []
    for place in places(package):
        if any(path.is_dir() and (path / "__init__.py").exists() for path in place.glob("[!_]*")):
            return None
        for path in sorted(place.glob("*.py")):
            try:
                stat = path.stat()
            except OSError:
                return None
            files.append((path, stat.st_mtime_ns, stat.st_size))
    found = _in_files(tuple(files), decorator)
    return None if found is None else list(found)


@lru_cache(maxsize=32)
def _in_files(files: tuple[tuple[Path, int, int], ...], decorator: str) -> tuple[Offer, ...] | None:
    """The registrations in files that were last written then and are that large: a command asks several times."""
    found: dict[str, Offer] = {}
    for path, _, _ in files:
        try:
            read = _in_file(path, decorator)
        except (OSError, SyntaxError, ValueError):
            return None
        if bool(read) == path.name.startswith("_") or not found.keys().isdisjoint(read):
            return None  # registered by a helper, or somewhere else, or twice; importing says what there is
        found |= read
    return tuple(found[name] for name in sorted(found))


def _in_file(path: Path, decorator: str) -> dict[str, Offer]:
    """The registrations in a file. UnreadableError where there may be one that cannot be read off."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    read = list(_registrations(tree, decorator))
    if sum(_mentions(node, decorator) for node in ast.walk(tree)) != len(read):
        raise UnreadableError(f"{path}: {decorator} is more than a decorator with a literal name here")
    found = {}
    for call, value in read:
        name = _text(call.args[0]) if len(call.args) == 1 else None
        if name is None or name in found:
            raise UnreadableError(f"{path}: a registration without a literal name of its own")
        try:
            attributes = _attributes(value, tree, path) if isinstance(value, ast.ClassDef) else {}
        except UnreadableError:
            attributes = None
        found[name] = Offer(name, dict(_info(call, tree, path)), attributes, str(path), _parameters(call, tree))
    return found


def _parameters(call: ast.Call, tree: ast.Module) -> tuple[Parameter, ...]:
    """The fields of the class that a registration names as its ``config``."""
    names = [k.value.id for k in call.keywords if k.arg == "config" and isinstance(k.value, ast.Name)]
    return tuple(
        field for node in tree.body if isinstance(node, ast.ClassDef) and node.name in names for field in of_class(node)
    )


def _mentions(node: ast.AST, decorator: str) -> bool:
    """Whether something may be registered here: the decorator, a registry's method, or another name for them."""
    if isinstance(node, ast.Attribute):
        return node.attr in (decorator, "register")
    if isinstance(node, ast.alias):
        return node.name == decorator and node.asname is not None
    return isinstance(node, ast.Name) and node.id == decorator


def _registrations(tree: ast.Module, decorator: str) -> Iterator[tuple[ast.Call, ast.stmt | None]]:
    """Registering calls at the top level, as decorators and as plain calls, and what they register."""
    defined = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            for call in node.decorator_list:
                if isinstance(call, ast.Call) and _mentions(call.func, decorator):
                    yield call, node
        elif isinstance(node, ast.Expr | ast.Assign) and isinstance(node.value, ast.Call):
            call, what = node.value.func, node.value.args
            if isinstance(call, ast.Call) and _mentions(call.func, decorator):
                yield call, defined.get(what[0].id) if what and isinstance(what[0], ast.Name) else None


def _info(call: ast.Call, tree: ast.Module, path: Path) -> Iterator[tuple[str, str]]:
    """The texts among a call's keywords. Names of other things (``config=Classes``) are left out."""
    constants = dict(_assigned(tree.body))
    for keyword in call.keywords:
        if keyword.arg is None or not isinstance(keyword.value, ast.Constant | ast.Name | ast.Tuple):
            raise UnreadableError(f"{path}: a keyword of a registration is not written out")
        value = constants.get(keyword.value.id) if isinstance(keyword.value, ast.Name) else _text(keyword.value)
        if value is not None:
            yield keyword.arg, value


def _attributes(cls: ast.ClassDef, tree: ast.Module, path: Path) -> dict[str, str]:
    """Texts assigned in a class's body or in its bases'; those of the public interface count as having none."""
    inherited: dict[str, str] = {}
    for base in reversed(cls.bases):
        inherited |= _inherited(base.id if isinstance(base, ast.Name) else "", tree, path)
    return inherited | dict(_assigned(cls.body))


def _inherited(name: str, tree: ast.Module, path: Path) -> dict[str, str]:
    """What a class called ``name`` in a file gives to those that inherit from it; it may be a neighbouring file's."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return _attributes(node, tree, path)
        if isinstance(node, ast.ImportFrom):
            original = next((alias.name for alias in node.names if (alias.asname or alias.name) == name), None)
            if original is not None and node.module == "pfl_bench.api":
                return {}
            if original is not None and node.level == 1 and node.module:
                beside = path.with_name(f"{node.module}.py")
                return _inherited(original, ast.parse(beside.read_text(encoding="utf-8")), beside)
    raise UnreadableError(f"{path}: the base class {name!r} is not to be found")


def _assigned(body: Sequence[ast.stmt]) -> Iterator[tuple[str, str]]:
    """Names that are given a literal text."""
    for node in body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        value = _text(node.value) if isinstance(node, ast.Assign | ast.AnnAssign) and node.value else None
        if isinstance(target, ast.Name) and value is not None:
            yield target.id, value


def _text(node: ast.expr) -> str | None:
    """A literal text, or several in a tuple as one, joined by commas (``inputs=("image", "table")``)."""
    if isinstance(node, ast.Tuple):
        parts = [_text(part) for part in node.elts]
        return ",".join(part or "" for part in parts) if parts and None not in parts else None
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
