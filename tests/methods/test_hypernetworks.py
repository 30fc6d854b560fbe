"""Hypernetworks beside pFedHN: each is what its paper says, by an identity or by hand."""

import math

import pytest
import torch
import torch.nn.functional as F
from pfl_bench.methods import mh_pfedhn, pfedla
from pfl_bench.methods._adam import AdamRule, adam_carry, adam_moments, adam_step_, clipped
from pfl_bench.methods._embedding import embed
from pfl_bench.methods._hypernetwork import generate

from pfl_bench.api import Params, Sgd, UnsuitedError
from pfl_bench.testing.harness import Harness
from pfl_bench.testing.setup import tiny_setup
from tests.methods.rounds import LOOP, PLAIN, by_hand, close, close_or_same, down, row, same, slopes


def test_pfedla_descends_the_distance_to_what_came_back():
    """The step on v_i and psi_i against central differences of |mixed - returned|^2 / 2: its size and its sign."""
    mixed = pfedla.mixed
    harness = Harness("pfedla", rounds=2, lr=0.1, hn_lr=1e-2, embedding=4, hidden=5)
    cohort, layers = harness.clients(0, 3), harness.fed.model.layers
    before, models = harness.state.phi.rows(cohort), harness.state.models.rows(harness.clients())
    harness.round(0, 3)
    after, returned = harness.state.phi.rows(cohort), harness.state.models.rows(cohort)
    doubles = [{n: t.double() for n, t in tree.items()} for tree in (before, models, returned)]

    def distance(phi) -> float:
        made = mixed(phi, doubles[1], layers)
        return sum(float((made[name] - doubles[2][name]).square().sum()) for name in made) / 2

    for name, tensor in before.items():
        steepest = (after[name] - tensor).abs().flatten().topk(4).indices
        for at in steepest:
            moved = [doubles[0][name].clone() for _ in range(2)]
            for sign, copy in zip((1, -1), moved, strict=True):
                copy.view(-1)[at] += sign * 1e-5
            ahead, behind = (distance({**doubles[0], name: copy}) for copy in moved)
            step = float((after[name] - tensor).flatten()[at])
            assert step == pytest.approx(-1e-2 * (ahead - behind) / 2e-5, rel=2e-2, abs=1e-6), name
    assert distance({n: t.double() for n, t in after.items()}) < distance(doubles[0])


def test_pfedla_two_rounds_by_hand():
    """Every layer has weights of its own; what clients returned last is what is mixed."""
    harness, clients = by_hand("pfedla", lr=0.3, hn_lr=0.5, embedding=4, hidden=5, **PLAIN), (0, 3)
    models = [harness.fed.init_params()] * 6
    phi = {i: row(harness.state.phi, i) for i in range(6)}

    def mixture(own):
        made, hidden = {}, (own["trunk"] @ own["embedding"]).relu()
        for layer, names in enumerate((("hidden.weight", "hidden.bias"), ("head.weight", "head.bias"))):
            a = (own["heads"][layer] @ hidden).relu() + 1e-6
            a = a / a.sum()
            made |= {k: sum(a[j] * models[j][k] for j in range(6)) for k in names}
        return made

    for _ in range(3):
        ends = {}
        for i in clients:
            leaves = {k: t.clone().requires_grad_() for k, t in phi[i].items()}
            sent = mixture(leaves)
            start = {k: t.detach() for k, t in sent.items()}
            ends[i] = down(start, slopes(harness, i, start), 0.3)
            away = sum((sent[k] - ends[i][k]).square().sum() for k in sent) / 2
            found = torch.autograd.grad(away, list(leaves.values()))
            phi[i] = {k: t.detach() - 0.5 * g for (k, t), g in zip(leaves.items(), found, strict=True)}
        models = [ends.get(j, model) for j, model in enumerate(models)]
        harness.round(*clients)
    for i in range(6):
        close(row(harness.state.phi, i), phi[i])
        close(row(harness.received, i), mixture(phi[i]))


def test_pfedla_starts_near_the_mean_with_weights_that_sum_to_one():
    harness = Harness("pfedla")
    weights = pfedla.layer_weights(harness.state.phi)
    assert weights.shape == (6, len(harness.fed.model.layers), 6) and (weights > 0).all()
    torch.testing.assert_close(weights.sum(2), torch.ones(6, 2))
    assert (weights - 1 / 6).abs().max() < 0.1
    close_or_same(row(harness.received, 0), harness.fed.init_params(), exact=False)


