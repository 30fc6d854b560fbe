"""The contract's own rules."""

import pytest

from pfl_bench.client.sgd import Sgd
from pfl_bench.engine.method import LocalSgdConfig, Method, register_method
from pfl_bench.registry import METHODS
from pfl_bench.spec.run import make_config
from pfl_bench.testing.harness import Harness


def test_clipping_can_be_switched_off():
    assert LocalSgdConfig().sgd() == Sgd(5e-3, 0.9, 5e-5, 50.0)
    assert LocalSgdConfig(clip_norm=None).sgd().clip_norm is None
    config = make_config("fedavg", {"clip_norm": None}, "here")
    assert isinstance(config, LocalSgdConfig) and config.sgd().clip_norm is None
    off, huge = (Harness("fedavg", rounds=1, clip_norm=norm).server for norm in (None, 1e9))
    tight = Harness("fedavg", rounds=1, clip_norm=1e-3).server
    assert all((off[name] == huge[name]).all() for name in off)
    assert any((off[name] != tight[name]).any() for name in off)


def test_moments_are_the_hooks_that_a_method_defines():
    assert METHODS.get("fedavg").moments() == ["global"]
    assert METHODS.get("per_fedavg").moments() == ["global", "adapted"]
    assert METHODS.get("ditto").moments() == ["global", "received"]
    assert METHODS.get("pfedhn").defines("client_vectors") and not METHODS.get("fedavg").defines("client_vectors")


def test_a_method_must_define_the_hook_of_its_moment():
    with pytest.raises(TypeError, match="'mute' is evaluated at moment 'adapted' but does not define its hook"):

        @register_method("mute", paper="none")
        class Mute(Method):
            moment = "adapted"

            def init(self, fed): ...

            def round(self, fed, state, cohort): ...
