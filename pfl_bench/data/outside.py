"""Optional libraries, imported only where a source needs them."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

from pfl_bench.errors import RequestError, one_line


def outside_package(name: str, extra: str) -> ModuleType:
    """An installed library; RequestError says which extra brings it."""
    before = list(sys.path)
    file = getattr(sys.modules.get(name), "__file__", None)
    if file and _is_checkout(Path(file).parent.parent):
        del sys.modules[name]
    try:
        sys.path[:] = [entry for entry in before if not _is_checkout(Path(entry or "."))]
        return importlib.import_module(name)
    except ImportError as error:
        raise RequestError(f"it needs {name}: pip install 'pfl-bench[{extra}]' ({one_line(error)})") from error
    finally:
        sys.path[:] = before


def _is_checkout(folder: Path) -> bool:
    """Whether a folder is a checkout of ours, whose folder ``datasets`` would hide the library of that name."""
    return (folder / "datasets" / "omniglot.py").is_file()
