import pytest

from pfl_bench.data.partition import make_partition
from pfl_bench.errors import RequestError
from pfl_bench.running.fit import check_fit
from pfl_bench.testing.setup import tiny_setup


def test_a_batch_of_more_than_there_is_is_refused_before_it_is_drawn():
    setup = tiny_setup()
    samples = len(setup.dataset.train_labels)
    check_fit(setup.scenario.model_copy(update={"batch_size": samples}), setup.dataset)
    with pytest.raises(RequestError, match=f"batch_size=1000000000, but synthetic.* has {samples} training samples"):
        check_fit(setup.scenario.model_copy(update={"batch_size": 10**9}), setup.dataset)


@pytest.mark.parametrize(
    ("rule", "parameters"), [("iid", {}), ("classes", {"classes": 2}), ("dirichlet", {"alpha": 1})]
)
def test_more_clients_than_samples_are_refused_before_anything_of_that_size_is_made(rule, parameters):
    dataset = tiny_setup().dataset
    with pytest.raises(RequestError, match="clients=1000000000: use fewer clients, at most"):
        make_partition(rule, parameters, dataset, 10**9, 0)


@pytest.mark.parametrize("value", [True, 2.0, "2", 0])
def test_a_rules_numbers_are_numbers(value):
    with pytest.raises(RequestError, match="^partition rule classes: classes="):
        make_partition("classes", {"classes": value}, tiny_setup().dataset, 4, 0)
