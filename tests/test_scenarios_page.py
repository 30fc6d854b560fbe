"""The page ``docs/scenarios.md``: its suite runs as it stands there, and it has every field, rule and metric."""

import csv
import re
import shlex
from pathlib import Path

import pytest

from pfl_bench.data.quantity import LAWS
from pfl_bench.metrics import leading
from pfl_bench.parameters import REQUIRED, of_model
from pfl_bench.registry import PARTITIONS, SHIFTS
from pfl_bench.spec.heterogeneity import AvailabilitySpec, ShiftSpec
from pfl_bench.spec.scenario import EnrollSpec, PartitionSpec, Scenario

PAGE = (Path(__file__).parent.parent / "docs" / "scenarios.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
TABLES = {
    "The scenario": Scenario,
    "`partition`": PartitionSpec,
    "`shift`": ShiftSpec,
    "`availability`": AvailabilitySpec,
    "`enroll`": EnrollSpec,
}


def test_the_suite_of_the_page_runs(cli, tmp_path):
    (text,) = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    (command,) = re.findall(r"^```sh\n(.*?)\n```$", PAGE, re.MULTILINE | re.DOTALL)
    (tmp_path / re.match(r"# (\S+)\n", text)[1]).write_text(text, encoding="utf-8")
    program, *arguments = shlex.split(command)
    assert program == "python" and arguments[:2] == ["-m", "pfl_bench"]
    status, out, error = cli(*arguments[2:])
    assert status == 0, error
    assert "balanced accuracy" in out
    folder = tmp_path / "results" / "hard"
    (partition,) = folder.glob("partitions/*.csv")
    with partition.open() as file:
        assert {"shift_group", "shift_1", "shift_2"} <= set(csv.DictReader(file).fieldnames)
    with (folder / "runs.csv").open() as file:
        assert all(float(row["asked_visits"]) > float(row["visits"]) for row in csv.DictReader(file))


@pytest.mark.parametrize(("section", "model"), TABLES.items())
def test_every_field_has_a_line(section, model):
    """With its default, where that is a figure or a text."""
    lines = dict(re.findall(r"^\| `(\w+)` \| (.+?) \|", SECTIONS[section], re.MULTILINE))
    lines.pop("law", None)  # the heading of another table
    fields = {field.name: field.default for field in of_model(model)}
    rules = set(SHIFTS.names()) if model is ShiftSpec else set()
    assert set(lines) - rules == set(fields), section
    for name, default in fields.items():
        if default[0] in '"0123456789':
            assert lines[name].strip("`") == default, name
        assert (default == REQUIRED) <= (lines[name] == "required"), name
        assert model.model_fields[name].description, f"{name} has a meaning in `list fields`"


@pytest.mark.parametrize("registry", [PARTITIONS, SHIFTS], ids=["partitions", "shifts"])
def test_every_rule_is_named_and_every_parameter_has_a_meaning(registry):
    for entry in registry:
        assert f"`{entry.name}`" in PAGE, entry.name
        assert all(field.meaning for field in of_model(entry.value.config)), entry.name


def test_laws_of_sizes_and_metrics_are_named():
    for law in LAWS:
        (name,) = law.model_fields["law"].annotation.__args__
        assert f'`"{name}"`' in SECTIONS["`partition`"]
        for field in of_model(law):
            assert f"`{field.name}`" in SECTIONS["`partition`"], field.name
    assert all(f"`{key}`" in SECTIONS["`primary`"] for key in leading())
