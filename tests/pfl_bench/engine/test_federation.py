import pytest
import torch

from pfl_bench.client.params import Params
from pfl_bench.client.training import Sgd
from pfl_bench.engine.places import build_federation
from pfl_bench.engine.simulator import draw_cohort
from pfl_bench.errors import UnsuitedError
from pfl_bench.testing.kit import tiny_arena

COHORT = torch.tensor([4, 1])


@pytest.fixture
def fed():
    arena = tiny_arena()
    return build_federation(arena.spec("fedavg"), arena.dataset, arena.partition, torch.device("cpu"))


def test_average_is_weighted_by_samples(fed):
    values = Params({"w": torch.tensor([[1.0], [3.0]])})
    n = fed.sizes[COHORT]
    expected = (n[0] * 1 + n[1] * 3) / n.sum()
    torch.testing.assert_close(fed.average(values, COHORT)["w"], expected.view(1))
    torch.testing.assert_close(fed.average(values, COHORT, "uniform")["w"], torch.tensor([2.0]))


def test_traffic_is_metered_in_bytes_and_not_while_evaluating(fed):
    params = fed.init_params()
    fed.collect(fed.send(params, COHORT).only(fed.model.head))
    head = sum(params[name].numel() for name in fed.model.head)
    assert fed.costs.bytes_down == 2 * 4 * fed.model.size
    assert fed.costs.bytes_up == 2 * 4 * head
    looking = fed.at(0, 0.0, "evaluate", fed.costs)
    looking.collect(looking.send(params, COHORT))
    assert fed.costs.bytes_down == 2 * 4 * fed.model.size


def test_work_is_counted(fed):
    fed.train(fed.send(fed.init_params(), COHORT), COHORT, Sgd(0.1), steps=3, gradients_per_step=2, draws=2)
    assert fed.costs.local_steps == 2 * 3 * 2
    assert fed.costs.samples == 2 * 3 * 2 * 8
    looking = fed.at(0, 0.0, "evaluate", fed.costs)
    looking.train(fed.send(fed.init_params(), COHORT), COHORT, Sgd(0.1), steps=3)
    assert (fed.costs.local_steps, fed.costs.adapt_steps) == (12, 6)


def test_default_steps_spend_the_visit(fed):
    start = fed.send(fed.init_params(), COHORT)
    fed.train(start, COHORT, Sgd(0.1), gradients_per_step=3)
    assert fed.costs.local_steps == 2 * (20 // 3) * 3
    with pytest.raises(UnsuitedError, match="local_steps=20 is too few: one step of this method takes 21"):
        fed.train(start, COHORT, Sgd(0.1), gradients_per_step=21)


def test_batches_depend_on_client_round_and_stream_only(fed):
    def trained(at, cohort, **options):
        start = at.send(at.init_params(), cohort)
        return at.train(start, cohort, Sgd(0.1), steps=2, **options).params.rows(torch.tensor([0]))

    alone, together = trained(fed, torch.tensor([1])), trained(fed, torch.tensor([1, 3, 5]))
    torch.testing.assert_close(dict(alone), dict(together))
    later = trained(fed.at(7, 0.5, "train", fed.costs), torch.tensor([1]))
    other = trained(fed, torch.tensor([1]), stream="other")
    for different in (later, other):
        assert not torch.allclose(alone["hidden.weight"], different["hidden.weight"])


def test_nothing_trainable_changes_nothing(fed):
    start = fed.send(fed.init_params(), COHORT)
    trained = fed.train(start, COHORT, Sgd(0.1), trainable=frozenset())
    assert all(torch.equal(trained.params[k], start[k]) for k in start)


def test_per_client_copies_do_not_alias(fed):
    clients = fed.per_client(fed.init_params())
    clients["hidden.bias"][0] += 1
    assert not torch.equal(clients["hidden.bias"][0], clients["hidden.bias"][1])


def test_cohorts_are_shared_by_methods_and_distinct():
    cohorts = [draw_cohort(0, round, clients=20, size=5) for round in range(50)]
    assert all(len(set(c.tolist())) == 5 for c in cohorts)
    assert cohorts[3].tolist() == draw_cohort(0, 3, 20, 5).tolist()
    assert set(range(20)) == {int(i) for c in cohorts for i in c}
    assert len(draw_cohort(0, 0, clients=3, size=5)) == 3
