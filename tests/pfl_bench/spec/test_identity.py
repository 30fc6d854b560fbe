"""Ids of published runs must never change; a field that comes later must not change them either."""

import json
from pathlib import Path

import pytest
from pydantic import Field

from pfl_bench.registry import METHODS
from pfl_bench.spec.config import MethodConfig
from pfl_bench.spec.identity import ADAPT_STEPS_BEFORE, as_written, config_identity, digest, identifying
from pfl_bench.spec.run import RunSpec, make_config
from pfl_bench.spec.scenario import EnrollSpec, PartitionSpec, Scenario, read_scenario

PUBLISHED = Path(__file__).parents[3] / "results" / "published"


def _as_written(scenario):
    """A scenario that was recorded without an allowance to adapt had the one of version 1."""
    return {"adapt_steps": ADAPT_STEPS_BEFORE, **scenario}


@pytest.mark.parametrize("suite", sorted(p.name for p in PUBLISHED.iterdir() if (p / "runs").is_dir()))
def test_published_runs_keep_their_ids(suite):
    for path in sorted((PUBLISHED / suite / "runs").glob("*/run.json")):
        record = json.loads(path.read_text())
        config = make_config(record["method"], as_written(record["method"], record["config"]), "published")
        run = RunSpec(record["method"], config, read_scenario(_as_written(record["scenario"]), path), record["seed"])
        assert (run.id, run.config_hash) == (path.parent.name, record["config_hash"])
        assert run.scenario.identity() == record["scenario"]


def test_a_later_field_of_a_shipped_method_counts_only_where_it_is_used():
    own = METHODS.get("fedavg").Config

    class Later(own):
        temperature: float = 1.0
        milestones: list[int] = Field(default_factory=list)

    def identity(config):
        return config_identity("fedavg", config, shipped=True)

    assert identity(Later()) == identity(own())
    assert identity(Later(temperature=2.0)) == {**identity(own()), "temperature": 2.0}
    assert identity(Later(milestones=[3])) == {**identity(own()), "milestones": [3]}


def test_what_was_done_before_a_field_existed_is_no_part_of_an_id():
    """pFedHN-PC's heads started equal when its first runs were published; now they start independent."""
    before = make_config("pfedhn_pc", as_written("pfedhn_pc", {"lr": 0.05}), "published")
    assert before.heads == "equal"
    old, new = (config_identity("pfedhn_pc", config, shipped=True) for config in (before, type(before)()))
    assert "heads" not in old and new == {**old, "heads": "independent"}
    assert as_written("pfedhn_pc", {"heads": "independent"}) == {"heads": "independent"}
    assert as_written("fedavg", {"lr": 0.05}) == {"lr": 0.05}


def test_a_method_that_version_1_did_not_have_is_identified_by_what_differs_from_its_defaults():
    class New(MethodConfig):
        lr: float = 0.1
        mu: float = 1.0

    assert config_identity("brand_new", New(mu=2.0), shipped=True) == {"mu": 2.0}
    assert config_identity("brand_new", New(mu=2.0), shipped=True, version=3) == {"mu": 2.0, "version": 3}


def test_a_plugs_own_fields_all_count():
    """As in version 1, whose ids of plug-ins stay."""

    class Mine(MethodConfig):
        mu: float = 1.0

    assert config_identity("mine", Mine(), shipped=False) == {"cohort": 5, "mu": 1.0}


class LaterPartition(PartitionSpec):
    balance: bool = False


class LaterEnroll(EnrollSpec):
    warm: int = 0


class LaterScenario(Scenario):
    charging: str | None = None
    partition: LaterPartition
    enroll: LaterEnroll | None = None


def test_later_fields_of_a_scenario_and_its_tables_count_only_where_they_are_used():
    table = {
        "id": "a-v1", "dataset": "digits", "partition": {"rule": "classes", "classes": 2}, "clients": 5, "novel": 1,
        "enroll": {"steps": 3}, "model": "mlp", "visits": 4, "local_steps": 2, "batch_size": 8, "eval_every": 2,
    }  # fmt: skip
    now, later = Scenario(**table), LaterScenario(**table)
    assert later.identity() == now.identity()
    assert now.identity()["enroll"] == {"steps": 3, "samples": ["all"]}
    assert now.identity()["partition"] == {"rule": "classes", "file": None, "sha256": None, "classes": 2}
    used = later.model_copy(update={"charging": "half"}).identity()
    assert used == {**now.identity(), "charging": "half"}
    balanced = LaterScenario(**{**table, "partition": {**table["partition"], "balance": True}}).identity()
    assert balanced["partition"] == {**now.identity()["partition"], "balance": True}
    warm = LaterScenario(**{**table, "enroll": {"steps": 3, "warm": 2}}).identity()
    assert warm["enroll"] == {"steps": 3, "samples": ["all"], "warm": 2}


def test_the_allowance_to_adapt_is_part_of_an_id_unless_it_is_what_version_1_always_gave():
    table = {
        "id": "a-v1", "dataset": "digits", "partition": {"rule": "iid"}, "clients": 5, "model": "mlp", "visits": 4,
        "local_steps": 50, "batch_size": 8, "eval_every": 2,
    }  # fmt: skip
    assert "adapt_steps" not in Scenario(**table).identity() and Scenario(**table).adapt_allowance == 50
    assert Scenario(**table | {"adapt_steps": 50}).identity() == Scenario(**table).identity()
    assert Scenario(**table | {"local_steps": 20}).identity()["adapt_steps"] == 20
    assert Scenario(**table | {"local_steps": 20, "adapt_steps": 50}).identity().get("adapt_steps") is None
    assert read_scenario(Scenario(**table | {"adapt_steps": 7}).identity(), "x").adapt_allowance == 7


def test_required_fields_always_count():
    class Needy(MethodConfig):
        k: int

    assert identifying(Needy(k=3), frozenset()) == {"k": 3}
    assert digest({"b": 1, "a": 2}) == digest({"a": 2, "b": 1})
