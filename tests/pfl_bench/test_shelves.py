"""What is read from files without importing them is what importing them would find, or nothing."""

import importlib
import sys
from importlib.machinery import ModuleSpec

import pytest

from pfl_bench import shelves
from pfl_bench.errors import RequestError
from pfl_bench.registry import ALL, Registry
from pfl_bench.shelves import Offer, offers, places

BASE = """
from pfl_bench.api import Method

SOURCE = "a paper"

@register_thing("base", paper=SOURCE, config=Method)
class Base(Method):
    moment: str = "global"
"""


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """A package whose files a test gives; returns what is read from it."""
    package = tmp_path / "a_shelf"
    package.mkdir()
    (package / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "a_shelf", raising=False)
    importlib.invalidate_caches()

    def read(**files: str) -> dict[str, Offer] | None:
        for name, text in files.items():
            (package / f"{name}.py").write_text(text)
        found = offers("a_shelf", "register_thing", "a_shelf.things")
        assert "a_shelf.base" not in sys.modules, "nothing may be imported"
        return None if found is None else {offer.name: offer for offer in found}

    return read


def test_decorators_and_plain_calls_are_read(shelf):
    found = shelf(
        one="@register_thing('b', summary='x')\ndef b(): ...\n@api.register_thing('a')\ndef a(): ...",
        two="def c(): ...\nd = register_thing('d', summary='y')(c)\nregister_thing('c')(c)",
        _helper="def helper(): ...",
    )
    assert list(found) == ["a", "b", "c", "d"]
    assert (found["b"].info, found["d"].info, found["a"].info) == ({"summary": "x"}, {"summary": "y"}, {})
    assert found["c"].origin.endswith("two.py")


def test_attributes_come_from_base_classes_too(shelf):
    found = shelf(
        base=BASE,
        child="from .base import Base as B\n@register_thing('child')\nclass C(B):\n    other = 'o'",
        grandchild="from .child import C\n@register_thing('grandchild')\nclass D(C):\n    moment = 'adapted'",
        plain="from pfl_bench.api import Method\n@register_thing('plain')\nclass P(Method): ...",
        foreign="from elsewhere import Method\n@register_thing('foreign')\nclass F(Method): ...",
    )
    assert found["base"].info == {"paper": "a paper"}
    assert {name: offer.attributes for name, offer in found.items()} == {
        "base": {"moment": "global"},
        "child": {"moment": "global", "other": "o"},
        "grandchild": {"moment": "adapted", "other": "o"},
        "plain": {},
        "foreign": None,
    }


@pytest.mark.parametrize(
    "text",
    [
        "for n in 'ab': register_thing(n)(object)",
        "@register_thing(NAME)\nclass A: ...",
        "@register_thing()\nclass A: ...",
        "@register_thing('a', paper=cite(2020))\nclass A: ...",
        "@register_thing('a', **texts)\nclass A: ...",
        "from pfl_bench.api import register_thing as enter\n@enter('a')\nclass A: ...",
        "if torch.cuda.is_available():\n    @register_thing('a')\n    class A: ...",
        "enter = register_thing\nenter('a')(object)",
        "THINGS.register(NAME)(object)",
        "@register_thing('base')\nclass A: ...",
        "from elsewhere import a, b",
        "def broken(:",
    ],
)
def test_what_cannot_be_read_off_must_be_imported(shelf, text):
    assert shelf(base=BASE, odd=text) is None


def test_what_a_helper_registers_must_be_imported(shelf):
    helper = "def enter(name):\n    @register_thing(name)\n    class A: ..."
    assert shelf(base=BASE, _helper=helper, two=BASE.replace("base", "two") + "\nenter('a')") is None


def test_a_module_that_is_a_folder_must_be_imported(shelf, tmp_path):
    (tmp_path / "a_shelf" / "folder").mkdir()
    assert list(shelf(base=BASE)) == ["base"]
    (tmp_path / "a_shelf" / "folder" / "__init__.py").write_text("@register_thing('folder')\ndef f(): ...")
    assert shelf(base=BASE) is None


def test_entry_points_of_others_must_be_imported(shelf, monkeypatch):
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: ["one"])
    assert shelf(base=BASE) is None


@pytest.mark.parametrize("registry", ALL, ids=lambda registry: registry.kind)
def test_a_wrong_name_imports_nothing(registry, monkeypatch):
    fresh = Registry(registry.kind, registry.package, registry.group, registry.decorator)
    monkeypatch.setattr(fresh, "discover", lambda: pytest.fail("nothing may be imported"))
    with pytest.raises(RequestError, match=f"unknown {registry.kind} 'nonsense'"):
        fresh.get("nonsense")
    assert fresh.known_names() == registry.names()


def test_a_file_that_will_not_load_is_told_with_its_reason(shelf, monkeypatch):
    assert list(shelf(bad="import no_such_module\n@register_thing('bad')\nclass B: ...")) == ["bad"]
    with pytest.raises(RequestError, match="'bad' could not be loaded: ModuleNotFoundError"):
        Registry("thing", "a_shelf", "a_shelf.things", "register_thing").get("bad")


def test_two_checkouts_are_not_mixed(tmp_path, monkeypatch):
    """With ``PYTHONPATH`` at a clone, the methods came from the one that was installed, and runs named the clone's
    commit."""
    (here,) = places("pfl_bench.methods")
    assert (here / "fedavg.py").is_file()
    other = ModuleSpec("pfl_bench.methods", None, is_package=True)
    other.submodule_search_locations = [str(tmp_path / "methods")]
    monkeypatch.setattr("importlib.util.find_spec", lambda _: other)
    with pytest.raises(RequestError, match=rf"pfl_bench\.methods from {tmp_path}/methods: two checkouts"):
        places("pfl_bench.methods")
    assert places("somebody.methods") == [tmp_path / "methods"]


def test_an_installation_whose_files_are_links_is_one_checkout(tmp_path, monkeypatch):
    """As pip's strict editable mode makes one: real folders, every file a link into the checkout."""
    folder = tmp_path / "site" / "pfl_bench"
    (folder / "methods").mkdir(parents=True)
    (folder / "shelves.py").symlink_to(shelves.__file__)
    there = ModuleSpec("pfl_bench.methods", None, is_package=True)
    there.submodule_search_locations = [str(folder / "methods")]
    monkeypatch.setattr("importlib.util.find_spec", lambda _: there)
    monkeypatch.setattr(shelves, "__file__", str(folder / "shelves.py"))
    assert places("pfl_bench.methods") == [folder / "methods"]
