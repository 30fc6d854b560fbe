"""Lock-step as it is asked for: what a request's runs are computed on, and that interruptions change nothing."""

import pytest

from pfl_bench.engine.events import Checkpoint
from pfl_bench.results.ledger import Ledger
from pfl_bench.running.executors.serial import SerialExecutor
from pfl_bench.running.runner import execute, make_plan
from pfl_bench.spec.options import Options
from pfl_bench.spec.run import RunSpec
from pfl_bench.testing.setup import tiny_setup

SETUP = tiny_setup()


def run(folder, seeds, executor, lockstep=None):
    """The clients' scores by run, and what the record says of the back-end and the company."""
    spec = SETUP.spec("fedavg")
    runs = [RunSpec("fedavg", spec.config, SETUP.scenario, seed) for seed in seeds]
    plan = make_plan("t", runs, folder, Options(checkpoint_seconds=0.0, lockstep=lockstep))
    ledger = Ledger(folder)
    execute(plan, ledger, executor, lambda run, event: None)
    files = {run.seed: ledger.folder / "runs" / run.id for run in runs}
    return {seed: (path / "clients.csv").read_text() for seed, path in files.items() if (path / "clients.csv").exists()}


class Interrupted(SerialExecutor):
    """Ends after the first checkpoint of each of two runs."""

    def execute(self, jobs, datasets, *take):
        seen = set()
        assert {job.options.backend for job in jobs} == {"lockstep"}
        for position, event in super().execute(jobs, datasets, *take):
            yield position, event
            seen.add(position) if isinstance(event, Checkpoint) else None
            if len(seen) == 2:
                return


class Alone(SerialExecutor):
    """Leaves no run any company, and does not ask what was planned."""

    def execute(self, jobs, datasets, take):
        for position, job in enumerate(jobs):
            assert job.options.backend == "lockstep"
            for _, event in super().execute([job], datasets, lambda _, own, place=position: take(place, own)):
                yield position, event


def test_a_repeated_command_gives_the_bits_of_an_undisturbed_one(tmp_path):
    whole = run(tmp_path / "a", range(3), SerialExecutor())
    run(tmp_path / "b", range(3), Interrupted())
    assert run(tmp_path / "b", range(3), Alone()) == whole and len(whole) == 3


@pytest.mark.parametrize(("seeds", "lockstep"), [([0], None), ([0, 1], 1)])
def test_without_company_runs_are_computed_as_before(tmp_path, seeds, lockstep):
    class Before(SerialExecutor):
        def execute(self, jobs, datasets, *take):
            assert {job.options.backend for job in jobs} == {"auto"}
            yield from super().execute(jobs, datasets, *take)

    assert len(run(tmp_path, seeds, Before(), lockstep)) == len(seeds)
