"""pFedHN against finite differences and against the official code's rules (paper_pfedhn.md, sections 2 and 3)."""

import pytest
import torch
from pfl_bench.methods._hypernetwork import embedding_size, generate, init_hypernetwork, update_hypernetwork_

from pfl_bench.api import Sgd, zeros_like
from pfl_bench.client.build import make_model
from pfl_bench.testing.harness import Harness
from tests.methods.rounds import by_hand, close, down, row, slopes


@pytest.mark.parametrize(("clients", "size"), [(10, 3), (50, 13), (100, 26), (3, 1)])
def test_embedding_size(clients, size):
    assert embedding_size(clients) == size


@pytest.mark.parametrize("cohort", [[2], [0, 2]])
def test_update_is_the_vector_jacobian_product(cohort):
    """Moving phi by -lr g must change <theta_i, delta_i>, averaged over the cohort, by -lr |g|^2."""
    fed = Harness("pfedhn").fed
    shapes = {"w": torch.Size([4, 3]), "b": torch.Size([3])}
    phi = init_hypernetwork(fed, {"": shapes}, embedding=3, hidden=7, hidden_layers=2).map(torch.Tensor.double)
    clients = torch.tensor(cohort)
    torch.manual_seed(0)
    delta = {name: torch.randn(len(cohort), *shape, dtype=torch.float64) for name, shape in shapes.items()}

    def inner(at):
        theta = generate(at, at["embedding"][clients], shapes)
        return sum((theta[name] * delta[name]).sum() for name in shapes).item() / len(cohort)

    moved = phi.map(torch.clone)
    update_hypernetwork_(moved, zeros_like(phi), clients, shapes, delta, Sgd(1.0))
    epsilon = 1e-6
    for name in phi:
        flat = phi[name].view(-1)
        for position in range(0, len(flat), max(1, len(flat) // 5)):
            values = []
            for sign in (1, -1):
                shifted = phi.map(torch.clone)
                shifted[name].view(-1)[position] += sign * epsilon
                values.append(inner(shifted))
            slope = (values[0] - values[1]) / (2 * epsilon)
            step = (moved[name] - phi[name]).view(-1)[position].item()
            assert step == pytest.approx(-slope, abs=1e-6), f"{name}[{position}]: descend, do not ascend"


def test_update_moves_the_generated_model_towards_the_trained_one():
    fed = Harness("pfedhn").fed
    shapes = fed.model.shapes
    phi = init_hypernetwork(fed, {"": shapes}, 3, 20, 1)
    clients = torch.tensor([1])
    theta = generate(phi, phi["embedding"][clients], shapes)
    target = {name: tensor + 0.1 * torch.randn_like(tensor) for name, tensor in theta.items()}
    delta = {name: theta[name] - target[name] for name in theta}
    before = sum((d**2).sum() for d in delta.values())
    update_hypernetwork_(phi, zeros_like(phi), clients, shapes, delta, Sgd(1e-2))
    after = sum(((generate(phi, phi["embedding"][clients], shapes)[n] - target[n]) ** 2).sum() for n in target)
    assert after < before


def test_hypernetwork_size_of_the_paper():
    """12.272 M weights for 50 clients on CIFAR-10 (section 4)."""
    model = make_model("lenet", (3, 32, 32), 10)
    fed = Harness("pfedhn").fed
    phi = init_hypernetwork(fed, {"": model.shapes}, 13, 100, 3)
    weights = sum(t.numel() for name, t in phi.items() if name != "embedding") + 50 * 13
    assert weights == pytest.approx(12.272e6, rel=1e-4)


def test_only_the_client_model_travels():
    whole = Harness("pfedhn", rounds=3)
    assert whole.costs.bytes_down == whole.costs.bytes_up == 3 * 4 * whole.fed.model.size
    body = Harness("pfedhn_pc", rounds=3)
    head = sum(t.numel() for t in body.fed.init_params().only(body.fed.model.head).values())
    assert body.costs.bytes_up == 3 * 4 * (body.fed.model.size - head)


def test_unvisited_embeddings_only_decay():
    harness = Harness("pfedhn")
    embeddings = harness.state.phi["embedding"].clone()
    harness.round(2)
    moved = (harness.state.phi["embedding"] - embeddings).abs().amax(1)
    decay = 1e-2 * 1e-3 * embeddings.abs().amax(1)
    others = [0, 1, 3, 4, 5]
    torch.testing.assert_close(moved[others], decay[others], rtol=0.05, atol=1e-7)
    assert moved[2] > 10 * decay[2]


def test_personal_head_and_its_momentum_persist():
    harness = Harness("pfedhn_pc")
    everyone = harness.clients()
    heads = harness.state.heads.rows(everyone)
    harness.round(1)
    moved, momentum = harness.state.heads.rows(everyone), harness.state.head_momentum.rows(everyone)
    for name in heads:
        assert not torch.equal(moved[name][1], heads[name][1])
        assert torch.equal(moved[name][0], heads[name][0]), "other clients keep theirs"
        assert momentum[name][1].abs().sum() > 0 and momentum[name][0].abs().sum() == 0
    states = []
    for scale in (1, 0):
        twin = Harness("pfedhn_pc")
        twin.round(1)
        twin.state.head_momentum = twin.state.head_momentum.map(lambda buffers, scale=scale: scale * buffers)
        twin.round(1)
        states.append(twin.state.heads.rows(everyone))
    assert any(not torch.equal(states[0][n], states[1][n]) for n in heads), "momentum is carried on"


def test_heads_start_independent_as_in_the_official_code_or_equal_where_asked():
    """Every client's head is a draw of the layer's own initialisation; bodies do not depend on the choice."""
    apart, alike = Harness("pfedhn_pc"), Harness("pfedhn_pc", heads="equal")
    everyone, again = apart.clients(), Harness("pfedhn_pc").state.heads.rows(apart.clients())
    drawn, same = apart.state.heads.rows(everyone), alike.state.heads.rows(everyone)
    for name, heads in drawn.items():
        assert len({tuple(head.flatten().tolist()) for head in heads}) == len(everyone)
        assert all(torch.equal(head, alike.fed.init_params()[name]) for head in same[name])
        assert torch.equal(heads, again[name]), "the seed decides"
        assert 0.7 < heads.std() / same[name].std() < 1.4
    for name in apart.state.phi:
        assert torch.equal(apart.state.phi[name], alike.state.phi[name])


def test_the_head_is_not_clipped_and_the_body_is_by_its_own_norm():
    """With a bound that no gradient keeps, the body hardly moves and the head moves as without one."""
    tight, loose = (Harness("pfedhn_pc", clip_norm=bound, inner_momentum=0.0) for bound in (1e-6, 1e6))
    for harness in (tight, loose):
        harness.setup = harness.setup.but(local_steps=1)
        harness.round(1)
    heads = [harness.state.heads.rows(harness.clients(1)) for harness in (tight, loose)]
    assert all(torch.equal(heads[0][name], heads[1][name]) for name in heads[0])
    moved = [harness.state.phi["head.hidden.bias.bias"] for harness in (tight, loose)]
    assert not torch.equal(*moved)


@pytest.mark.parametrize("name", ["pfedhn", "pfedhn_pc"])
def test_a_round_by_hand(name):
    """phi and the embeddings descend <theta_i, sent - returned>, averaged over the cohort; so theta_i goes to what
    came back."""
    inner = {"inner_lr": 0.2, "inner_momentum": 0.0, "inner_weight_decay": 0.0}
    outer = {"lr": 0.005, "momentum": 0.0, "weight_decay": 0.0, "clip_norm": 1e6}
    harness = by_hand(name, local_steps=2, embedding=3, hidden=6, hidden_layers=1, **inner, **outer)
    before, cohort = harness.received, (1, 4)
    heads = {} if name == "pfedhn" else harness.state.heads.default
    shapes = {k: tuple(t.shape[1:]) for k, t in before.items() if k not in heads}
    leaves, total, ends = harness.state.phi.map(lambda t: t.clone().requires_grad_()), 0.0, {}
    for i in cohort:
        theta, at = generate(leaves, leaves["embedding"][[i]], shapes), row(before, i)
        for _ in range(2):
            at = down(at, slopes(harness, i, at), 0.2)
        total = total + sum((theta[k][0] * (before[k][i] - at[k])).sum() for k in shapes) / 2
        ends[i] = at
    found = torch.autograd.grad(total, list(leaves.values()), materialize_grads=True)
    harness.round(*cohort)
    close(harness.state.phi, {k: t.detach() - 0.005 * g for (k, t), g in zip(leaves.items(), found, strict=True)})
    apart = []
    for i, end in ends.items():
        mine = row(harness.received, i)
        close({k: mine[k] for k in heads}, {k: end[k] for k in heads})
        apart.append([float(sum((at[k] - end[k]).square().sum() for k in shapes)) for at in (mine, row(before, i))])
    assert sum(after for after, _ in apart) < sum(at_first for _, at_first in apart)
