"""Wrong values of a scenario's fields, in words that need no knowledge of the library that reads them."""

import re

import pytest

from pfl_bench.data.partition import make_partition
from pfl_bench.data.store import load_dataset
from pfl_bench.errors import RequestError
from pfl_bench.spec.scenario import read_scenario

BASE = {
    "id": "s-v1", "dataset": "digits", "partition": {"rule": "iid"}, "clients": 20, "model": "mlp", "visits": 100,
    "local_steps": 10, "batch_size": 8, "eval_every": 10,
}  # fmt: skip
JARGON = re.compile(r"[Ii]nput|valid|tag|discriminator|object|array|tuple|integer|pydantic|constrained")


def told(read) -> str:
    with pytest.raises(RequestError) as error:
        read()
    assert "\n" not in str(error.value) and not JARGON.search(str(error.value))
    return str(error.value)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"shift": "rotation"}, "shift='rotation' must be a list, [ ... ]"),
        (
            {"shift": {"rule": "rotation"}},
            "shift={'rule': 'rotation'} must be a list, [ ... ]; a list of tables "
            "has its heading in double brackets, [[ ]]",
        ),
        ({"shift": ["rotation"]}, "shift.0='rotation' must be a table, { field = value }"),
        ({"shift": [{"groups": 2}]}, "shift.0.rule is missing"),
        ({"shift": [{"rule": "r", "groups": "all"}]}, "shift.0.groups='all' must be a whole number or 'natural'"),
        ({"shift": [{"rule": "r", "groups": 0}]}, "shift.0.groups=0 must be greater than 0 or 'natural'"),
        ({"availability": 0.5}, "availability=0.5 must be a table, { field = value }"),
        ({"availability": {"present": "often"}}, "availability.present='often' must be a number"),
        ({"availability": {"presence": 0.5}}, "there is no field 'availability.presence': did you mean 'present'?"),
        ({"partition": "iid"}, "partition='iid' must be a table, { field = value }"),
        ({"model": 3}, "model=3 must be a text or a list, [ ... ]"),
        ({"batches": "x"}, "batches='x' must be 'fresh' or 'epoch'"),
        ({"novel": 1, "enroll": {"samples": []}}, "enroll.samples=[] must be a list of at least 1"),
    ],
)
def test_of_a_scenario(more, said):
    assert told(lambda: read_scenario({**BASE, **more}, "s")) == f"s: scenario 's-v1': {said}"


@pytest.mark.parametrize(
    ("quantity", "said"),
    [
        ({"beta": 0.5}, "quantity.law is missing; it must be 'dirichlet' or 'lognormal' or 'power'"),
        ({"law": "zipf"}, "quantity.law='zipf' must be 'dirichlet' or 'lognormal' or 'power'"),
        ("dirichlet", "quantity='dirichlet' must be a table, { ... }"),
        ({"law": "dirichlet"}, "quantity.beta is missing"),
        ({"law": "dirichlet", "beta": 0}, "quantity.beta=0 must be greater than or equal to 0.001"),
        ({"law": "power", "sigma": 2}, "there is no field 'quantity.sigma'; fields are min_samples, law, exponent"),
        ({"law": "lognormal", "sigmma": 2}, "there is no field 'quantity.sigmma': did you mean 'sigma'?"),
    ],
)
def test_of_a_law_of_sizes(quantity, said):
    found = told(lambda: make_partition("iid", {"quantity": quantity}, load_dataset("digits"), 4, 0))
    assert found == f"partition rule iid: {said}"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"availability": {"spread": 0.5}}, "spread=0.5 has no effect where all are there; set present below 1"),
        ({"availability": {"least_work": 0.5}}, "least_work=0.5 has no effect without stragglers"),
        ({"availability": {"stragglers": 0.5, "least_work": 1.0}}, "least_work=1 is all of a visit"),
        ({"availability": {"stragglers": 0.5}, "local_steps": 1}, "stragglers have no effect with local_steps=1"),
        ({"novel": 2, "enroll": {}, "model": ["mlp", "mlp-bn"]}, "enrolled with one client model; model has 2"),
    ],
)
def test_what_would_have_no_effect_is_refused(more, said):
    assert said in told(lambda: read_scenario({**BASE, **more}, "s"))
