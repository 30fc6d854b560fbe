"""What a method may get wrong in a call is refused where it is asked for, on every back-end alike."""

import re
from dataclasses import dataclass

import pytest
import torch

from pfl_bench.api import GradientRule, LocalSgdConfig, Method, Params, Sgd, State, register_method
from pfl_bench.engine.checkpoint import dumps, loads
from pfl_bench.engine.meter import BudgetError
from pfl_bench.engine.per_client import PerClient
from pfl_bench.running.job import make_job
from pfl_bench.spec.options import Options
from pfl_bench.testing.check import CheckFailedError
from pfl_bench.testing.harness import Harness
from pfl_bench.testing.kit import EVERY_ROUND, finish
from pfl_bench.testing.setup import tiny_setup

BACKENDS = ["loop", "vmap", "graph"]


def train(backend="loop", sgd=None, clients=(0, 3), **request):
    harness = Harness("fedavg", options=Options(backend=backend))
    fed, cohort = harness.fed, harness.clients(*clients)
    return fed.train(fed.send(fed.init_params(), cohort), cohort, sgd or Sgd(0.1), **{"steps": 2, **request})


@dataclass(frozen=True)
class Forgetful(GradientRule):
    """Moves some parameters only."""

    def __call__(self, gradient, params, batches, aux, carry):
        found = gradient(params, batches[0])
        return {name: found[name] for name in list(found)[:1]}, carry


@dataclass(frozen=True)
class Starts(GradientRule):
    """Begins to carry something in the first step."""

    def __call__(self, gradient, params, batches, aux, carry):
        found = gradient(params, batches[0])
        return found, found


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("request_", "error", "said"),
    [
        (
            {"rule": Forgetful()},
            ValueError,
            "rule=Forgetful gave a direction for hidden.weight; it must be for hidden.wei",
        ),
        ({"rule": Starts()}, ValueError, "rule=Starts got carry None and returned a tree: train(carry=...) says"),
        ({"sgd": Sgd(0.1).but({"nope"}, lr=1.0)}, ValueError, "Sgd has a group for 'nope', which params do not have"),
        ({"momentum": {"nope": torch.zeros(2)}}, ValueError, "momentum has 'nope', which does not train"),
        ({"steps": torch.tensor([1.7, 2.0])}, TypeError, "steps are torch.float32; they must be whole numbers"),
        ({"clients": (0, -1)}, ValueError, "client -1 does not exist; there are clients 0 to 5"),
        ({"clients": (0, 6)}, ValueError, "client 6 does not exist"),
    ],
)
def test_a_wrong_request_is_told(backend, request_, error, said):
    with pytest.raises(error, match=re.escape(said)):
        train(backend, **request_)


def test_a_wrong_weighting_and_a_wrong_computation_are_told():
    harness = Harness("fedavg")
    fed, cohort = harness.fed, harness.clients(0, 1)
    sent = fed.send(fed.init_params(), cohort)
    with pytest.raises(ValueError, match="weights='sample' must be 'samples' or 'uniform'"):
        fed.average(sent, cohort, "sample")
    for options, said in (({"over": "al"}, "over='al' must be 'all'"), ({"over": 0}, "over=0 must be"),
                          ({"reduce": "mean"}, "reduce='mean' must be 'sum' or 'rows'")):  # fmt: skip
        with pytest.raises(ValueError, match=said):
            fed.compute(weights_of, sent, cohort, **options)


def weights_of(net, params, batch, aux):
    return batch.weight.sum()


def just_features(net, params, batch, aux):
    return net.features(params, batch.x).square().mean()


def test_a_group_that_a_loss_does_not_touch_stays_on_every_backend():
    start = Harness("fedavg").fed.init_params()
    sgd = Sgd(0.1).but({"head.weight", "head.bias"}, lr=0.3)
    moved = [train(backend, sgd, loss=just_features).params for backend in BACKENDS]
    for found in moved:
        assert torch.equal(found["head.weight"][0], start["head.weight"])
        torch.testing.assert_close(found["hidden.weight"], moved[0]["hidden.weight"], rtol=1e-4, atol=1e-5)
    assert not torch.equal(moved[0]["hidden.weight"][0], start["hidden.weight"])


def test_ids_that_were_changed_in_place_are_read_anew():
    harness = Harness("fedavg")
    ids = harness.fed.everyone
    ids.copy_(ids.flip(0))
    state = PerClient({"w": torch.zeros(1)}, 6)
    state.set_rows(ids, {"w": torch.arange(6.0).unsqueeze(1)})
    assert state.rows(harness.fed.everyone)["w"].flatten().tolist() == [5, 4, 3, 2, 1, 0]


def test_what_is_known_of_the_clients_is_a_copy():
    fed = Harness("fedavg").fed
    sizes, counts = fed.sizes.clone(), fed.class_counts.clone()
    fed.sizes.mul_(2)
    fed.class_counts.zero_()
    assert torch.equal(fed.sizes, sizes) and torch.equal(fed.class_counts, counts)


def test_personal_state_without_a_name_is_checkpointed():
    again = loads(dumps({"heads": PerClient({}, 4)}))["heads"]
    assert list(again) == [] and again.clients == 4
    finish(make_job(tiny_setup().spec("fedper", personal_layers=0), tiny_setup().partition, EVERY_ROUND),
           tiny_setup().dataset)  # fmt: skip


def test_a_client_may_not_spend_what_its_cohort_may():
    @register_method("one_for_all", paper="none")
    class OneForAll(Method):
        moment = "global"
        Config = LocalSgdConfig

        def init(self, fed):
            return State(server=fed.init_params())

        def round(self, fed, state, cohort):
            steps = torch.zeros(len(cohort), dtype=torch.int64)
            steps[0] = fed.local_steps + 1
            fed.train(fed.send(state.server, cohort), cohort, self.config.sgd(), steps=steps)
            return state

        def global_params(self, fed, state):
            return Params(state.server)

    setup = tiny_setup()
    with pytest.raises(CheckFailedError, match="one_for_all.round took 21 mini-batch gradients of client"):
        finish(make_job(setup.spec("one_for_all"), setup.partition, Options()), setup.dataset)
    harness = Harness("one_for_all")
    with pytest.raises(BudgetError, match="fed.local_steps=20 is what each may spend"):
        fed = harness.fed
        harness.method.round(fed, harness.state, harness.clients(2))
        fed.check_spent("it")
