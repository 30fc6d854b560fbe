"""Runs in lock-step: each ends as it would alone, whatever becomes of the others, with the same bits."""

import signal
import threading
import time
from dataclasses import replace

import pytest
import torch

from pfl_bench import global_state
from pfl_bench.api import Federation, Method, MethodConfig, Sgd, State, UnsuitedError, register_method
from pfl_bench.client.backends import ON_GPU, graph
from pfl_bench.data.alike import with_shifts
from pfl_bench.data.partition import make_partition
from pfl_bench.engine import places, stop
from pfl_bench.engine.events import Checkpoint, Failure, RunResult
from pfl_bench.running.executors.ray import RayExecutor
from pfl_bench.running.executors.serial import SerialExecutor
from pfl_bench.running.job import make_job, run_job
from pfl_bench.running.lockstep import meeting
from pfl_bench.running.lockstep.together import run_together
from pfl_bench.spec.heterogeneity import AvailabilitySpec, ShiftSpec
from pfl_bench.spec.options import Options
from pfl_bench.testing.kit import fingerprint
from pfl_bench.testing.setup import tiny_setup

SETUP = tiny_setup()
OPTIONS = Options(backend="lockstep", lockstep=None, checkpoint_seconds=0.0)


class Troubled(Method):
    """FedAvg of two clients, that at round 2 does what it is told."""

    moment = "global"

    class Config(MethodConfig):
        cohort: int = 2
        lr: float = 0.05
        deed: str = ""

    def init(self, fed: Federation) -> State:
        return State(server=fed.init_params())

    def round(self, fed, state, cohort):
        if fed.round == 2:
            if self.config.deed == "fails":
                raise ValueError("no more")
            if self.config.deed == "is unsuited":
                raise UnsuitedError("not for this")
            if self.config.deed == "exits":
                raise SystemExit(3)
            if self.config.deed == "draws":
                torch.rand(1)
        steps = 10 if self.config.deed == "asks twice" and fed.round == 2 else None
        for stream in ("batches", "more")[: 1 if steps is None else 2]:
            sgd = Sgd(1e30 if self.config.deed == "diverges" and fed.round == 2 else self.config.lr, 0.9)
            sent = fed.send(state.server, cohort)
            state.server = fed.average(fed.train(sent, cohort, sgd, steps=steps, stream=stream).params, cohort)
        return state

    def global_params(self, fed, state):
        return state.server


@pytest.fixture(autouse=True)
def registered():
    register_method("troubled", paper="", family="test")(Troubled)


def strands():
    return [thread for thread in threading.enumerate() if thread.name == "run in lock-step"]


@pytest.fixture(autouse=True)
def nothing_left():
    """No thread outlives its company."""
    yield
    for thread in strands():
        thread.join(1)
    assert not strands()


def job_of(method, seed=0, setup=SETUP, **config):
    return replace(make_job(setup.spec(method, **config), setup.partition, OPTIONS), seed=seed)


def ends(updates):
    return {p: e for p, e in updates if isinstance(e, RunResult | Failure)}


def alone(job, setup=SETUP):
    *_, event = run_job(job, setup.dataset)
    return event


def assert_as_alone(found, jobs, setup=SETUP):
    assert set(found) == set(range(len(jobs)))
    for position, job in enumerate(jobs):
        expected = alone(job, setup)
        assert type(found[position]) is type(expected)
        if isinstance(expected, RunResult):
            assert (found[position].status, found[position].reason) == (expected.status, expected.reason)
            assert fingerprint(found[position]) == fingerprint(expected), position


def test_other_seeds_splits_and_figures_of_sgd_are_one_batch(monkeypatch):
    sizes = []
    together = meeting._together
    monkeypatch.setattr(meeting, "_together", lambda works: sizes.append(len(works)) or together(works))
    other = make_partition("iid", {}, SETUP.dataset, 6, seed=3)
    jobs = [
        job_of("ditto"),
        job_of("ditto", seed=1, lr=0.2, momentum=0.0),
        replace(job_of("ditto", seed=2, weight_decay=0.01), partition=other),
        job_of("ditto", lr=0.2),
        job_of("ditto", clip_norm=0.3),
    ]
    found = ends(run_together(jobs, SETUP.dataset))
    assert set(sizes) == {5}
    assert_as_alone(found, jobs)
    assert all(result.facts["lockstep"] == 5 and result.facts["backend"] == "lockstep" for result in found.values())


@pytest.mark.parametrize("deed", ["fails", "exits", "is unsuited", "diverges", "asks twice"])
def test_what_becomes_of_a_run_is_its_own(deed):
    jobs = [job_of("troubled"), job_of("troubled", seed=1, deed=deed), job_of("troubled", seed=2, lr=0.1)]
    found = ends(run_together(jobs, SETUP.dataset))
    assert_as_alone(found, jobs)
    how = {"is unsuited": "skipped", "diverges": "diverged", "asks twice": "finished"}
    assert getattr(found[1], "status", "failed") == how.get(deed, "failed")


def test_a_run_that_changes_what_all_share_fails_and_the_others_start_anew():
    jobs = [job_of("troubled"), job_of("troubled", deed="draws"), job_of("troubled", seed=2)]
    before = global_state.read()
    found = ends(run_together(jobs, SETUP.dataset))
    assert isinstance(found[1], Failure) and "torch's random numbers" in found[1].reason
    assert global_state.changed(before) == []
    for position in (0, 2):
        assert fingerprint(found[position]) == fingerprint(alone(jobs[position]))


