"""Who is where: groups by client model, and the sets that no method sees."""

from dataclasses import replace

import numpy as np
import torch

from pfl_bench.data.partition import make_partition
from pfl_bench.engine.places import build_groups, build_places, newcomers
from pfl_bench.spec.options import Options
from pfl_bench.testing.setup import TinySetup, tiny_setup


def mixed() -> TinySetup:
    return tiny_setup("synthetic:classes=3,n=180,side=16", clients=7).but(model=("lenet7", "mlp"))


def places_of(setup: TinySetup, **options):
    return build_places(setup.spec("fedavg"), setup.dataset, setup.partition, Options(**options))


def real(data) -> list[list[int]]:
    return [row[mask].tolist() for row, mask in zip(data.indices, data.real, strict=True)]


def test_clients_take_models_in_turn():
    setup = mixed()
    groups = build_groups(setup.spec("fedavg"), setup.dataset, setup.partition, Options())
    assert [group.model.name for group in groups] == ["lenet7", "mlp"]
    assert [group.numbers for group in groups] == [(0, 2, 4, 6), (1, 3, 5)]
    for group in groups:
        assert (group.population, [model.name for model in group.models]) == (7, ["lenet7", "mlp"])
        for own, number in zip(group.members, group.numbers, strict=True):
            assert (own == setup.partition.train[number]).all()
        assert group.pool is groups[0].pool, "one copy of the samples"


def test_every_place_has_its_clients_validation_and_test_samples():
    setup = mixed()
    for place in places_of(setup):
        for position, number in enumerate(place.group.numbers):
            assert real(place.validation)[position] == setup.partition.validation[number].tolist()
            assert real(place.test)[position] == setup.partition.test[number].tolist()
        assert place.validation.pool is place.group.pool, "validation is held out of the training images"
        assert len(place.test.pool.inputs) == len(setup.dataset.test_labels)


def test_groups_are_built_without_the_test_images():
    """So that nothing a method is handed can lead to them."""
    setup = tiny_setup()
    (group,) = build_groups(setup.spec("fedavg"), setup.dataset, setup.partition, Options())
    assert len(group.pool.inputs) == len(setup.dataset.train_labels)


def test_novel_clients_are_in_no_group():
    setup = tiny_setup()
    setup = replace(setup, partition=replace(setup.partition, novel=2))
    (place,) = places_of(setup)
    assert (len(place.group.members), place.group.population, len(place.test.indices)) == (4, 4, 4)


def test_options_choose_the_backend_and_where_state_lies():
    (place,) = places_of(tiny_setup(), backend="loop", state="disk")
    assert place.group.backend.name == "loop" and place.group.on_disk
    (place,) = places_of(tiny_setup())
    assert not place.group.on_disk and place.group.device == torch.device("cpu")


def test_newcomers_have_nested_samples_of_their_own():
    base = tiny_setup()
    setup = replace(base, partition=make_partition("classes", {"classes": 2}, base.dataset, 6, 0, novel=2))
    (home,) = places_of(setup)
    few, more, whole = (newcomers(home, setup.partition, n) for n in (2, 5, None))
    for a, b, c, own in zip(few.group.members, more.group.members, whole.group.members, setup.partition.train[4:],
                            strict=True):  # fmt: skip
        assert len(a) == 2 and set(a) < set(b) < set(c) == set(own)
    assert few.group.numbers == (4, 5) and few.group.population == 2
    assert few.group.sizes.tolist() == [2, 2] and (few.group.class_counts.sum(1) == 2).all()
    assert real(few.test) == [setup.partition.test[client].tolist() for client in (4, 5)]
    assert not set(np.concatenate(few.group.members)) & set(np.concatenate(home.group.members))
