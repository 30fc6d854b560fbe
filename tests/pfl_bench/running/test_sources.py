import hashlib
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pfl_bench.registry import METHODS, Plugin, load_plugin
from pfl_bench.running.sources import Sources, label, shipped_hashes, unseen
from pfl_bench.spec.run import plan_runs
from pfl_bench.spec.suite import load_suite

QUICK = load_suite("quick")


def sources(method: str, plugins=()) -> dict[str, str]:
    (run,) = plan_runs([method], QUICK.scenarios[:1], [0], QUICK, {})
    return Sources(plugins).of(run)


def test_a_runs_sources_are_its_method_model_rule_and_data_source_and_their_helpers():
    found, shipped = sources("pfedhn_pc"), shipped_hashes()
    assert set(found) == {
        "method:methods/pfedhn_pc.py", "method helper:methods/pfedhn.py", "method helper:methods/_hypernetwork.py",
        "method helper:methods/_layers.py", "method helper:methods/_pfedhn.py",
        "model:models/mlp.py", "rule:partitions/classes.py", "dataset:datasets/digits.py",
    }  # fmt: skip
    assert all(sha256 == shipped[key.partition(":")[2]] for key, sha256 in found.items())


def test_a_scenarios_shifts_are_among_its_sources():
    suite = load_suite("shifts")
    turned = next(s for s in suite.scenarios if s.shift and s.shift[0].rule == "rotation")
    (run,) = plan_runs(["fedavg"], [turned], [0], suite, {})
    found, shipped = Sources().of(run), shipped_hashes()
    assert found["shift:shifts/rotation.py"] == shipped["shifts/rotation.py"]


def test_helpers_are_followed_through_siblings_in_any_folder(tmp_path):
    folder = Path(METHODS.entry("pfedhn_pc").origin).parent
    for name in ("pfedhn_pc.py", "pfedhn.py", "_hypernetwork.py", "_layers.py", "_pfedhn.py", "fedavg.py"):
        shutil.copy(folder / name, tmp_path)
    own, reader = tmp_path / "pfedhn_pc.py", Sources()
    helpers = ["_hypernetwork.py", "_layers.py", "_pfedhn.py", "pfedhn.py"]
    assert [path.name for path in reader.helpers(own)] == helpers
    before = reader.sha256(tmp_path / "_hypernetwork.py")
    (tmp_path / "_hypernetwork.py").write_text("# edited")
    assert Sources().sha256(tmp_path / "_hypernetwork.py") != before


def test_read_again_sees_an_edit_and_looks_for_no_imports(tmp_path, monkeypatch):
    write(tmp_path, own="import helper", helper="x = 1")
    reader = Sources()
    local = replace(METHODS.entry("local"), origin=str(tmp_path / "own.py"))
    monkeypatch.setitem(METHODS._entries, "local", local)
    (run,) = plan_runs(["local"], QUICK.scenarios[:1], [0], QUICK, {})
    before = reader.of(run)
    assert before["method helper:helper.py"] == hashlib.sha256(b"x = 1").hexdigest()
    write(tmp_path, helper="x = 2")
    assert reader.of(run) == before, "a text counts as it was first read"
    monkeypatch.setattr(Sources, "helpers", None)
    assert reader.read_again().of(run) == {**before, "method helper:helper.py": hashlib.sha256(b"x = 2").hexdigest()}


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder.joinpath(*name.split("__")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import helper", ["helper.py"]),
        ("from helper import f", ["helper.py"]),
        ("import tools.losses", ["tools/losses.py"]),
        ("from tools import losses", ["tools/losses.py"]),
        ("from tools.losses import f", ["tools/losses.py"]),
        ("from tools import chain", ["tools/chain.py", "tools/losses.py"]),
        ("def f():\n    import helper", ["helper.py"]),
        ("import torch, pfl_bench.api\nfrom pfl_bench.client import params", []),
        ("from pfl_bench.methods.local import Local", ["methods/local.py"]),
        ("from pfl_bench.methods.fedavg import FedAvg", ["methods/_server_optimizer.py", "methods/fedavg.py"]),
        ("from pfl_bench.models import lenet", ["models/lenet.py"]),
        ("this is no Python", []),
    ],
)
def test_what_counts_as_a_helper(tmp_path, text, expected):
    write(tmp_path, mine=text, helper="", tools__losses="", tools__chain="from . import losses")
    found = Sources().helpers(tmp_path / "mine.py")
    assert sorted(label(path, tmp_path) for path in found) == expected


def test_a_plug_in_counts_as_it_was_loaded(tmp_path):
    text = Path(METHODS.entry("local").origin).read_text().replace('"local"', '"mine"')
    path = tmp_path / "mine.py"
    plugin = Plugin(str(path), text)
    path.write_text("# edited since")
    load_plugin(plugin)
    first = sources("mine", (plugin,))
    path.write_text("# and again")
    assert sources("mine", (plugin,)) == first and "method:mine.py" in first


def test_a_class_that_type_made_is_of_the_plug_in_that_registers_it(clean_registries):
    """Its ``__module__`` is Python's own ``abc``, whose hash says nothing of the plug-in."""
    text = """
from pfl_bench.api import LocalSgdConfig, register_method
from pfl_bench.methods.fedavg import FedAvg
register_method("made", paper="none")(type("Made", (FedAvg,), {"Config": LocalSgdConfig}))
"""
    plugin = Plugin("made.py", text)
    load_plugin(plugin)
    found = sources("made", (plugin,))
    assert found["method:made.py"] == hashlib.sha256(text.encode()).hexdigest() and "method:abc.py" not in found
    assert {key for key in found if key.startswith("method helper:")} == {
        "method helper:methods/fedavg.py", "method helper:methods/_server_optimizer.py"
    }  # fmt: skip


def test_an_imported_file_counts_as_it_was_when_it_was_first_seen(tmp_path, monkeypatch):
    """A session that goes on runs what it has imported, whatever becomes of the file."""
    write(tmp_path, helper_of_a_sources_test="RATE = 1")
    monkeypatch.syspath_prepend(tmp_path)
    __import__("helper_of_a_sources_test")
    path = tmp_path / "helper_of_a_sources_test.py"
    before = Sources().sha256(path)
    path.write_text("RATE = 2")
    assert Sources().sha256(path) == before
    del sys.modules["helper_of_a_sources_test"]
    assert Sources().sha256(path) != before


def test_a_file_that_is_not_there_has_no_hash(tmp_path):
    assert Sources().sha256(tmp_path / "nothing.py") == ""


@pytest.mark.parametrize("packages", ["site-packages", "dist-packages"])
def test_packages_of_another_environment_that_this_one_builds_upon_are_no_helpers(tmp_path, monkeypatch, packages):
    """A plug-in that imports torch from there had 7,851 sources, and planning took minutes."""
    name = f"installed_elsewhere_{packages[:4]}"
    write(tmp_path / packages, **{name: "import os"})
    write(tmp_path, own="import " + name)
    monkeypatch.syspath_prepend(tmp_path / packages)
    __import__(name)
    assert Sources().helpers(tmp_path / "own.py") == []


def test_what_nobody_hashed_is_said_where_there_is_a_plug_in():
    assert unseen({"method:methods/fedavg.py": "a", "model:models/mlp.py": "b", "rule:partitions/iid.py'": "c"}) == {}
    (said,) = unseen({"method:mine.py": "a", "model:models/mlp.py": "b"}).values()
    assert "environment variables" in said
