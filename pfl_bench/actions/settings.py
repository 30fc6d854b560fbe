"""The option ``--set METHOD.FIELD=VALUE``."""

import json
from collections.abc import Sequence
from typing import Any

from pfl_bench.errors import PLUG_IN, RequestError, shown, unknown
from pfl_bench.spec.scenario import Scenario


def check_form(settings: Sequence[str]) -> None:
    """RequestError for a setting that does not read METHOD.FIELD=VALUE, whatever methods there are."""
    for setting in settings:
        _split(setting)


def read_settings(settings: Sequence[str], methods: Sequence[str], known: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The settings by method; values are JSON where they can be, else text (``make_config`` checks them).

    RequestError for a malformed setting, or a method that is not ``known`` or does not take part.
    """
    overrides: dict[str, dict[str, Any]] = {}
    for setting in settings:
        method, field, value = _split(setting)
        if method not in known:
            raise unknown("method", method, known, also=PLUG_IN)
        if method not in methods:
            raise RequestError(
                f"--set: {shown(setting)} is for a method that does not take part (those that do: {', '.join(methods)})"
            )
        try:
            parsed = json.loads(value)
        except (ValueError, RecursionError):
            parsed = value
        overrides.setdefault(method, {})[field] = parsed
    return overrides


def _split(setting: str) -> tuple[str, str, str]:
    target, _, value = setting.partition("=")
    method, _, field = target.partition(".")
    if method in {*Scenario.model_fields, "quantity", "scenario"}:
        raise RequestError(
            f"--set: {shown(setting)} is of a scenario, and --set is for hyper-parameters, METHOD.FIELD=VALUE; write a "
            "suite of your own for it (--suite FILE.toml, docs/scenarios.md)"
        )
    if not (method and field and value):
        raise RequestError(f"--set: {shown(setting)} must read METHOD.FIELD=VALUE")
    return method, field, value
