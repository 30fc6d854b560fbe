"""Which runs go together, and how many at most."""

from collections.abc import Hashable, Mapping, Sequence

import torch

from pfl_bench.client.backends import BACKENDS, DENSE_ON_CPU, choose_backend
from pfl_bench.client.build import make_model
from pfl_bench.client.model import ClientModel
from pfl_bench.data.dataset import ArrayDataset
from pfl_bench.running.job import Job
from pfl_bench.spec.options import Options
from pfl_bench.spec.run import RunSpec
from pfl_bench.spec.scenario import Scenario

CLIENTS = 64
"""Stacked clients beyond which a step's cost per client falls no further. Measured on the MLP of ``quick``, one core:
300 microseconds per client with one, 76 with five, 37 with twenty, 30 to 34 with fifty, 28 to 33 with 100 and 200. On
an H100, the paper's LeNet: 480 with one, 310 with three, 230 with five, 200 with ten, 156 with fifty."""

MOST = 64
"""Runs of a company; each has a thread."""

BYTES = 2**30
"""What the runs of a company may hold together, by a cautious guess."""

COPIES = 4
"""Models per client that a method is taken to keep: personal parameters, momentum, a control variate, a copy."""


def in_lockstep(run: RunSpec, runs: Sequence[RunSpec], dataset: ArrayDataset, options: Options) -> bool:
    """Whether a run of a request is computed so that it can share its steps with others: where there are others of its
    method and scenario, and where stacking pays, which is for dense models on a CPU and all that are stacked on a GPU.

    It depends on what was asked for, and not on what is there already: so a run that goes on has the same numbers.
    """
    if options.lockstep == 1 or options.backend != "auto":
        return False
    if sum((other.method, other.scenario) == (run.method, run.scenario) for other in runs) < 2:
        return False
    device = torch.device(options.device)
    taken = (choose_backend("auto", model, device) for model in _models(run.scenario, dataset))
    return all(backend in (DENSE_ON_CPU, BACKENDS["graph"]) for backend in taken)


def companies(jobs: Sequence[Job], datasets: Mapping[str, ArrayDataset], workers: int = 1) -> list[list[int]]:
    """The jobs' positions, by company; so that all ``workers`` have something to do. Most jobs are alone."""
    families: dict[Hashable, list[int]] = {}
    for position, job in enumerate(jobs):
        families.setdefault(_family(job, position), []).append(position)
    share = -(-len(jobs) // max(1, workers))
    found = []
    for positions in families.values():
        job = jobs[positions[0]]
        most = min(share, size_of(job, datasets[job.scenario.dataset])) if len(positions) > 1 else 1
        count = -(-len(positions) // most)  # as many as needed, of nearly the same size
        each, more = divmod(len(positions), count)
        for company in range(count):
            start = company * each + min(company, more)
            found.append(positions[start : start + each + (company < more)])
    return found


def _family(job: Job, position: int) -> Hashable:
    """Equal for jobs that may share a process and mostly ask for the same; runs with a plug-in's code go alone."""
    if job.options.backend != "lockstep" or job.options.lockstep == 1 or job.brings_code:
        return position
    return job.method, job.scenario.id, job.options


def size_of(job: Job, dataset: ArrayDataset) -> int:
    """How many runs like this one go together: what the user says, else as many as make up ``CLIENTS``, within
    ``BYTES``."""
    if job.options.lockstep is not None:
        return job.options.lockstep
    scenario = job.scenario
    most = -(-CLIENTS // min(job.spec.config.cohort, scenario.clients))
    state = 4 * COPIES * scenario.clients * max(model.size for model in _models(scenario, dataset))
    copied = dataset.train_inputs.nbytes + dataset.test_inputs.nbytes if scenario.shift else 0
    return max(1, min(most, MOST, BYTES // (state + copied)))


def _models(scenario: Scenario, dataset: ArrayDataset) -> list[ClientModel]:
    return [make_model(name, dataset.input, dataset.classes, scenario.precision) for name in scenario.models]
