"""bfloat16 with the CPU's help and without."""

import pytest
import torch

from pfl_bench.client import precision
from pfl_bench.client.build import make_model
from pfl_bench.client.precision import Rounded, arithmetic


def run(context, requires_grad=True):
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 5), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(1152, 4))
    x = torch.randn(16, 3, 16, 16)
    with context:
        logits = net(x)
    loss = torch.log_softmax(logits.float(), -1)[:, 0].sum()
    return [logits.float().detach(), *torch.autograd.grad(loss, list(net.parameters()))]


def test_rounding_stands_in_for_autocast():
    rounded, autocast = run(Rounded()), run(torch.autocast("cpu", torch.bfloat16))
    exact = run(arithmetic("fp32", "cpu"))
    for ours, theirs, full in zip(rounded, autocast, exact, strict=True):
        assert (ours - theirs).norm() < 0.02 * theirs.norm()
        assert not torch.equal(ours, full), "rounding must have taken place"
    assert (rounded[0] - autocast[0]).norm() < 0.2 * (exact[0] - autocast[0]).norm()


@pytest.mark.parametrize("units", [True, False])
def test_bf16_runs_with_and_without_the_cpu_s_help(monkeypatch, units):
    monkeypatch.setattr(precision, "has_bf16_units", lambda: units)
    model = make_model("lenet7", (1, 16, 16), 3, "bf16")
    params, x = model.init(0), torch.randn(5, 1, 16, 16)
    logits = model.evaluating()(params, x)
    assert logits.dtype == torch.float32
    full = make_model("lenet7", (1, 16, 16), 3).evaluating()(params, x)
    assert 0 < (logits - full).abs().max() < 0.05


def test_rounding_works_on_stacked_clients():
    model = make_model("mlp", (1, 4, 4), 3)
    params = {name: torch.stack([p, p + 1]) for name, p in model.init(0).items()}
    x = torch.randn(2, 5, 1, 4, 4)
    with Rounded():
        net = model.evaluating()
        together = torch.func.vmap(net)(params, x)
        apart = [net({k: p[i] for k, p in params.items()}, x[i]) for i in range(2)]
    torch.testing.assert_close(together, torch.stack(apart), rtol=1e-2, atol=1e-2)
