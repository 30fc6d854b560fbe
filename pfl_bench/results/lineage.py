"""Which sources give the same numbers, and so which runs were computed by the same code.

A run records the SHA-256 of every file that decides its numbers (``sources``). Of the files that the package ships,
``lineage.toml`` lists the hashes that are known to give one and the same numbers: a docstring or a rewrite does not
part runs. Imports neither torch nor ray.
"""

import hashlib
import json
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

ROLES = {"method": "the method's source", "helper": "a helper's source", "model": "the client model's source",
         "rule": "the partition rule's source"}  # fmt: skip
"""What the part before the colon of a source's key means, as in ``method:methods/fedavg.py``."""


@cache
def vouched() -> Mapping[str, frozenset[str]]:
    """Per shipped file the hashes that give the same numbers."""
    text = resources.files("pfl_bench.results").joinpath("lineage.toml").read_text(encoding="utf-8")
    return {file: frozenset(hashes) for file, hashes in tomllib.loads(text)["files"].items()}


def is_vouched(file: str, sha256: str) -> bool:
    """Whether this text of a shipped file gives the shipped numbers."""
    return sha256 in vouched().get(file, frozenset())


def code_identity(record: Mapping[str, Any]) -> str:
    """What code computed a run (``run.json``): "" for what the package ships, else a digest of what is another's.

    Runs of version 1 recorded their method's file alone; what else they used was shipped.
    """
    others = {key: sha256 for key, sha256 in _sources(record).items() if not is_vouched(key.partition(":")[2], sha256)}
    return hashlib.sha256(json.dumps(others, sort_keys=True).encode()).hexdigest()[:12] if others else ""


def _sources(record: Mapping[str, Any]) -> dict[str, str]:
    sources = record.get("sources")
    if isinstance(sources, Mapping):
        return {str(key): str(value) for key, value in sources.items()}
    known = record.get("method_source_sha256")
    return {f"method:methods/{record.get('method')}.py": str(known)} if known else {}


def differences(record: Mapping[str, Any], present: Mapping[str, str]) -> list[str]:
    """In words, which sources of a recorded run give other numbers than the present ones; none if none."""
    before, since = _sources(record), dict(present)
    if "sources" not in record:
        before, since = _as_version_1(before, since)
    found = []
    for key in sorted({*before, *since}):
        role, _, file = key.partition(":")
        old, new = before.get(key), since.get(key)
        if old != new and not (old and new and is_vouched(file, old) and is_vouched(file, new)):
            found.append(f"{ROLES.get(role, role)} ({file})")
    return found


def _as_version_1(before: dict[str, str], since: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Compare what version 1 recorded, the method's file wherever it lay; the rest must be as shipped."""
    method = {key: sha256 for key, sha256 in since.items() if key.startswith("method:")}
    others = {k: v for k, v in since.items() if k not in method and not is_vouched(k.partition(":")[2], v)}
    if len(method) == len(before) == 1:
        before = dict(zip(method, before.values(), strict=True))
    return before, method | others