@pytest.mark.parametrize("size", [1.0, 1e-4])
def test_adam_is_torchs(size):
    """Five steps with clipping; and the same as a rule on a client, and with a count of steps per row.

    Small gradients show where epsilon is added.
    """
    torch.manual_seed(0)
    start, targets, lr = size * torch.randn(2, 3), size * torch.randn(5, 2, 3), 0.1 * size
    theirs, ours = start.clone().requires_grad_(), Params(w=start.clone())
    optimizer, moments = torch.optim.Adam([theirs], lr=lr), adam_moments(ours)
    rows, each = Params(w=start.clone()), adam_moments(ours, rows=2)
    rule, carry, on_client = AdamRule(), adam_carry(Params(w=start.unsqueeze(0))), start.clone()
    carry = tuple(row(part, 0) if isinstance(part, dict) else part[0] for part in carry)
    for target in targets:
        optimizer.zero_grad()
        ((theirs - target) ** 2).sum().backward()
        unclipped = {"w": 2 * (ours["w"] - target)}
        adam_step_(rows, unclipped, each, lr)
        direction, carry = rule(lambda params, batch: {"w": unclipped["w"]}, {"w": on_client}, (None,), None, carry)  # noqa: B023
        on_client = on_client - lr * direction["w"]
        assert each.steps["taken"].shape == (2, 1)
        torch.testing.assert_close(rows["w"] / size, on_client / size)
        torch.nn.utils.clip_grad_norm_([theirs], 1.5)
        optimizer.step()
        adam_step_(ours, clipped(unclipped, 1.5), moments, lr)
        torch.testing.assert_close(ours["w"] / size, theirs.detach() / size)


def of_samples(eta, x, y, scale):
    """PeFLL's standardised embedding of a client, by hand."""
    mean = embed(eta, x, F.one_hot(y, 3).float()).mean(0)
    return ((mean - scale["mean"]) / scale["std"]).unsqueeze(0)


def inputs(net, params, batch, aux):
    return {"x": batch.x.flatten(1), "y": batch.y, "real": batch.weight}


@pytest.mark.parametrize("size", [32, 5])
def test_pefll_descends_through_the_embeddings_into_the_embedding_network(size):
    """The gradient that Adam saw is that of mean <theta_i(phi, eta), sent - returned>, in one graph.

    With 5 of a client's samples in a batch those that were embedded are those that eta is pulled back through.
    """
    setup = tiny_setup().but(local_steps=3, batch_size=size)
    harness = Harness("pefll", setup, options=LOOP, embedding=4, hidden=9)
    fed, cohort, shapes = harness.fed, harness.clients(0, 3), harness.fed.model.shapes
    phi, eta = (harness.state.phi.map(torch.clone), harness.state.eta.map(torch.clone))
    drawn = fed.compute(inputs, fed.send(eta, cohort), cohort, over=1, reduce="rows", stream="embedding")
    batches = [(drawn["x"][i][drawn["real"][i] > 0], drawn["y"][i][drawn["real"][i] > 0]) for i in range(2)]
    harness.round(0, 3)
    leaves = (phi | eta).map(lambda tensor: tensor.requires_grad_())
    scale, total = harness.state.scale, 0.0
    for client, batch in zip((0, 3), batches, strict=True):
        theta = generate(leaves, of_samples(leaves, *batch, scale), shapes)
        start = theta.map(torch.Tensor.detach)
        returned = fed.train(start, cohort[:1] * 0 + client, Sgd(2e-3, 0.9, 5e-5, 50.0), steps=2).params
        total += sum((theta[name] * (start[name] - returned[name])).sum() for name in shapes) / 2
    found = torch.autograd.grad(total, list(leaves.values()))
    seen = {name: tensor / 0.1 for name, tensor in harness.state.adam.first.items()}
    close(seen, dict(zip(leaves, found, strict=True)))
    assert min(float(seen[name].abs().max()) for name in ("fc1.weight", "fc3.weight", "trunk.0.weight")) > 0
    raw = torch.stack([embed(eta, x, F.one_hot(y, 3).float()).mean(0) for x, y in batches])
    torch.testing.assert_close(scale["mean"], raw.mean())
    torch.testing.assert_close(scale["std"], raw.std(correction=0))


def test_pefll_serves_unseen_clients_by_one_forward_pass():
    """Enrolling takes no step and is what a training client with the same samples gets; nothing is masked."""
    harness = Harness("pefll", rounds=3)
    scale = harness.state.scale.map(torch.clone)
    harness.round()
    same(harness.state.scale, scale)
    fed = harness.federation("enroll")
    same(harness.method.enroll(fed, harness.state, fed.everyone), harness.received)
    assert harness.costs.adapt_steps == 0 and harness.costs.adapt_forward_samples > 0
    assert harness.served("received").predict is None
    x, y = harness.samples(2)
    made = generate(harness.state.phi, of_samples(harness.state.eta, x, y, scale), fed.model.shapes)
    close(row(made, 0), row(harness.received, 2))


