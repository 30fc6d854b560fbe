import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pfl_bench.data.dataset import ArrayDataset
from pfl_bench.data.making import make_dataset
from pfl_bench.data.partition import SPLITS, Partition, make_partition
from pfl_bench.data.store import load_dataset
from pfl_bench.errors import RequestError


def labelled(per_class_train: int, per_class_test: int, classes: int, groups: int | None = None) -> ArrayDataset:
    """A data set of which only labels and groups matter."""
    train = np.tile(np.arange(classes), per_class_train)
    test = np.tile(np.arange(classes), per_class_test)
    arrays: dict[str, np.ndarray] = {
        "train_images": np.zeros((len(train), 1, 1), np.uint8),
        "train_labels": train,
        "test_images": np.zeros((len(test), 1, 1), np.uint8),
        "test_labels": test,
    }
    if groups:
        arrays |= {"train_g": train % groups, "test_g": test % groups}
    return make_dataset("labelled", arrays, classes=classes, groups="g" if groups else None)


RULES = st.one_of(
    st.tuples(st.just("classes"), st.fixed_dictionaries({"classes": st.integers(1, 5), "variant": st.just("code")})),
    st.tuples(st.just("classes"), st.fixed_dictionaries({"classes": st.integers(1, 5), "variant": st.just("paper")})),
    st.tuples(
        st.just("dirichlet"),
        st.fixed_dictionaries({"alpha": st.floats(0.3, 100), "by": st.sampled_from(["class", "client"])}),
    ),
    st.tuples(st.just("iid"), st.just({})),
    st.tuples(st.just("natural"), st.just({})),
    st.tuples(st.just("iid"), st.just({"quantity": {"law": "lognormal", "sigma": 1.0, "min_samples": 40}})),
    st.tuples(st.just("pfllib_dir"), st.fixed_dictionaries({"alpha": st.floats(0.1, 10)})),
    st.tuples(st.just("pfllib_pat"), st.fixed_dictionaries({"classes": st.integers(1, 5), "balanced": st.booleans()})),
    st.tuples(st.just("shards"), st.fixed_dictionaries({"shards": st.integers(1, 4)})),
)


@settings(max_examples=80, deadline=None)
@given(RULES, st.integers(2, 25), st.integers(0, 2**31), st.integers(0, 1))
def test_every_rule_keeps_its_promises(rule, clients, seed, novel):
    name, parameters = rule
    dataset = labelled(400, 100, 10, groups=5)
    try:
        partition = make_partition(name, parameters, dataset, clients, seed, novel)
    except RequestError as error:
        assert "\n" not in str(error)
        assume(False)
    again = make_partition(name, parameters, dataset, clients, seed, novel)
    assert partition.sha256() == again.sha256()
    partition.check(dataset)  # disjoint, within bounds, non-empty
    assert partition.clients == clients and partition.novel == novel
    _assert_same_proportions(partition, dataset)
    used = sum(map(len, partition.train + partition.validation))
    if (name, parameters.get("variant")) != ("classes", "code"):
        assert used == len(dataset.train_labels), "nothing is lost"
        assert sum(map(len, partition.test)) == len(dataset.test_labels)
    else:
        slots = parameters["classes"] * clients // 10 + 1
        spare = 10 * slots - parameters["classes"] * clients
        least = 0.4 / (0.4 + 0.6 * (slots - 1))  # of its class, in a slot
        assert used <= len(dataset.train_labels) * (1 - spare * least / 10) + 1e-6


def _assert_same_proportions(partition: Partition, dataset: ArrayDataset) -> None:
    """Every client's share of every class is the same in the three splits, but for rounding."""
    labels = {"train": dataset.train_labels, "validation": dataset.train_labels, "test": dataset.test_labels}
    shares = {}
    for split in SPLITS:
        counts = np.stack([np.bincount(labels[split][own], minlength=10) for own in getattr(partition, split)])
        shares[split] = counts.sum(axis=1) / len(labels[split]) / (
            {"train": 0.8, "validation": 0.2, "test": 1.0}[split]
        )  # fmt: skip
    for split in ("validation", "test"):
        assert np.abs(shares[split] - shares["train"]).max() < 0.03


OFFICIAL = [  # paper_pfedhn.md, section 3: slots per class, share of data used, train images per client (min-max)
    (10, 2, 10, 0.665, 2661, (2109, 3128)),
    (10, 2, 50, 0.909, 727, (578, 878)),
    (10, 2, 100, 0.950, 380, (301, 464)),
    (100, 10, 10, 0.499, 1996, (1867, 2117)),
    (100, 10, 50, 0.827, 662, (598, 733)),
    (100, 10, 100, 0.896, 359, (316, 402)),
]


