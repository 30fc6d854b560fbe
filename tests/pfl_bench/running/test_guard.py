"""What a run may not change, also where it shares a process with others."""

import sys

import pytest
import torch

from pfl_bench import global_state
from pfl_bench.engine.events import Failure, RunResult
from pfl_bench.registry import load_plugin, read_plugin
from pfl_bench.running.executors.serial import SerialExecutor
from pfl_bench.running.guard import guarded
from pfl_bench.running.job import make_job
from pfl_bench.running.sources import Sources
from pfl_bench.spec.options import Options
from pfl_bench.testing.kit import fingerprint
from pfl_bench.testing.setup import tiny_setup
from tests.conftest import PLUGINS
from tests.pfl_bench.cli.tiny import SUITE

SETUP = tiny_setup()


def job_of(path, method, sources=None, **config):
    plugin = read_plugin(path)
    load_plugin(plugin)
    return make_job(SETUP.spec(method, **config), SETUP.partition, Options(), (plugin,), sources)


def last(job, **how):
    *_, event = guarded(job, SETUP.dataset, **how)
    return event


HARM = {
    "exit": "SystemExit", "base": "OfItsOwnKindError", "images": "wrote into train inputs", "labels": "train labels",
    "members": "wrote into the split", "dtype": "changed torch's default type", "device": "torch's default device",
    "torch_random": "torch's random numbers",
    "numpy_random": "numpy's random numbers", "python_random": "Python's random numbers", "folder": "the folder",
}  # fmt: skip


def test_nothing_of_it_reaches_the_next_run_of_this_process():
    undisturbed = fingerprint(last(job_of(PLUGINS / "harmful.py", "fedavg")))
    state = global_state.read()
    for deed, expected in HARM.items():
        event = last(job_of(PLUGINS / "harmful.py", "harmful", deed=deed))
        assert isinstance(event, Failure) and expected in event.reason and "\n" not in event.reason, deed
        assert global_state.changed(state) == [], deed
    assert fingerprint(last(job_of(PLUGINS / "harmful.py", "fedavg"))) == undisturbed


def test_an_interruption_is_the_users_unless_the_process_is_the_runs():
    job = job_of(PLUGINS / "harmful.py", "harmful", deed="interrupt")
    with pytest.raises(KeyboardInterrupt):
        last(job)
    assert "KeyboardInterrupt" in last(job, alone=True).reason


def test_shipped_methods_stay_in_this_process_and_plug_ins_do_not():
    job = job_of(PLUGINS / "harmful.py", "harmful")
    assert job.brings_code and not job_of(PLUGINS / "harmful.py", "fedavg").brings_code
    assert not make_job(SETUP.spec("pfedhn"), SETUP.partition, Options()).brings_code
    assert SerialExecutor().apart


METHOD = """
from pfl_bench.api import LocalSgdConfig, Method, State, register_method
{at_the_top}

@register_method("edited", paper="none")
class Edited(Method):
    moment = "global"
    Config = LocalSgdConfig

    def init(self, fed):
        return State(server=fed.init_params())

    def round(self, fed, state, cohort):
        {inside}
        if fed.round == 1:
            edit_now()
        state.server = fed.train_and_average(state.server, cohort, self.config.sgd())
        return state

    def global_params(self, fed, state):
        return state.server

def edit_now():
    from pathlib import Path
    helper = Path({path!r})
    if "{when}" == "run":
        helper.write_text("FACTOR = 2")
"""


@pytest.mark.parametrize(
    ("when", "apart", "lazily", "fails"),
    [
        ("never", True, True, False),
        ("before", True, False, True),
        ("before", False, False, False),  # this process has loaded what was hashed
        ("before", False, True, True),
        ("run", True, True, True),  # after it was imported, but nobody can tell
        ("run", False, False, False),
    ],
)
def test_a_helper_that_is_edited_after_planning_is_never_run_under_the_old_hash(
    tmp_path, fresh_plugins, when, apart, lazily, fails
):
    """Either the text that was hashed is what ran, or the run fails and says which file changed."""
    fresh_plugins("isolated_helper")
    sys.path.insert(0, str(tmp_path))
    helper, path = tmp_path / "isolated_helper.py", tmp_path / "edited.py"
    helper.write_text("FACTOR = 1")
    use = "from isolated_helper import FACTOR"
    path.write_text(METHOD.format(at_the_top="" if lazily else use, inside=use if lazily else "pass",
                                  path=str(helper), when=when))  # fmt: skip
    job = job_of(path, "edited")
    planned = Sources(job.plugins).of(job.spec)
    assert "method helper:isolated_helper.py" in planned
    if when == "before":
        helper.write_text("FACTOR = 2")
    job = job_of(path, "edited", planned)
    (event,) = [e for _, e in SerialExecutor(apart).execute([job], {SETUP.scenario.dataset: SETUP.dataset})
                if isinstance(e, RunResult | Failure)]  # fmt: skip
    assert isinstance(event, Failure if fails else RunResult), event
    if fails:
        assert "method helper:isolated_helper.py changed since the run was planned" in event.reason


def test_a_plug_in_that_is_edited_after_planning_runs_as_it_was_loaded(tmp_path):
    path = tmp_path / "harmful.py"
    path.write_text((PLUGINS / "harmful.py").read_text())
    job = job_of(path, "harmful")
    job = job_of(path, "harmful", Sources(job.plugins).of(job.spec))
    path.write_text("this is no Python")
    executor = SerialExecutor()
    *_, (_, event) = executor.execute([job], {SETUP.scenario.dataset: SETUP.dataset})
    assert isinstance(event, RunResult)


def test_a_shipped_file_of_another_text_is_not_run_either():
    """As where a worker's package is not the driver's."""
    job = make_job(SETUP.spec("fedavg"), SETUP.partition, Options(), (), {"method:methods/fedavg.py": "0" * 64})
    assert last(job).reason.startswith("method:methods/fedavg.py changed since the run was planned")


RULE = """
import numpy, torch
from pfl_bench.api import RuleConfig, register_partition
@register_partition("{name}", config=RuleConfig)
def shares(config, counts, clients, rng):
    {harm}
    return numpy.full((clients, len(counts)), 1 / clients)
"""


@pytest.mark.parametrize(
    ("name", "harm", "message"),
    [
        ("exits", "exit()", "ends the program (SystemExit"),
        ("sets", "torch.set_default_dtype(torch.float64)", "changes torch's default type"),
    ],
)
def test_a_rule_that_exits_or_sets_something_is_refused(cli, tmp_path, name, harm, message):
    (tmp_path / "rule.py").write_text(RULE.format(name=name, harm=harm))
    (tmp_path / "tiny.toml").write_text(SUITE.replace('rule = "classes", classes = 2', f'rule = "{name}"'))
    status, _, error = cli("run", "--suite", "tiny.toml", "--plugin", "rule.py", "--executor", "serial")
    assert status == 2 and error.count("\n") == 1 and message in error
    assert not (tmp_path / "results").exists()
    assert torch.get_default_dtype() == torch.float32
