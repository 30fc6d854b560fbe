import pytest

from pfl_bench.registry import METHODS, load_plugin, read_plugin
from pfl_bench.testing.source import findings, scan, sources
from tests.conftest import PLUGINS


@pytest.mark.parametrize("method", METHODS.names())
def test_what_is_registered_is_clean(method):
    assert findings(method) == []


@pytest.mark.parametrize(
    "path", sorted(p for p in PLUGINS.glob("*.py") if p.stem != "harmful"), ids=lambda path: path.stem
)
def test_plugins_are_clean(path):
    if "@register_method" in path.read_text():
        assert scan(path.read_text(), path.name) == []


def test_helper_files_are_read_too():
    assert [file for file, _, _ in sources("pfl_bench.methods.pfedhn_pc")] == [
        "pfedhn_pc.py", "pfedhn.py", "_pfedhn.py", "_hypernetwork.py", "_layers.py"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("fed._group", "reaches fed._group, a private part of the federation"),
        ("self._group.pool", "reaches self._group, a private part of the federation"),
        ("state.models._store", "reaches state.models._store, which is private"),
        ("object.__setattr__(fed, 'round', 0)", "reaches object.__setattr__, which is private"),
        ("fed.train.__func__.__globals__", "reaches fed.train.__func__.__globals__, which is private"),
        ("getattr(fed, '_me' + 'ter')", "uses getattr, which no method needs"),
        ("find = vars", "uses vars, which no method needs"),
        ("exec('1')", "uses exec, which no method needs"),
        ("import pfl_bench.engine.meter", "imports pfl_bench.engine.meter; methods import from pfl_bench.api only"),
        ("from pfl_bench.engine import meter", "imports pfl_bench.engine; methods import from pfl_bench.api only"),
        ("from pfl_bench.api import np", "imports pfl_bench.api.np, which is no part of the public interface"),
        ("from pfl_bench.api import make_partition", "imports make_partition: data reach a method through"),
        ("import random", "imports random; random numbers come from fed.generator"),
        ("import gc", "imports gc; a method needs"),
        ("from torch import sys", "imports torch.sys; a method needs"),
        ("import torch\ntorch.sys.modules", "reaches torch.sys; a method needs"),
        ("import torch._C", "imports torch._C; a method needs"),
        ("from torch.utils import _pytree", "imports torch.utils._pytree; a method needs"),
        ("from torch.overrides import TorchFunctionMode", "imports torch.overrides; a method needs"),
        ("import numpy as np\nnp.load('x')", "reaches np.load; a method needs"),
        ("from sklearn.datasets import load_digits", "imports sklearn.datasets; a method needs"),
        ("from functools import lru_cache", "imports functools.lru_cache; it keeps values from run to run"),
        ("from operator import attrgetter", "imports operator.attrgetter; a method needs"),
        ("from pfl_bench.api import Federation\nFederation.train = None", "changes Federation.train, which is not"),
        ("def f():\n    global NOW", "keeps NOW in a global of its module; what lasts belongs in the state"),
        ("match fed:\n    case Federation(_group=g): pass", "reaches _group, which is private"),
        ("net.model.module(x)", "reaches net.model.module: a client model is applied by net"),
        ("try: f()\nexcept E as e: e.tb_frame.f_back", "reaches e.tb_frame.f_back; a method needs"),
    ],
)
def test_what_looks_behind_the_contract_is_named(line, said):
    found = scan(line, "mine.py")
    assert any(said in str(finding) for finding in found), found
    assert all(str(finding).startswith(f"line {finding.line} of mine.py ") for finding in found)


@pytest.mark.parametrize(
    "line",
    [
        "self._steps_taken = 1",
        "super().__init__(config)",
        "type(self).__name__",
        "_private_function_of_its_own(x)",
        "from ._proximal import Proximal",
        "from pfl_bench.methods._proximal import Proximal",
        "import torch\nimport torch.nn.functional as F\nF.linear(x, w)",
        "for _ in range(3): pass",
        "fed.model.trainable, net.model.norms, state.training",
        "from functools import partial, reduce",
        "from torch.func import vmap, grad",
        "import scipy.optimize\nfrom sklearn.cluster import KMeans",
    ],
)
def test_what_methods_do_is_let_through(line):
    assert scan(line, "mine.py") == []


def test_plugins_travel_as_text():
    plugin = read_plugin(PLUGINS / "fedmedian.py")
    load_plugin(plugin)
    assert findings("fedmedian", (plugin,)) == []
