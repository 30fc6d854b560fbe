"""One run from its first visit to its result: cadence, selection, budget, phases, resuming."""

import gc
import re
import types
from dataclasses import replace

import numpy as np
import pytest
import torch

from pfl_bench.api import LocalSgdConfig, Method, Served, State, UnsuitedError, register_method
from pfl_bench.engine import moments
from pfl_bench.engine.events import Checkpoint, Failure, Progress, RunResult
from pfl_bench.engine.meter import BudgetError
from pfl_bench.engine.simulator import draw_cohort, simulate
from pfl_bench.running.job import make_job, run_job
from pfl_bench.spec.options import Options
from pfl_bench.testing.harness import Harness
from pfl_bench.testing.kit import EVERY_ROUND, fingerprint
from pfl_bench.testing.setup import tiny_setup


def events_of(method: str, setup=None, options=None, resume=None, **changes):
    setup = (setup or tiny_setup()).but(**changes)
    return list(simulate(setup.spec(method), setup.dataset, setup.partition, options or Options(), resume))


def result_of(*args, **kwargs) -> RunResult:
    return events_of(*args, **kwargs)[-1]


def test_history_follows_the_cadence():
    """12 visits, cohorts of 5, 5 and 2, evaluation every 5 visits and at the end."""
    result = result_of("fedavg")
    visits = [row["visits"] for row in result.history if row["split"] == "test"]
    assert visits == [5, 10, 12]
    assert result.facts["rounds"] == 3
    assert {row["split"] for row in result.history} == {"validation", "test"}


def test_adapted_moment_has_its_own_cadence():
    result = result_of("fedavg_ft", adapt_every=10)
    visits = {m: [r["visits"] for r in result.history if r["moment"] == m and r["split"] == "test"]
              for m in ("global", "adapted")}  # fmt: skip
    assert visits == {"global": [5, 10, 12], "adapted": [10, 12]}


def test_selection_is_on_validation_and_first_best_wins():
    result = result_of("fedper", eval_every=1)
    rows = {(r["visits"], r["split"]): r["accuracy"] for r in result.history}
    validation = {visits: accuracy for (visits, split), accuracy in rows.items() if split == "validation"}
    best = result.summary["received"]["best"]
    assert best["visits"] == min(v for v, a in validation.items() if a == max(validation.values()))
    assert best["accuracy"] == pytest.approx(rows[best["visits"], "test"])
    assert result.summary["received"]["last"]["visits"] == 12


@pytest.mark.parametrize(("warm_start", "selected"), [(0.0, {5, 10, 12}), (0.5, {12}), (1.0, {12})])
def test_lg_fedavg_is_selected_only_from_when_it_is_not_fedavg(warm_start, selected):
    """12 visits in rounds of 5, 5 and 2; with 0.5 the second round still begins in the warm start."""
    setup = tiny_setup()
    spec = setup.spec("lg_fedavg", warm_start=warm_start)
    picked = list(simulate(spec, setup.dataset, setup.partition, Options()))[-1].summary["received"]
    assert picked["best"]["visits"] in selected and picked["last"]["visits"] == 12


def test_every_client_is_scored_and_pooled():
    setup = tiny_setup()
    result = result_of("local", setup)
    rows = [r for r in result.clients if r["selection"] == "last"]
    assert [r["test_samples"] for r in rows] == [len(t) for t in setup.partition.test]
    pooled = 100 * sum(r["test_correct"] for r in rows) / sum(r["test_samples"] for r in rows)
    assert result.summary["received"]["last"]["accuracy"] == pytest.approx(pooled)
    each = [r["test_accuracy"] for r in rows]
    assert result.summary["received"]["last"]["client_mean"] == pytest.approx(np.mean(each))
    assert result.summary["received"]["last"]["worst_decile"] == pytest.approx(min(each))


def test_novel_clients_take_no_part():
    setup = tiny_setup()
    setup = replace(setup, partition=replace(setup.partition, novel=2))
    result = result_of("fedavg", setup)
    assert {r["client"] for r in result.clients} == {0, 1, 2, 3}


def test_results_do_not_depend_on_checkpointing_or_global_seeds():
    plain = result_of("pfedhn_pc")
    torch.manual_seed(123)
    np.random.seed(7)
    often = result_of("pfedhn_pc", options=EVERY_ROUND)
    assert fingerprint(plain) == fingerprint(often)


def test_resume_reports_where_it_starts_and_keeps_time():
    events = events_of("fedavg", options=EVERY_ROUND)
    checkpoint = next(e for e in events if isinstance(e, Checkpoint)).data
    resumed = events_of("fedavg", options=EVERY_ROUND, resume=checkpoint)
    assert resumed[0] == Progress(5, None)
    assert resumed[-1].facts["costs"]["train_seconds"] > 0
    assert fingerprint(resumed[-1]) == fingerprint(events[-1])


