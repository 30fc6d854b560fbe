"""The contract's own rules."""

import re

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
    with pytest.raises(TypeError, match="'mute' is evaluated at moment 'adapted'; it must define adapt"):

        @register_method("mute", paper="none")
        class Mute(Method):
            moment = "adapted"

            def init(self, fed): ...

            def round(self, fed, state, cohort): ...


def _methods(**members):
    return type("Slip", (Method,), {"init": lambda self, fed: None, "round": lambda *given: None, **members})


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"client_params": print, "enrol": print}, "defines enrol, which is no hook: did you mean enroll?"),
        ({"client_param": print}, "defines client_param, which is no hook: did you mean client_params?"),
        ({"moment": "personal"}, "moment='personal' must be one of global, received, adapted"),
    ],
)
def test_a_slip_in_a_hooks_name_or_the_moment_is_told(members, said):
    with pytest.raises(TypeError, match=re.escape(said)):
        register_method("slip", paper="none")(_methods(**members))