@pytest.mark.parametrize(("classes", "k", "clients", "used", "mean", "span"), OFFICIAL)
def test_rule_code_hits_the_official_shares(classes, k, clients, used, mean, span):
    dataset = labelled(50_000 // classes, 10_000 // classes, classes)
    partitions = [
        make_partition("classes", {"classes": k}, dataset, clients, seed) for seed in range(20)
    ]  # variant code is the default
    sizes = np.stack([[len(own) for own in p.train] for p in partitions])
    assert sizes.sum(axis=1).mean() / 40_000 == pytest.approx(used, abs=0.005)
    assert sizes.mean() == pytest.approx(mean, rel=0.01)
    assert span[0] * 0.93 < sizes.min() and sizes.max() < span[1] * 1.07
    owned = [len(np.unique(dataset.train_labels[own])) for own in partitions[0].train]
    assert set(owned) == {k}


def test_partition_is_pinned():
    """A change here would silently move every published number to other splits."""
    partition = make_partition("classes", {"classes": 2}, load_dataset("digits"), 20, seed=0)
    assert partition.sha256()[:16] == "7ae34013ff414159"


def test_seeds_and_only_seeds_change_the_split():
    dataset = labelled(40, 10, 10)
    hashes = {make_partition("iid", {}, dataset, 4, seed).sha256() for seed in range(3)}
    assert len(hashes) == 3


def test_natural_gives_each_client_a_group():
    dataset = labelled(40, 10, 10, groups=5)
    partition = make_partition("natural", {}, dataset, 5, seed=1)
    owners = [set(dataset.train_groups[own]) for own in partition.train]
    assert sorted(map(tuple, owners)) == [(g,) for g in range(5)]
    shared = make_partition("natural", {}, dataset, 10, seed=1)
    assert all(len(set(dataset.train_groups[own])) == 1 for own in shared.train)
    few = make_partition("natural", {}, dataset, 2, seed=1)
    assert sum(map(len, few.train)) == 320


def test_export_and_import(tmp_path):
    dataset = labelled(40, 10, 10)
    partition = make_partition("shards", {}, dataset, 6, seed=3, novel=1)
    partition.save(tmp_path / "p.npz")
    back = Partition.load(tmp_path / "p.npz")
    assert back.sha256() == partition.sha256() and back.novel == 1
    np.savez(tmp_path / "q.npz", **{**np.load(tmp_path / "p.npz"), "novel": np.asarray(2)})
    with pytest.raises(RequestError, match="does not match the hash"):
        Partition.load(tmp_path / "q.npz")
    np.savez(tmp_path / "r.npz", x=np.zeros(1))
    with pytest.raises(RequestError, match="is not an exported partition"):
        Partition.load(tmp_path / "r.npz")


def test_check_finds_overlap_and_bounds():
    dataset = labelled(2, 2, 2)
    one = np.asarray([0])
    with pytest.raises(RequestError, match="two clients share a train"):
        Partition((one, one), (np.asarray([1]), np.asarray([2])), (one, np.asarray([1]))).check(dataset)
    with pytest.raises(RequestError, match=r"a test index lies outside 0\.\.3"):
        Partition((one,), (np.asarray([1]),), (np.asarray([9]),)).check(dataset)
    with pytest.raises(RequestError, match="client 0 of 1 would get no test sample"):
        Partition((one,), (np.asarray([1]),), (one[:0],)).check(dataset)


@pytest.mark.parametrize(
    ("rule", "parameters", "clients", "message"),
    [
        ("classes", {"classes": 11}, 5, "11 classes per client, but the data set has 10"),
        ("classes", {"classes": 1, "variant": "paper"}, 5, "leave class . of 10 to nobody"),
        ("iid", {}, 5000, "clients=5000: use fewer clients, at most 100"),
        ("dirichlet", {"alpha": 0.001}, 30, "some of 30 clients always got fewer than min_samples=10"),
        ("natural", {}, 5, "has no natural groups"),
        ("iid", {}, 0, "at least one must train"),
        ("clases", {}, 5, "did you mean 'classes'"),
        ("classes", {"classes": -1}, 5, "partition rule classes: classes=-1 must be greater than 0"),
        ("classes", {"classes": 2, "varant": "x"}, 5, "varant"),
    ],
)
def test_impossible_requests(rule, parameters, clients, message):
    with pytest.raises(RequestError, match=message):
        make_partition(rule, parameters, labelled(40, 10, 10), clients, seed=0)


def test_iid_uses_more_clients_than_samples_never_silently():
    with pytest.raises(RequestError, match="use fewer clients"):
        make_partition("iid", {}, labelled(4, 1, 2), 3, seed=0)


def test_rows_are_disjoint_between_splits():
    dataset = labelled(40, 10, 10)
    partition = make_partition("dirichlet", {"alpha": 1.0}, dataset, 5, seed=0)
    train, validation = np.concatenate(partition.train), np.concatenate(partition.validation)
    assert not set(train) & set(validation)