def train_and_average(self, fed, state, cohort):
    state.server = fed.train_and_average(state.server, cohort, self.config.sgd())
    return state


def register_fedavg(name: str, round_function=train_and_average, official="global", **hooks):
    """FedAvg with other hooks: ``round_function(self, fed, state, cohort)``, and any other by its name."""

    def init(self, fed):
        return State(server=fed.init_params())

    def global_params(self, fed, state):
        return state.server

    body = {"moment": official, "Config": LocalSgdConfig, "init": init, "round": round_function,
            "global_params": global_params, "__module__": __name__, **hooks}  # fmt: skip
    return register_method(name, paper="none")(type("Registered", (Method,), body))


def test_nan_is_a_diverged_run_with_its_reason():
    def explode(self, fed, state, cohort):
        fed.train_and_average(state.server, cohort, self.config.sgd())
        state.server = state.server.map(lambda t: t * float("nan"))
        return state

    register_fedavg("explodes", explode)
    result = result_of("explodes")
    assert result.status == "diverged"
    assert result.reason == "NaN or infinite loss for client 0 after 5 client visits"


def test_unsuited_method_is_skipped_with_its_reason():
    def refuse(self, fed, state, cohort):
        raise UnsuitedError("needs more of everything")

    register_fedavg("refuses", refuse)
    result = result_of("refuses")
    assert (result.status, result.reason) == ("skipped", "needs more of everything")
    assert result_of("ditto", local_steps=1).status == "skipped"


def test_a_method_that_exceeds_the_budget_fails():
    def greedy(self, fed, state, cohort):
        state.server = fed.train_and_average(state.server, cohort, self.config.sgd(), steps=fed.local_steps + 1)
        return state

    register_fedavg("greedy", greedy)
    with pytest.raises(BudgetError, match="greedy took 105 mini-batch gradients in a round of 5 visits; the budget"):
        events_of("greedy")


def test_a_method_that_trains_while_it_is_evaluated_fails():
    def trained(self, fed, state):
        return fed.train_and_average(state.server, fed.everyone, self.config.sgd())

    def trained_each(self, fed, state, clients):
        return fed.train(fed.send(state.server, clients), clients, self.config.sgd()).params

    register_fedavg("late", global_params=trained)
    register_fedavg("later", client_params=trained_each)
    for name in ("late", "later"):
        with pytest.raises(BudgetError, match="fed.train while models are evaluated"):
            events_of(name)


def test_evaluation_hooks_may_compute():
    def measured(self, fed, state):
        fed.compute(count, fed.send(state.server, fed.everyone), fed.everyone)
        return state.server

    register_fedavg("measured", global_params=measured)
    result = result_of("measured")
    costs, samples = result.facts["costs"], sum(len(own) for own in tiny_setup().partition.train)
    assert (costs["forward_samples"], costs["adapt_forward_samples"]) == (0, 3 * samples), "at each evaluation"


def count(net, params, batch, aux):
    return ((net(params, batch.x).argmax(1) == batch.y) * batch.weight).sum()


def init_with(steps: int):
    def init(self, fed):
        start = fed.init_params()
        return State(server=fed.train_and_average(start, fed.everyone[:1], self.config.sgd(), steps=steps))

    return init


def test_what_init_trains_is_taken_from_the_visits():
    """45 gradients of a client are two visits and a quarter, so three of twelve are gone."""
    register_fedavg("early", init=init_with(45))
    result = result_of("early", eval_every=1)
    assert result.facts["visits"] == 12
    assert result.facts["costs"]["local_steps"] == 45 + 9 * 20
    assert [row["visits"] for row in result.history if row["split"] == "test"] == [8, 12], "three, then cohorts of five"
    assert result.facts["rounds"] == 2
    assert result.facts["costs"]["bytes_down"] > result_of("fedavg").facts["costs"]["bytes_down"] * 9 / 12


def test_init_cannot_train_more_than_the_whole_budget():
    register_fedavg("greedy_init", init=init_with(241))
    with pytest.raises(BudgetError, match="greedy_init took 241 mini-batch gradients in init; the whole budget is 240"):
        events_of("greedy_init")


def adapting(extra: int):
    def adapt(self, fed, state, clients):
        start = fed.send(state.server, clients)
        return fed.train(start, clients, self.config.sgd(), steps=fed.local_steps + extra).params

    return adapt


def test_adapting_has_the_scenario_s_allowance_and_counts_apart():
    register_fedavg("adapts", official="adapted", adapt=adapting(0))
    costs = result_of("adapts", adapt_steps=7).facts["costs"]
    assert (costs["adapt_steps"], costs["local_steps"]) == (3 * 6 * 7, 240)


