from dataclasses import replace

import pytest

from pfl_bench.data.partition import make_partition
from pfl_bench.errors import RequestError
from pfl_bench.running.fit import check_clients, check_fit, enrollment_notes
from pfl_bench.spec.scenario import EnrollSpec
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


def test_a_primary_metric_that_does_not_exist_for_these_clients_is_refused_before_any_run():
    setup = tiny_setup("synthetic:classes=4,n=400", rule={"rule": "pfllib_pat", "classes": 1}, clients=4)
    setup = setup.but(primary="auc")
    said = "primary='auc' is undefined on the validation samples: no client has samples of two classes there; choose"
    with pytest.raises(RequestError, match=said):
        check_clients(setup.scenario, setup.dataset, setup.partition)
    check_clients(setup.scenario.model_copy(update={"primary": "macro_f1"}), setup.dataset, setup.partition)
    two = make_partition("pfllib_pat", {"classes": 2}, setup.dataset, 4, 0)
    check_clients(setup.scenario, setup.dataset, two)
    novel = replace(setup.partition, novel=1)
    mixed = replace(novel, validation=(*novel.validation[:3], two.validation[0]))
    with pytest.raises(RequestError, match="is undefined on the validation"):
        check_clients(setup.scenario, setup.dataset, mixed)


def test_more_labelled_samples_than_novel_clients_have_are_refused_or_told():
    setup = tiny_setup(rule={"rule": "dirichlet", "alpha": 0.5}, clients=6)
    partition = replace(setup.partition, novel=3)
    sizes = sorted(map(len, partition.train[3:]))
    assert sizes[0] < sizes[-1]

    def asking(samples):
        return setup.scenario.model_copy(update={"novel": 3, "enroll": EnrollSpec(samples=samples)})

    with pytest.raises(
        RequestError, match=f"enroll: samples=9999, but no novel client has more than {sizes[-1]} train"
    ):
        check_clients(asking((5, 9999)), setup.dataset, partition)
    check_clients(asking((sizes[-1], "all")), setup.dataset, partition)
    (note,) = enrollment_notes(asking((sizes[0], sizes[-1], "all")), partition)
    assert note.startswith(
        f"enroll: {sum(s < sizes[-1] for s in sizes)} of 3 novel clients have fewer than {sizes[-1]}"
    )


@pytest.mark.parametrize("value", [True, 2.0, "2", 0])
def test_a_rules_numbers_are_numbers(value):
    with pytest.raises(RequestError, match="^partition rule classes: classes="):
        make_partition("classes", {"classes": value}, tiny_setup().dataset, 4, 0)
