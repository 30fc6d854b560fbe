"""Which sources give the same numbers, and so which runs were computed by the same code.

A run records the SHA-256 of every file that decides its numbers (``sources``). Of the files that the package ships,
``lineage.toml`` lists the hashes that are known to give one and the same numbers: a docstring or a rewrite does not
part runs. Imports neither torch nor ray.
"""

import hashlib
import json
import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources

from .record import Record

ROLES = {
    "method": "the method's source",
    "method helper": "a helper of the method",
    "model": "the client model's source",
    "model helper": "a helper of the client model",
    "rule": "the partition rule's source",
    "rule helper": "a helper of the partition rule",
    "shift": "the shift's source",
    "shift helper": "a helper of the shift",
    "dataset": "the data source's source",
    "dataset helper": "a helper of the data source",
}
"""What the part before the colon of a source's key means, as in ``method:methods/fedavg.py``."""


@cache
def vouched() -> Mapping[str, frozenset[str]]:
    """Per shipped file the hashes that give the same numbers."""
    text = resources.files("pfl_bench.results").joinpath("lineage.toml").read_text(encoding="utf-8")
    return {file: frozenset(hashes) for file, hashes in tomllib.loads(text)["files"].items()}


def is_vouched(file: str, sha256: str) -> bool:
    """Whether this text of a shipped file gives the shipped numbers."""
    return sha256 in vouched().get(file, frozenset())


def code_identity(run: Record, *owners: str) -> str:
    """What code computed a run: "" for what the package ships, else a digest of what is another's.

    ``owners``: of which roles, their helpers included (``method``, ``model``, ...); of all by default.
    """
    others = sorted(_others(sources_of_record(run)))
    if owners:
        others = [(role, sha256) for role, sha256 in others if role.split(" ")[0] in owners]
    return hashlib.sha256(json.dumps(others).encode()).hexdigest()[:12] if others else ""


def sources_of_record(run: Record) -> dict[str, str]:
    """``sources``. Runs of version 1 recorded their method's file alone; what else they used was shipped."""
    if run.sources or not run.method_source_sha256:
        return dict(run.sources)
    return {f"method:methods/{run.method}.py": run.method_source_sha256}


def differences(run: Record, present: Mapping[str, str]) -> list[str]:
    """In words, which sources of a recorded run may give other numbers than the present ones; none if none.

    A source that could not be read (its hash is "") may always do so.
    """
    before, since = _others(sources_of_record(run)), _others(present)
    differing = {key: file for a, b in ((before, since), (since, before)) for key, file in a.items() if key not in b}
    differing |= {(role, sha256): file for (role, sha256), file in since.items() if not sha256}
    files: dict[str, set[str]] = {}
    for (role, _), file in differing.items():
        files.setdefault(role, set()).add(file)
    # Of a plug-in that version 1 recorded as methods/NAME.py, the present name of the file is enough.
    return [f"{ROLES.get(role, role)} ({_named(files[role], present)})" for role in _ordered(files)]


def _others(sources: Mapping[str, str]) -> dict[tuple[str, str], str]:
    """What nobody has vouched for: the file by role and hash. A file that was only renamed is the same."""
    split = {key: key.partition(":") for key in sources}
    return {
        (role, sources[key]): file for key, (role, _, file) in split.items() if not is_vouched(file, sources[key])
    }  # fmt: skip


def _named(files: set[str], present: Mapping[str, str]) -> str:
    here = {key.partition(":")[2] for key in present}
    return ", ".join(sorted(files & here or files))


def _ordered(roles: Iterable[str]) -> list[str]:
    known = list(ROLES)
    return sorted(roles, key=lambda role: (known.index(role) if role in known else len(known), role))