@pytest.mark.parametrize(("method", "config", "taken"), [
    ("fedavg_ft", {}, 7), ("fedavg_ft", {"finetune_steps": 3}, 3), ("per_fedavg", {}, 1),
    ("per_fedavg", {"personal_steps": 4}, 4), ("per_fedavg", {"personal_steps": 99}, 7),
])  # fmt: skip
def test_every_method_has_the_same_allowance_to_adapt(method, config, taken):
    """By default that of one visit; three evaluations of six clients."""
    setup = tiny_setup().but(local_steps=8, adapt_steps=7)
    (*_, result) = simulate(setup.spec(method, **config), setup.dataset, setup.partition, Options())
    assert result.facts["costs"]["adapt_steps"] == 3 * 6 * taken
    assert tiny_setup().but(local_steps=8).scenario.adapt_allowance == 8


def test_adapting_beyond_the_allowance_fails():
    register_fedavg("overadapts", official="adapted", adapt=adapting(1))
    said = "overadapts.adapt took 48 mini-batch gradients for 6 clients; the scenario's adapt_steps=7 allows 42"
    with pytest.raises(BudgetError, match=said):
        events_of("overadapts", adapt_steps=7)


def keeping(method, fed, state, clients):
    method.kept = fed
    return fed.send(state.server, clients)


def stale(method, fed, state, cohort):
    """A round on what the first round or an earlier evaluation was given."""
    if not hasattr(method, "kept") and method.moment == "global":
        method.kept = fed
    return train_and_average(method, getattr(method, "kept", fed), state, cohort)


KEPT = {
    "round": {},
    "adapt": {"official": "adapted", "adapt": keeping},
    "client_params": {"official": "received", "client_params": keeping},
}


@pytest.mark.parametrize("hook", KEPT)
def test_steps_are_not_taken_on_what_an_earlier_call_was_given(hook):
    """An adaptation is counted apart: on its federation a round would have steps that no budget knows of."""
    register_fedavg(f"keeps_{hook}", stale, **KEPT[hook])
    with pytest.raises(BudgetError, match="of a federation that was for an earlier call"):
        events_of(f"keeps_{hook}")


def favourite(net, params, x, aux):
    """A class of its own for every client, whatever the picture shows."""
    return torch.nn.functional.one_hot(aux["label"], 3).float().expand(len(x), 3)


@pytest.mark.parametrize("backend", ["loop", "vmap"])
@pytest.mark.parametrize("at_a_time", [2**26, 1])
def test_what_is_served_predicts_at_validation_and_test(monkeypatch, backend, at_a_time):
    """Whether hooks are called for all clients at once or for one at a time."""

    def own(self, fed, state, clients):
        return Served(fed.send(state.server, clients), favourite, {"label": clients % 3})

    def same(self, fed, state):
        return Served(state.server, favourite, {"label": torch.tensor(1)})

    monkeypatch.setattr(moments, "SERVED_VALUES", at_a_time)
    register_fedavg("favours", official="received", client_params=own, global_params=same)
    setup = tiny_setup()
    result = result_of("favours", setup, Options(backend=backend))
    data, parts = setup.dataset, setup.partition

    def correct(labels, members, label):
        return [int((labels[own] == label(client)).sum()) for client, own in enumerate(members)]

    for moment, label in (("received", lambda client: client % 3), ("global", lambda client: 1)):
        rows = [r for r in result.clients if r["selection"] == "last" and r["moment"] == moment]
        assert [r["test_correct"] for r in rows] == correct(data.test_labels, parts.test, label)
        right = sum(correct(data.train_labels, parts.validation, label))
        found = [r["accuracy"] for r in result.history if r["moment"] == moment and r["split"] == "validation"]
        assert found == pytest.approx([100 * right / sum(map(len, parts.validation))] * 3)


def test_a_closure_does_not_predict():
    def served(self, fed, state):
        return Served(state.server, lambda net, params, x, aux: net(params, x))

    register_fedavg("closes", global_params=served)
    with pytest.raises(TypeError, match="predict="):
        events_of("closes")


def test_hooks_may_be_called_for_some_clients_at_a_time(monkeypatch):
    whole = result_of("ditto")
    monkeypatch.setattr(moments, "SERVED_VALUES", 1)
    assert fingerprint(result_of("ditto")) == fingerprint(whole)


def test_failures_of_a_job_are_events_and_threads_are_restored():
    register_fedavg("crashes", lambda self, fed, state, cohort: 1 / 0)
    setup = tiny_setup()
    threads = torch.get_num_threads()
    events = list(run_job(make_job(setup.spec("crashes"), setup.partition, Options()), setup.dataset))
    assert isinstance(events[-1], Failure)
    assert re.fullmatch(
        r"ZeroDivisionError: division by zero \(test_simulator.py, line \d+, in <lambda>\)", events[-1].reason
    )
    assert "Traceback" in events[-1].details
    assert torch.get_num_threads() == threads


