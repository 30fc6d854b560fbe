import importlib.metadata
import sys
import types
from pathlib import Path

import pytest

from pfl_bench.errors import RequestError
from pfl_bench.registry import ALL, DATASETS, METHODS, Plugin, Registry, load_plugin, load_plugins, read_plugin
from pfl_bench.shelves import offers


def test_discovery_finds_every_method_file():
    files = {path.stem for path in (Path(__file__).parents[2] / "methods").glob("[!_]*.py")}
    assert files == {Path(entry.origin).stem for entry in METHODS}
    elsewhere = {entry.name: Path(entry.origin).stem for entry in METHODS if Path(entry.origin).stem != entry.name}
    several = {**dict.fromkeys(("fedadam", "fedavgm", "fedyogi"), "fedopt"), "l2gd": "mr_mtl"}
    assert elsewhere == several, "a method's file is called as the method is"
    assert not METHODS.broken


@pytest.mark.parametrize("registry", ALL, ids=lambda registry: registry.kind)
def test_what_is_read_from_the_files_is_what_importing_finds(registry):
    read = offers(registry.package, registry.decorator, registry.group)
    assert [(o.name, o.origin) for o in read] == [(e.name, e.origin) for e in registry]
    assert all(dict(o.info) | dict(e.info) == dict(o.info) for o, e in zip(read, registry, strict=True))
    for offer in read:
        moment = getattr(registry.get(offer.name), "moment", None)
        assert moment is None or offer.attributes.get("moment", "received") == moment


def test_a_name_that_is_not_written_out_must_be_imported(tmp_path, monkeypatch):
    package = tmp_path / "odd_shelf"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "plain.py").write_text("@register_thing('plain', paper='p')\nclass A:\n    moment = 'global'\n")
    monkeypatch.syspath_prepend(tmp_path)
    (found,) = offers("odd_shelf", "register_thing", "odd.things")
    assert (found.name, found.info, found.attributes) == ("plain", {"paper": "p"}, {"moment": "global"})
    (package / "odd.py").write_text("for n in 'ab': register_thing(n)(object)\n")
    assert offers("odd_shelf", "register_thing", "odd.things") is None


def test_broken_module_spoils_only_itself(tmp_path, monkeypatch):
    package = tmp_path / "pretend_pkg"
    package.mkdir()
    head = "from pretend_registry import R\n"
    (package / "__init__.py").write_text("")
    (package / "good.py").write_text(head + "@R.register('good')\nclass Good: pass\n")
    (package / "bad.py").write_text(head + "@R.register('half')\nclass Half: pass\nimport no_such_module\n")
    holder = types.ModuleType("pretend_registry")
    holder.R = Registry("thing", "pretend_pkg", "pretend_pkg.things")
    monkeypatch.setitem(sys.modules, "pretend_registry", holder)
    monkeypatch.syspath_prepend(tmp_path)
    from pfl_bench import registry as module

    monkeypatch.setattr(module, "ALL", (holder.R,))
    assert holder.R.names() == ["good"], "the half-registered entry must be withdrawn"
    with pytest.raises(RequestError, match="'bad' could not be loaded.*no_such_module"):
        holder.R.get("bad")


def test_entry_points_are_loaded(monkeypatch):
    class Point:
        name = "elsewhere"

        def load(self):
            METHODS.register("from_elsewhere", paper="x")(type("M", (), {}))

    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [Point()])
    monkeypatch.setattr(METHODS, "_discovered", False)
    assert "from_elsewhere" in METHODS.names()


def test_duplicate_and_malformed_names_are_refused():
    with pytest.raises(RequestError, match=r"'fedavg' is already registered by .*fedavg\.py"):
        METHODS.register("fedavg", paper="x")(type("M", (), {}))
    with pytest.raises(RequestError, match="'Fed Avg' must match"):
        METHODS.register("Fed Avg", paper="x")


@pytest.mark.parametrize(
    ("file", "meant"),
    [("steps.csv", "csv:steps.csv"), ("a/b.TSV", "csv:a/b.TSV"), ("x.npz?kind=table", "npz:x.npz?kind=table"),
     ("t.parquet", "parquet:t.parquet"), ("../z.csv.gz", "csv:../z.csv.gz")],
)  # fmt: skip
def test_a_file_where_a_data_set_is_asked_for_is_told_its_source(file, meant):
    with pytest.raises(RequestError) as refused:
        DATASETS.require(file)
    assert str(refused.value).startswith(f"unknown data set '{file}': did you mean '{meant}'? choose from ag_news, ")


def test_unknown_name_suggests_the_nearest():
    with pytest.raises(RequestError, match="unknown method 'fedavgg': did you mean 'fedavg'"):
        METHODS.get("fedavgg")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def (", "could not be loaded, line 1: SyntaxError"),
        ("import no_such_module", "ModuleNotFoundError"),
        (
            "from pfl_bench.registry import METHODS\n@METHODS.register('fedavg', paper='')\nclass M: pass",
            "'fedavg' is already registered",
        ),
    ],
)
def test_broken_plugin_is_one_line_and_registers_nothing(text, message):
    before = METHODS.names()
    with pytest.raises(RequestError, match=message) as caught:
        load_plugin(Plugin("p.py", text))
    assert "\n" not in str(caught.value)
    assert METHODS.names() == before


def test_a_forgotten_decorator_is_named(tmp_path):
    (tmp_path / "p.py").write_text("class Forgotten: pass")
    for _ in range(2):
        with pytest.raises(RequestError, match=r"p\.py' registers nothing: @register_method"):
            load_plugins([tmp_path / "p.py"])


def test_missing_plugin_file():
    with pytest.raises(RequestError, match=r"plug-in 'gone\.py' cannot be read: there is no such file"):
        read_plugin("gone.py")


def test_plugin_loads_once_per_text():
    plugin = Plugin(
        "p.py", "from pfl_bench.registry import METHODS\n@METHODS.register('mine', paper='')\nclass M: pass"
    )
    load_plugin(plugin)
    load_plugin(plugin)
    assert "mine" in METHODS.names()