def test_pefll_moves_both_networks_worth_and_counts_the_embeddings_gradient():
    harness = Harness("pefll")
    harness.round(0, 1, 4)
    size = sum(tensor.numel() for tensor in harness.state.eta.values()) + harness.fed.model.size + 2
    assert harness.costs.bytes_down == harness.costs.bytes_up == 3 * 4 * size
    assert harness.costs.local_steps == 3 * 20


def test_pefll_convolves_where_images_are_large_enough():
    small, large = (Harness("pefll", tiny_setup(f"synthetic:classes=3,n=180,side={side}")) for side in (8, 16))
    assert "conv1.weight" not in small.state.eta
    assert large.state.eta["conv1.weight"].shape == (16, 4, 5, 5) and large.state.eta["fc1.weight"].shape == (120, 32)
    large.round(0, 1)
    assert large.state.adam.first["conv1.weight"].abs().max() > 0


def of_embedding(phi, v, shapes):
    """HyperFL's body by hand: one hidden layer with a ReLU, then a linear map per tensor."""
    hidden = F.relu(phi["trunk.0.weight"] @ v + phi["trunk.0.bias"])
    return {n: (phi[f"head.{n}.weight"] @ hidden + phi[f"head.{n}.bias"]).view(shape) for n, shape in shapes.items()}


def test_hyperfl_round_by_hand():
    """A head step, then a step of phi and v through the generated body, each with its own rate; phi by samples."""
    harness = by_hand("hyperfl", 2, lr=0.2, head_lr=0.3, head_share=0.5, embedding=4, hidden=5, **PLAIN)
    cohort, shapes, head = (0, 3), harness.method.shapes(harness.fed), sorted(harness.fed.model.head)
    phi, net = dict(harness.state.phi), harness.group.model.evaluating()
    moved, sizes = [], [len(harness.samples(client)[1]) for client in cohort]
    owns = harness.state.own.rows(harness.clients(*cohort))
    harness.round(*cohort)

    def loss(leaves, client):
        x, y = harness.samples(client)
        made = of_embedding(leaves, leaves["embedding"], shapes)
        return F.cross_entropy(net(made | {name: leaves[name] for name in head}, x), y)

    for position, client in enumerate(cohort):
        at = {**phi, **row(owns, position)}
        for names, lr in ((head, 0.3), ([*phi, "embedding"], 0.2)):
            leaves = {name: tensor.detach().clone().requires_grad_() for name, tensor in at.items()}
            slopes = torch.autograd.grad(loss(leaves, client), [leaves[name] for name in names])
            at |= {name: at[name] - lr * slope for name, slope in zip(names, slopes, strict=True)}
        moved.append(at)
        close(row(harness.state.own.rows(harness.clients(client)), 0), {name: at[name] for name in owns})
    share = [size / sum(sizes) for size in sizes]
    close(harness.state.phi, {name: share[0] * moved[0][name] + share[1] * moved[1][name] for name in phi})
    others = harness.state.own.rows(harness.clients(1))
    assert torch.equal(others["embedding"][0], harness.state.own.default["embedding"])


def test_hyperfl_sends_the_hypernetwork_and_nothing_else():
    harness = Harness("hyperfl")
    harness.round(0, 1, 4)
    phi = sum(tensor.numel() for tensor in harness.state.phi.values())
    body = sum(math.prod(shape) for shape in harness.method.shapes(harness.fed).values())
    assert phi == 64 * 128 + 128 + body * 129
    assert harness.costs.bytes_down == harness.costs.bytes_up == 3 * 4 * phi


def test_hyperfl_clips_phi_and_the_embedding_by_norms_of_their_own():
    config = {"momentum": 0.0, "weight_decay": 0.0, "clip_norm": 1e-3, "lr": 0.5, "head_share": 0.5}
    harness = by_hand("hyperfl", 2, **config)
    phi = harness.state.phi
    harness.round(2)
    v = harness.state.own.rows(harness.clients(2))["embedding"][0] - harness.state.own.default["embedding"]
    steps = [torch.cat([(harness.state.phi[name] - phi[name]).flatten() for name in phi]).norm(), v.norm()]
    assert [float(step) for step in steps] == pytest.approx([0.5e-3] * 2, rel=1e-2)


def of_vectors(phi, vectors, shapes):
    """MH-pFedHN's model by hand: a vector, the trunk and a head of its own per piece."""
    pieces = []
    for v, weight, bias in zip(vectors, phi["weight"], phi["bias"], strict=True):
        for layer in range(3):
            v = F.relu(phi[f"trunk.{layer}.weight"] @ v + phi[f"trunk.{layer}.bias"])
        pieces.append(weight.T @ v + bias)
    flat, made, start = torch.cat(pieces), {}, 0
    for name, shape in shapes.items():
        made[name] = flat[start : start + math.prod(shape)].view(shape)
        start += math.prod(shape)
    return made


