from dataclasses import replace

import numpy as np
import pytest
import torch

from pfl_bench.api import LocalSgdConfig, Method, State, UnsuitedError, register_method
from pfl_bench.engine.events import Checkpoint, Failure, Progress, RunResult
from pfl_bench.engine.simulator import simulate
from pfl_bench.running.job import make_job, run_job
from pfl_bench.spec.options import Options
from pfl_bench.testing.kit import EVERY_ROUND, fingerprint, tiny_arena


def events_of(method: str, arena=None, options=None, resume=None, **changes):
    arena = arena or tiny_arena()
    spec = arena.spec(method)
    spec = replace(spec, scenario=spec.scenario.model_copy(update=changes))
    return list(simulate(spec, arena.dataset, arena.partition, options or Options(), resume))


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


def test_every_client_is_scored_and_pooled():
    arena = tiny_arena()
    result = result_of("local", arena)
    rows = [r for r in result.clients if r["selection"] == "last"]
    assert [r["test_samples"] for r in rows] == [len(t) for t in arena.partition.test]
    pooled = 100 * sum(r["test_correct"] for r in rows) / sum(r["test_samples"] for r in rows)
    assert result.summary["received"]["last"]["accuracy"] == pytest.approx(pooled)
    each = [r["test_accuracy"] for r in rows]
    assert result.summary["received"]["last"]["client_mean"] == pytest.approx(np.mean(each))
    assert result.summary["received"]["last"]["worst_decile"] == pytest.approx(min(each))


def test_novel_clients_take_no_part():
    arena = tiny_arena()
    arena = replace(arena, partition=replace(arena.partition, novel=2))
    result = result_of("fedavg", arena)
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


def register_broken(name: str, round_function, init_function=None):
    @register_method(name, paper="none")
    class Broken(Method):
        moment = "global"
        Config = LocalSgdConfig

        def init(self, fed):
            return init_function(fed) if init_function else State(server=fed.init_params())

        def round(self, fed, state, cohort):
            return round_function(self, fed, state, cohort)

        def global_params(self, fed, state):
            return state.server

    return Broken


def test_nan_is_a_diverged_run_with_its_reason():
    def explode(self, fed, state, cohort):
        fed.train_and_average(state.server, cohort, self.config.sgd())
        state.server = state.server.map(lambda t: t * float("nan"))
        return state

    register_broken("explodes", explode)
    result = result_of("explodes")
    assert result.status == "diverged"
    assert result.reason == "NaN or infinite loss for client 0 after 5 client visits"


def test_unsuited_method_is_skipped_with_its_reason():
    def refuse(self, fed, state, cohort):
        raise UnsuitedError("needs more of everything")

    register_broken("refuses", refuse)
    result = result_of("refuses")
    assert (result.status, result.reason) == ("skipped", "needs more of everything")
    assert result_of("ditto", local_steps=1).status == "skipped"


def test_a_method_that_exceeds_the_budget_fails():
    def greedy(self, fed, state, cohort):
        state.server = fed.train_and_average(state.server, cohort, self.config.sgd(), steps=fed.local_steps + 1)
        return state

    register_broken("greedy", greedy)
    with pytest.raises(RuntimeError, match="greedy took 105 mini-batch gradients in a round of 5 visits; the budget"):
        events_of("greedy")


def test_failures_of_a_job_are_events_and_threads_are_restored():
    register_broken("crashes", lambda self, fed, state, cohort: 1 / 0)
    arena = tiny_arena()
    threads = torch.get_num_threads()
    events = list(run_job(make_job(arena.spec("crashes"), arena.partition, Options()), arena.dataset))
    assert isinstance(events[-1], Failure)
    assert events[-1].reason == "ZeroDivisionError: division by zero"
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


def test_the_federation_holds_no_test_data():
    """No tensor or array reachable from the federation has the test images."""
    from pfl_bench.engine.places import build_federation

    arena = tiny_arena()
    fed = build_federation(arena.spec("fedavg"), arena.dataset, arena.partition, torch.device("cpu"))
    reachable = list(vars(fed.pool).values()) + list(fed.members)
    assert not any(len(value) == len(arena.dataset.test_labels) for value in reachable if value.ndim)
    assert not any("test" in name or "validation" in name for name in vars(fed))
