"""What a hook returns is looked at where it is known which hook it was."""

import re

import pytest
import torch

from pfl_bench.api import LocalSgdConfig, Method, Params, Served, State, register_method
from pfl_bench.testing.harness import Harness


def slip(**hooks):
    @register_method("slip", paper="none")
    class Slip(Method):
        Config = LocalSgdConfig

        def init(self, fed):
            return State(server=fed.init_params())

        def round(self, fed, state, cohort):
            return state

        client_params = hooks.pop("client_params", lambda self, fed, state, clients: fed.send(state.server, clients))

    for name, hook in hooks.items():
        setattr(Slip, name, hook)
    return Harness("slip")


def forgets_the_body(self, fed, state, clients):
    return fed.send(state.server.only(fed.model.head), clients)


def shared(self, fed, state, clients):
    return state.server


def everybody(self, fed, state, clients):
    return fed.send(state.server, fed.everyone)


@pytest.mark.parametrize(
    ("hook", "error", "said"),
    [
        (forgets_the_body, ValueError, "slip.client_params returned the wrong parameters: missing hidden.weight"),
        (shared, ValueError, "slip.client_params returned hidden.weight of shape (64, 64); it must be (6, 64, 64)"),
        (lambda self, fed, state, clients: None, TypeError, "slip.client_params returned NoneType; it must return"),
        (lambda *given: Params(stray=torch.ones(6)), ValueError, "unknown stray"),
    ],
)
def test_what_is_wrong_with_it_names_the_hook(hook, error, said):
    with pytest.raises(error, match=re.escape(said)):
        slip(client_params=hook).served("received")


def test_rows_of_everybody_for_a_few_are_refused():
    harness = slip(client_params=everybody)
    from pfl_bench.engine.moments import serve

    with pytest.raises(ValueError, match=re.escape("of shape (6, 64, 64); it must be (2, 64, 64)")):
        serve(harness.method, harness.federation("evaluate"), harness.state, "received", harness.clients(1, 4))


def constant(net, params, x, aux):
    return torch.zeros(len(x), 3) + params["bias"]


def test_a_prediction_of_its_own_may_have_parameters_of_its_own():
    harness = slip(client_params=lambda *given: Served(Params(bias=torch.ones(6, 3)), constant))
    assert harness.served("received").params["bias"].shape == (6, 3)


def test_a_server_model_is_stacked():
    harness = Harness("fedavg")
    served = harness.served("global")
    assert all(tensor.shape[0] == 6 for tensor in served.params.values())
