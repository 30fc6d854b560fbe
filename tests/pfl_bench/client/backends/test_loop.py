"""The reference: what it does is what one would do by hand."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from pfl_bench.client.backends import BACKENDS
from pfl_bench.client.sgd import Sgd

from .cases import MODEL, TAKEN, alone, assert_close, case, pool, request, train


@pytest.mark.parametrize("backend", BACKENDS)
def test_clients_and_losses_are_those_of_torch_optim_by_hand(backend):
    asked = request(sgd=Sgd(0.1, 0.9, 1e-3, 0.5), taken=TAKEN)
    trained = train(backend, asked)
    assert trained.losses.shape == (3, 4)
    for client in range(3):
        params = {name: tensor[client].clone().requires_grad_() for name, tensor in asked.params.items()}
        optimiser = torch.optim.SGD(params.values(), lr=0.1, momentum=0.9, weight_decay=1e-3)
        for step in range(TAKEN[client]):
            x, y = pool().gather(asked.plan.indices[client, step, 0, : asked.plan.sizes[client, step, 0]])
            loss = F.cross_entropy(MODEL.evaluating()(params, x), y)
            assert trained.losses[client, step].item() == pytest.approx(loss.item(), rel=1e-4)
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(params.values(), 0.5)
            optimiser.step()
        assert trained.losses[client, TAKEN[client] :].isnan().all(), "no step, no loss"
        for name, tensor in params.items():
            torch.testing.assert_close(trained.params[name][client], tensor.detach(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["plain", "rule", "groups"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_client_with_k_steps_is_that_client_alone_with_k_steps(backend, name):
    asked = case(MODEL, name)
    uneven = train(backend, request(taken=TAKEN, sgd=asked.sgd, rule=asked.rule, carry=asked.carry))
    for client, steps in enumerate(TAKEN):
        single = train(backend, alone(asked, client, steps))
        for field in ("params", "momentum", "carry"):
            for key, tensor in (getattr(single, field) or {}).items():
                torch.testing.assert_close(getattr(uneven, field)[key][client], tensor[0], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(uneven.losses[client, :steps], single.losses[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_client_without_a_step_comes_back_as_it_was(backend):
    asked = request(taken=np.array([2, 0, 4]), momentum=request().params.map(torch.ones_like))
    trained = train(backend, asked)
    for name, tensor in asked.params.items():
        assert torch.equal(trained.params[name][1], tensor[1])
        assert torch.equal(trained.momentum[name][1], asked.momentum[name][1])
    assert trained.losses[1].isnan().all() and not trained.losses[2].isnan().any()


def test_the_loop_trains_a_client_alike_whoever_else_is_there():
    asked = case(MODEL, "rule")
    together = train("loop", asked)
    for client in range(3):
        single = train("loop", alone(asked, client, 4))
        assert all(torch.equal(together.params[key][client], tensor[0]) for key, tensor in single.params.items())


def test_the_loss_of_a_rule_is_that_of_its_first_gradient():
    plain, ruled = train("loop", request(clients=1)), train("loop", case(MODEL, "rule"))
    assert plain.losses[0, 0] == ruled.losses[0, 0]
    assert_close(train("loop", case(MODEL, "rule")), ruled, exact=True)