def test_a_request_at_fault_fails_alone(monkeypatch):
    together = meeting._together

    def broken(works):
        if any(work.request.sgd.lr == 0.7 for work in works):
            raise RuntimeError("cannot be computed")
        return together(works)

    monkeypatch.setattr(meeting, "_together", broken)
    jobs = [job_of("troubled"), job_of("troubled", lr=0.7), job_of("troubled", seed=2)]
    found = ends(run_together(jobs, SETUP.dataset))
    assert isinstance(found[1], Failure) and "cannot be computed" in found[1].reason
    assert_as_alone({0: found[0], 1: found[2]}, [jobs[0], jobs[2]])


def test_shifted_data_and_clients_who_do_a_part_of_the_steps():
    away = AvailabilitySpec(present=0.7, spread=0.2, stragglers=0.5)
    shift = (ShiftSpec(rule="inversion"),)
    setup = tiny_setup().but(availability=away, shift=shift)
    setup = replace(setup, partition=with_shifts(shift, setup.dataset, setup.partition, 0))
    jobs = [job_of("scaffold", seed=seed, setup=setup) for seed in range(3)]
    assert_as_alone(ends(run_together(jobs, setup.dataset)), jobs, setup)


def test_labels_that_a_shift_renames_are_each_run_s_own():
    shift = (ShiftSpec(rule="permutation"),)
    setup = tiny_setup().but(shift=shift)
    jobs = []
    for seed in (0, 1):
        own = replace(setup, partition=with_shifts(shift, setup.dataset, setup.partition, seed))
        jobs.append(job_of("fedavg", seed, own))
    assert_as_alone(ends(run_together(jobs, setup.dataset)), jobs, setup)


def test_stopped_runs_go_on_in_other_company_to_the_same_result():
    jobs = [job_of("fedavg_ft", seed=seed, cohort=2) for seed in range(3)]
    updates, last = run_together(jobs, SETUP.dataset), {}
    try:
        for position, event in updates:
            if isinstance(event, Checkpoint):
                stop.ask(signal.SIGTERM)
                last[position] = event.data
    finally:
        stop.forget()
    assert set(last) == {0, 1, 2}
    resumed = [jobs[2].going_on_from(last[2]), job_of("fedavg_ft", seed=7), jobs[0].going_on_from(last[0])]
    found = ends(run_together(resumed, SETUP.dataset))
    for position, seed in ((0, 2), (2, 0)):
        assert fingerprint(found[position]) == fingerprint(alone(jobs[seed]))


def test_a_stream_that_is_left_is_closed():
    updates = run_together([job_of("fedavg", seed=seed) for seed in range(3)], SETUP.dataset)
    next(updates)
    assert strands()
    updates.close()


def test_serial_and_ray_give_the_bits_of_runs_alone():
    jobs = [job_of(method, seed=seed) for method in ("fedavg", "pfedhn") for seed in range(3)]
    data = {SETUP.scenario.dataset: SETUP.dataset}
    serial, ray = ends(SerialExecutor().execute(jobs, data)), ends(RayExecutor(workers=2).execute(jobs, data))
    assert [serial[p].facts["lockstep"] for p in range(6)] == [3] * 6
    assert [fingerprint(serial[p]) for p in range(6)] == [fingerprint(ray[p]) for p in range(6)]
    assert_as_alone(serial, jobs)


def test_a_run_s_seconds_are_its_share():
    jobs = [job_of("fedavg", seed=seed) for seed in range(4)]
    clock = time.perf_counter
    started = clock()
    found = ends(run_together(jobs, SETUP.dataset))
    wall = clock() - started
    spent = [r.facts["costs"]["train_seconds"] + r.facts["costs"]["eval_seconds"] for r in found.values()]
    assert all(0 < own < wall for own in spent) and sum(spent) <= wall


@pytest.mark.parametrize("method", ["pfedhn", "ditto", "scaffold", "fedbabu"])
def test_on_a_gpu_runs_share_recorded_steps(monkeypatch, method):
    """What a GPU does, but for the capture itself: the numbers of each run alone, but for rounding."""
    monkeypatch.setattr(places, "choose_backend", lambda *_: ON_GPU["lockstep"])
    jobs, made = [job_of(method, seed=seed) for seed in range(3)], []
    expected = [alone(job) for job in jobs]
    real = graph.train
    monkeypatch.setattr(graph, "train", lambda model, pool, whole: made.append(whole) or real(model, pool, whole))
    found = ends(run_together(jobs, SETUP.dataset))
    assert made and all(request.plan.clients % len(jobs) == 0 for request in made)
    for position, one in enumerate(expected):
        ours, theirs = found[position], one
        assert isinstance(ours, RunResult) and isinstance(theirs, RunResult)
        for moment, picks in theirs.summary.items():
            assert ours.summary[moment]["last"]["loss"] == pytest.approx(picks["last"]["loss"], rel=1e-4)


def test_on_a_gpu_other_figures_are_another_step(monkeypatch):
    monkeypatch.setattr(places, "choose_backend", lambda *_: ON_GPU["lockstep"])
    jobs = [job_of("ditto"), job_of("ditto", lr=0.2)]
    found = ends(run_together(jobs, SETUP.dataset))
    for position, job in enumerate(jobs):
        assert found[position].summary["received"]["last"]["loss"] == pytest.approx(
            alone(job).summary["received"]["last"]["loss"], rel=1e-4
        )
