"""What Python gives for names, seeds and hyper-parameters, in the words of the command line."""

import json
from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from pfl_bench.errors import RequestError
from pfl_bench.files import expanded

Names = str | Iterable[str] | None
Seeds = str | int | Iterable[int] | None


def as_names(names: Names) -> str | None:
    """Comma-separated; None for what the suite says.

    >>> as_names(["fedavg", "ditto"])
    'fedavg,ditto'
    """
    return names if names is None or isinstance(names, str) else ",".join(map(str, names))


def as_suites(suites: str | PathLike[str] | Iterable[str | PathLike[str]]) -> tuple[str, ...]:
    """One or several.

    >>> as_suites("quick"), as_suites(["quick", Path("my.toml")])
    (('quick',), ('quick', 'my.toml'))
    """
    return (str(suites),) if isinstance(suites, str | PathLike) else tuple(str(suite) for suite in suites)


def as_seeds(seeds: Seeds) -> str | None:
    """Likewise.

    >>> as_seeds(range(3)), as_seeds(7), as_seeds("0-2")
    ('0,1,2', '7', '0-2')
    """
    if seeds is None or isinstance(seeds, str):
        return seeds
    return ",".join(str(seed) for seed in seeds) if isinstance(seeds, Iterable) else str(seeds)


def as_path(path: str | Path | None) -> Path | None:
    """With ``~`` expanded; None stays None.

    >>> as_path("runs"), as_path(None)
    (PosixPath('runs'), None)
    """
    return None if path is None else expanded(path)


def as_paths(paths: str | Path | Iterable[str | Path] | None) -> tuple[Path, ...]:
    """Likewise, of one or several.

    >>> as_paths("a.py"), as_paths(["a.py", "b.py"]), as_paths(None)
    ((PosixPath('a.py'),), (PosixPath('a.py'), PosixPath('b.py')), ())
    """
    return tuple(map(expanded, [paths] if isinstance(paths, str | Path) else paths or ()))


def as_settings(by_method: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    """``METHOD.FIELD=VALUE`` per hyper-parameter. RequestError for a value that JSON does not have.

    >>> as_settings({"fedavg": {"lr": 0.1}})
    ('fedavg.lr=0.1',)
    """
    try:
        return tuple(
            f"{method}.{name}={json.dumps(value)}" for method, own in by_method.items() for name, value in own.items()
        )
    except (TypeError, ValueError, AttributeError) as error:
        raise RequestError(f"settings: {error}; give {{method: {{field: value}}}} with values that JSON has") from error
