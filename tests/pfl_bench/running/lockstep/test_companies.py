"""Which runs go together."""

from dataclasses import replace

import pytest

from pfl_bench.registry import load_plugin, read_plugin
from pfl_bench.running.job import make_job
from pfl_bench.running.lockstep import companies as of
from pfl_bench.running.lockstep.companies import companies, in_lockstep, size_of
from pfl_bench.spec.options import Options
from pfl_bench.spec.run import RunSpec
from pfl_bench.testing.setup import tiny_setup
from tests.conftest import PLUGINS

SETUP = tiny_setup()
DATA = {SETUP.scenario.dataset: SETUP.dataset}
OPTIONS = Options(backend="lockstep", lockstep=None)


def jobs_of(*methods, seeds=3, options=OPTIONS, setup=SETUP):
    made = [make_job(setup.spec(method), setup.partition, options) for method in methods]
    return [replace(job, seed=seed) for job in made for seed in range(seeds)]


def test_runs_of_a_method_and_scenario_go_together():
    assert companies(jobs_of("fedavg", "local"), DATA) == [[0, 1, 2], [3, 4, 5]]
    assert companies(jobs_of("fedavg", options=replace(OPTIONS, lockstep=2)), DATA) == [[0, 1], [2]]
    for options in (Options(), replace(OPTIONS, lockstep=1)):
        assert companies(jobs_of("fedavg", options=options), DATA) == [[0], [1], [2]]
    assert companies([*jobs_of("fedavg"), *jobs_of("fedavg", setup=SETUP.but(id="other-v1"))], DATA) == [
        [0, 1, 2],
        [3, 4, 5],
    ]
    assert companies([], DATA) == []


@pytest.mark.parametrize(("workers", "expected"), [(1, [10]), (2, [5, 5]), (3, [4, 3, 3]), (16, [1] * 10)])
def test_every_worker_has_something_to_do(workers, expected):
    jobs = jobs_of("pfedhn", seeds=10)
    assert [len(company) for company in companies(jobs, DATA, workers)] == expected
    assert [position for company in companies(jobs, DATA, workers) for position in company] == list(range(10))


def test_so_many_that_their_clients_fill_a_step(monkeypatch):
    (one, *_), (five, *_) = jobs_of("pfedhn"), jobs_of("fedavg")
    assert size_of(one, SETUP.dataset) == 64 and size_of(five, SETUP.dataset) == 13
    monkeypatch.setattr(of, "BYTES", 10 * 16 * 6 * 1500)
    assert 1 <= size_of(one, SETUP.dataset) < 20
    monkeypatch.setattr(of, "BYTES", 1)
    assert size_of(one, SETUP.dataset) == 1


def test_plug_ins_go_alone():
    plugin = read_plugin(PLUGINS / "fedmedian.py")
    load_plugin(plugin)
    job = make_job(SETUP.spec("fedmedian"), SETUP.partition, OPTIONS, (plugin,))
    assert companies([job, job], DATA) == [[0], [1]]


def test_a_run_is_in_lockstep_where_it_has_company_in_the_request():
    spec = SETUP.spec("fedavg")
    runs = [spec, RunSpec("fedavg", spec.config, spec.scenario, 1), SETUP.spec("local")]
    auto = Options(lockstep=None)
    assert [in_lockstep(run, runs, SETUP.dataset, auto) for run in runs] == [True, True, False]
    for options in (Options(), Options(lockstep=None, backend="vmap")):
        assert not in_lockstep(spec, runs, SETUP.dataset, options)
    setup = tiny_setup("synthetic:classes=3,n=120,side=16,channels=3", "lenet7", rule={"rule": "iid"})
    runs = [replace(run, scenario=setup.scenario) for run in runs]
    assert not in_lockstep(runs[0], runs, setup.dataset, auto), "convolutions are bound by arithmetic"
    assert in_lockstep(runs[0], runs, setup.dataset, replace(auto, device="cuda")), "a GPU is idle with one client"