def of_two_sizes(**config) -> tuple[Harness, Harness]:
    """Clients with small and large models in one federation, as the engine steps them; the second for the large."""
    setup = tiny_setup("synthetic:classes=3,n=180,side=16").but(model=("lenet7", "mlp"))
    large, small = (Harness("mh_pfedhn", setup, position=at, options=LOOP, **config) for at in (1, 0))
    large.state = small.state
    return small, large


@pytest.mark.parametrize("bound", [50.0, 0.02])
def test_mh_pfedhn_steps_trunk_heads_and_vectors_by_the_vector_jacobian_product(bound):
    harness = Harness("mh_pfedhn", options=LOOP, piece=900, embedding=3, hidden=6, spread=1.0, clip_norm=bound)
    shapes, size = harness.fed.model.shapes, harness.fed.model.size
    m = math.ceil(size / 900)
    phi = (harness.state.phi["trunk"] | harness.state.phi[str(m)]).map(torch.clone)
    v, sgd = harness.state.vectors["v"].clone(), harness.method.config.inner_sgd()
    assert v.shape == (6, m, 3) and m > 1
    sent = of_vectors(phi, v[2], shapes)
    close(row(harness.received, 2), sent)
    start = Params({name: tensor.unsqueeze(0) for name, tensor in sent.items()})
    back = harness.fed.train(start, harness.clients(2), sgd).params
    harness.round(2)
    leaves = {**phi, "v": v[2].clone()}
    leaves = {name: tensor.requires_grad_() for name, tensor in leaves.items()}
    made = of_vectors(leaves, leaves["v"], shapes)
    total = sum((made[name] * (sent[name] - back[name][0])).sum() for name in shapes)
    found = dict(zip(leaves, torch.autograd.grad(total, list(leaves.values())), strict=True))
    adam = harness.state.adam
    seen = {**adam["trunk"].first, **adam[str(m)].first, "v": harness.state.moments.first["v"][2]}
    norm = torch.cat([slope.flatten() for slope in found.values()]).norm()
    assert (norm > bound) == (bound < 1)
    share = min(1, bound / norm)
    close({name: tensor / 0.1 for name, tensor in seen.items()}, {n: t * share for n, t in found.items()})
    others = [0, 1, 3, 4, 5]
    assert torch.equal(harness.state.vectors["v"][others], v[others]), "what the cohort did not use stays"
    assert not torch.equal(harness.state.vectors["v"][2], v[2])


def test_mh_pfedhn_gives_vectors_by_size_and_heads_by_size_class():
    small, large = of_two_sizes(piece=3072)
    sizes = [math.ceil(harness.fed.model.size / 3072) for harness in (small, large)]
    assert len(set(sizes)) == 2 and set(small.state.phi) == {"trunk", *map(str, sizes)}
    assert small.state.vectors["v"].shape == (6, max(sizes), 64)
    heads = small.state.phi[str(sizes[1])]["weight"].clone()
    trunk = small.state.phi["trunk"]["trunk.1.weight"].clone()
    small.round(0)
    assert torch.equal(small.state.phi[str(sizes[1])]["weight"], heads), "another size class"
    assert not torch.equal(small.state.phi["trunk"]["trunk.1.weight"], trunk), "the trunk is everybody's"
    one, _ = of_two_sizes(piece=10**5)
    assert set(one.state.phi) == {"trunk", "1"}, "models of like size share their heads"


def test_mh_pfedhn_sends_the_model_only_and_enrolls_by_vectors_alone():
    harness = Harness("mh_pfedhn", rounds=3)
    assert harness.costs.bytes_down == harness.costs.bytes_up == 3 * 4 * harness.fed.model.size
    fed, method, shapes = harness.federation("enroll"), harness.method, harness.fed.model.shapes
    fresh = method.fresh(fed, 6, harness.state.vectors["v"].shape[1])
    before = mh_pfedhn.assembled(method.phi(fed, harness.state), fresh, shapes)
    after, (x, y) = method.enroll(fed, harness.state, fed.everyone), harness.samples(4)
    net = harness.group.model.evaluating()
    losses = [F.cross_entropy(net(row(params, 4), x), y) for params in (before, after)]
    assert losses[1] < losses[0]


def test_hyperfl_is_not_for_a_client_model_without_a_body():
    with pytest.raises(UnsuitedError, match="has no body"):
        Harness("hyperfl", setup=tiny_setup(model="logistic"))