def test_damaged_checkpoint_starts_over():
    assert fingerprint(result_of("fedavg", resume=b"garbage")) == fingerprint(result_of("fedavg"))


@pytest.mark.parametrize("method", ["fedavg", "per_fedavg", "pfedhn_pc"])
def test_epoch_batches_train_on_both_backends(method):
    losses = [
        result_of(method, options=Options(backend=backend), batches="epoch").history[-1]["loss"]
        for backend in ("loop", "vmap")
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert losses[0] != result_of(method).history[-1]["loss"], "another way of drawing batches"


def test_bf16_runs_and_stays_near_fp32():
    full, half = (result_of("fedper", precision=p).history[-1]["loss"] for p in ("fp32", "bf16"))
    assert half != full and half == pytest.approx(full, rel=0.05)


def reachable(root: object) -> list[object]:
    """Everything that can be got at from an object, but for code."""
    found, todo, seen = [], [root], set()
    while todo:
        thing = todo.pop()
        if id(thing) in seen or isinstance(thing, type | types.ModuleType | types.FunctionType | types.CodeType):
            continue
        seen.add(id(thing))
        found.append(thing)
        todo += gc.get_referents(thing)
    return found


def test_the_federation_holds_no_test_data():
    """No tensor or array reachable from the federation has the test images or labels."""
    harness = Harness("fedavg")
    things, tests = reachable(harness.fed), len(harness.setup.dataset.test_labels)
    arrays = [thing for thing in things if isinstance(thing, np.ndarray | torch.Tensor) and thing.ndim]
    assert any(len(array) == len(harness.setup.dataset.train_labels) for array in arrays), "the walk finds something"
    assert not any(len(array) == tests for array in arrays)
    assert not any(thing is harness.setup.dataset for thing in things)


def test_cohorts_are_shared_by_methods_and_distinct():
    cohorts = [draw_cohort(0, round, clients=20, size=5) for round in range(50)]
    assert all(len(set(c.tolist())) == 5 for c in cohorts)
    assert cohorts[3].tolist() == draw_cohort(0, 3, 20, 5).tolist()
    assert set(range(20)) == {int(i) for c in cohorts for i in c}
    assert len(draw_cohort(0, 0, clients=3, size=5)) == 3


def test_personal_state_on_disk_gives_the_same_run_and_resumes():
    memory, disk = (events_of("pfedhn_pc", options=replace(EVERY_ROUND, state=state)) for state in ("memory", "disk"))
    assert fingerprint(memory[-1]) == fingerprint(disk[-1])
    middle = [event.data for event in disk if isinstance(event, Checkpoint)][5]
    resumed = events_of("pfedhn_pc", options=replace(EVERY_ROUND, state="disk"), resume=middle)
    assert fingerprint(resumed[-1]) == fingerprint(memory[-1])


def test_a_method_that_trains_into_its_state_while_it_is_evaluated_fails(clean_registries):
    from pfl_bench.methods.fedavg_ft import FedAvgFineTuned

    @register_method("leaks", paper="none")
    class Leaks(FedAvgFineTuned):
        def adapt(self, fed, state, clients):
            found = super().adapt(fed, state, clients)
            state.server = fed.average(found, clients)
            return found

    setup = tiny_setup()
    with pytest.raises(TypeError, match=r"leaks.adapt changes the state, which only init and round may"):
        list(simulate(setup.spec("leaks"), setup.dataset, setup.partition, Options()))


@pytest.mark.parametrize(
    ("method", "config", "candidates"),
    [("fedavg", {"cohort": 1}, 6), ("fedavg", {"cohort": 5}, 3), ("lg_fedavg", {"cohort": 1, "warm_start": 0.5}, 3)],
)
def test_a_result_says_among_how_many_evaluations_it_was_picked(method, config, candidates):
    setup = tiny_setup().but(visits=12, eval_every=2)
    *_, result = simulate(setup.spec(method, **config), setup.dataset, setup.partition, Options())
    moment = result.facts["official_moment"]
    assert {scores["candidates"] for scores in result.summary[moment].values()} == {candidates}


def test_a_start_that_takes_all_visits_is_unsuited():
    """FedDBE's initial round visits everybody: with as many visits as clients nothing would be scored."""
    setup = tiny_setup().but(visits=6)
    *_, result = simulate(setup.spec("feddbe"), setup.dataset, setup.partition, Options())
    assert result.status == "skipped" and "takes them all, and no round is left" in result.reason
