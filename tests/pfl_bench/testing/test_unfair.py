"""Unfair entrants, each found by exactly the checks that are there for it, with a line that says what it does."""

import pytest

from pfl_bench.registry import METHODS, load_plugin, read_plugin
from pfl_bench.testing import CHECKS, Check, Context, examine
from pfl_bench.testing.check import CheckFailedError
from tests.conftest import PLUGINS

LONG = {"same_under_ray", "same_on_backends", "handles_degenerate_clients", "enrolls_newcomers", "fits_any_task"}
QUICK = [check for check in CHECKS if check.examine.__name__ not in LONG]

ENTRANTS = {
    # What the sixteen drafts of version 1 came with
    ("cheat_central", "cheat_central"): {
        "source_is_fair": "line 13 of cheat_central.py reaches fed._group, a private",
        "counts_costs": "applied to inputs outside fed.train",
    },
    ("holes", "hole_init"): {"runs": "took 4800 mini-batch gradients in init; the whole budget is 96"},
    ("holes", "hole_received"): {"runs": "fed.train while models are evaluated"},
    ("holes", "hole_forgets"): {
        "runs": "hole_forgets.client_params returned the wrong parameters: missing hidden.weight, hidden.bias"
    },
    ("holes", "hole_schedule"): {"runs": "loss=Schedule.loss must be a frozen dataclass of plain values"},
    ("holes", "hole_schedule_field"): {"runs": "loss=Decaying must be a frozen dataclass of plain values"},
    ("holes", "hole_schedule_global"): {
        "requests_are_values": "a loss or rule reads something besides its fields and arguments",
        "keeps_nothing_outside": "a run changes NOW;",
    },
    # Uncounted gradients
    ("private", "private_meter"): {
        "source_is_fair": "reaches fed._meter, a private part of the federation",
        "runs": "private_meter.round took 24 mini-batch gradients of client",
    },
    ("private", "private_group"): {
        "source_is_fair": "reaches fed._group, a private part of the federation",
        "counts_costs": "96 local and 0 adaptation steps are counted, 288 gradients were taken",
    },
    ("private", "private_model"): {
        "source_is_fair": "reaches fed.model.factory: a client model is applied by net",
        "keeps_nothing_outside": "a run changes torch's random numbers",
        "deterministic": "two runs of the same seed differ",
        "independent_of_company": "",
        "requests_are_values": "",
        "blind_to_held_out_data": "",
    },
    ("meter", "meter_rule"): {"runs": "rule FiveForOne called gradient 5 times in a step"},
    ("meter", "meter_loss"): {"counts_costs": "a step with LearnsInside takes 2 mini-batch gradients and pays for 1"},
    ("meter", "meter_compute"): {"runs": "a function given to fed.compute takes derivatives"},
    ("meter", "meter_by_hand"): {"counts_costs": "fed.compute takes 5 gradients and pays for 0"},
    ("meter", "meter_samples"): {"counts_costs": "fed.compute hands out the training samples themselves"},
    ("meter", "meter_adapts"): {"runs": "meter_adapts.adapt took 192 mini-batch gradients for 6 clients"},
    ("meter", "meter_absent"): {"touches_its_cohort_only": "the data of clients that did not take part"},
    ("elsewhere", "elsewhere_server"): {"counts_costs": "applied to inputs outside fed.train"},
    ("elsewhere", "elsewhere_served"): {"counts_costs": "applied to inputs outside fed.train"},
    ("elsewhere", "elsewhere_batch"): {"counts_costs": "inputs at once pass through the client model"},
    ("elsewhere", "elsewhere_forward"): {"runs": "a loss takes derivatives of its own"},
    ("elsewhere", "elsewhere_one"): {"runs": "elsewhere_one.round took 40 mini-batch gradients of client"},
    # Predictions that no client could make
    ("serving", "serving_batch"): {"serves_each_sample_alone": "depends on the samples beside it"},
    ("serving", "serving_entropy"): {
        "serves_each_sample_alone": "depends on the samples beside it",
        "counts_costs": "predict takes derivatives",
    },
    ("serving", "serving_portion"): {"serves_some_as_it_serves_all": "asked at moment 'received' for clients [0]"},
    ("serving", "serving_changes"): {"runs": "global_params changes the state, which only init and round may"},
    ("serving", "serving_vectors"): {"runs": "fed.train while models are evaluated"},
    # What is not in the state
    ("outside", "outside_memory"): {
        "deterministic": "two runs of the same seed differ",
        "independent_of_company": "a run's result depends on which runs are in lock-step with it",
        "requests_are_values": "",
        "blind_to_held_out_data": "",
        "keeps_nothing_outside": "a run changes Memory.best",
    },
    ("outside", "outside_self"): {"resumable": "is state kept elsewhere?"},
    ("outside", "outside_settings"): {
        "keeps_nothing_outside": "torch's anomaly mode, torch's random numbers",
        "independent_of_company": "",
    },
    ("outside_data", "outside_data"): {"source_is_fair": "line 5 of outside_data.py imports load_dataset"},
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("file", "name"), ENTRANTS)
def test_unfair_entrants_are_found(file, name):
    plugin = read_plugin(PLUGINS / "unfair" / f"{file}.py")
    load_plugin(plugin)
    verdicts = examine(QUICK, name, Context((name,), (plugin,)))
    found = {check.examine.__name__: complaint for check, complaint in verdicts if complaint is not None}
    assert found.keys() == ENTRANTS[file, name].keys()
    assert all(phrase in found[check] for check, phrase in ENTRANTS[file, name].items()), found


def test_every_unfair_entrant_is_in_the_list():
    files = sorted((PLUGINS / "unfair").glob("*.py"))
    named = {(path.stem, name) for path in files for name in path.read_text().split('@register_method("')[1:]}
    assert {(file, rest.split('"')[0]) for file, rest in named} == set(ENTRANTS)


def test_no_check_follows_a_vital_one_that_fails():
    def complains(*_):
        raise CheckFailedError("no")

    checks = [Check("a", complains), Check("b", complains, vital=True), Check("c", complains)]
    assert [(check.title, said) for check, said in examine(checks, "any", None)] == [("a", "no"), ("b", "no")]
    assert "fedavg" in METHODS.names()
