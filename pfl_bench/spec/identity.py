"""What of a request identifies it: the fields that matter, so that a field added later changes no id.

A field at its default is no part of an id, except for those that version 1 had: its ids hashed every field, and its
runs are published. Where a later field's default is not what was done before, the default counts and what was done
before does not (``BEFORE``). The lists below are history and never change.
"""

import hashlib
import json
from collections.abc import Container, Mapping
from typing import Any, TypeGuard

from pydantic import BaseModel

_BASE = frozenset({"cohort"})
_LOCAL_SGD = _BASE | {"lr", "momentum", "weight_decay", "clip_norm"}
_HYPERNETWORK = _LOCAL_SGD | {
    "inner_lr", "inner_momentum", "inner_weight_decay", "embedding", "hidden", "hidden_layers",
}  # fmt: skip

VERSION_1_METHODS: dict[str, frozenset[str]] = {
    "local": _LOCAL_SGD,
    "fedavg": _LOCAL_SGD,
    "fedavg_ft": _LOCAL_SGD | {"finetune_steps"},
    "fedprox": _LOCAL_SGD | {"mu"},
    "per_fedavg": _BASE | {"alpha", "beta", "delta", "variant"},
    "fedper": _LOCAL_SGD | {"personal_layers"},
    "lg_fedavg": _LOCAL_SGD | {"shared_layers", "warm_start"},
    "pfedme": _BASE | {"lam", "inner_steps", "lr", "personal_lr", "beta"},
    "ditto": _LOCAL_SGD | {"lam", "personal_share"},
    "pfedhn": _HYPERNETWORK,
    "pfedhn_pc": _HYPERNETWORK,
}

VERSION_1_SCENARIO: dict[str, frozenset[str]] = {
    "Scenario": frozenset({
        "id", "dataset", "partition", "clients", "novel", "model", "visits", "local_steps", "batch_size", "batches",
        "eval_every", "adapt_every", "precision", "budget_scale",
    }),
    "PartitionSpec": frozenset({"rule", "file", "sha256"}),
    "EnrollSpec": frozenset({"steps", "samples"}),
}  # fmt: skip

BEFORE: dict[str, dict[str, Any]] = {
    "pfedhn_pc": {"heads": "equal"},
}
"""What a method did before a field with another default existed: this value is no part of an id, and it is meant by a
configuration that was written without the field."""

_ENGINE = ("pfl_bench.spec.", "pfl_bench.engine.")


def digest(content: Any) -> str:
    """SHA-256 of what JSON makes of it, keys sorted."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


ID_DIGITS = 12
"""Of a SHA-256, in a run's id and in the hash of a configuration."""


def config_hash(method: str, identity: Mapping[str, Any]) -> str:
    """Hash of a method's name and of what identifies its hyper-parameters (``config_identity``)."""
    return digest([method, identity])[:ID_DIGITS]


def run_id(method: str, identity: Mapping[str, Any], scenario: Mapping[str, Any], seed: int) -> str:
    """``<method>-s<seed>-<hash>``; the hash covers method, hyper-parameters, scenario and seed, by their identities."""
    return f"{method}-s{seed}-{digest([method, identity, scenario, seed])[:ID_DIGITS]}"


def identifying(model: BaseModel, always: Container[str], before: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A model's fields as JSON, without those at their default, or at ``before``, that are not in ``always``."""
    fields, usual = type(model).model_fields, before or {}

    def counts(name: str) -> bool:
        if name in always or name not in fields or fields[name].is_required():
            return True
        field = fields[name]
        plain = field.default if field.default_factory is None else field.get_default(call_default_factory=True)
        return bool(getattr(model, name) != usual.get(name, plain))

    return {name: value for name, value in model.model_dump(mode="json").items() if counts(name)}


ADAPT_STEPS_BEFORE = 50
"""What every scenario of version 1 allowed its methods to adapt; all others say so in their identity."""


WORDS = frozenset({"asks"})
"""Fields of a scenario that explain it to a reader and decide no number."""


def scenario_identity(scenario: BaseModel, adapt_allowance: int) -> dict[str, Any]:
    """What identifies a scenario; the tables in it likewise. ``adapt_allowance``: gradients per client to adapt."""

    def of(model: BaseModel) -> dict[str, Any]:
        kind = next((c.__name__ for c in type(model).__mro__ if c.__name__ in VERSION_1_SCENARIO), "")
        found = identifying(model, VERSION_1_SCENARIO.get(kind, frozenset()))
        values = {name: getattr(model, name, None) for name in found}
        inner = {name: of(value) for name, value in values.items() if isinstance(value, BaseModel)}
        lists = {name: [of(item) for item in value] for name, value in values.items() if _are_tables(value)}
        return found | inner | lists

    found = {name: value for name, value in of(scenario).items() if name not in WORDS | {"adapt_steps"}}
    return found if adapt_allowance == ADAPT_STEPS_BEFORE else {**found, "adapt_steps": adapt_allowance}


def _are_tables(value: Any) -> TypeGuard[tuple[BaseModel, ...]]:
    return isinstance(value, tuple) and bool(value) and all(isinstance(item, BaseModel) for item in value)


def config_identity(method: str, config: BaseModel, *, shipped: bool, version: int = 1) -> dict[str, Any]:
    """What identifies a method's hyper-parameters. ``version`` is the method's, part of the identity above 1.

    Of a method that is not ``shipped`` all fields count but for those that the engine's own classes gained since.
    """
    always = VERSION_1_METHODS.get(method, frozenset()) if shipped else _own_fields(type(config))
    found = identifying(config, always, BEFORE.get(method) if shipped else None)
    return found | ({"version": version} if version > 1 else {})


def as_written(method: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """A recorded configuration with what its method did where it was written before a field existed."""
    return {**BEFORE.get(method, {}), **config}


def _own_fields(config: type[BaseModel]) -> frozenset[str]:
    inherited = {
        name
        for parent in config.__mro__
        if parent.__module__.startswith(_ENGINE)
        for name in getattr(parent, "__annotations__", {})
    }
    return frozenset(config.model_fields) - (inherited - _LOCAL_SGD)
