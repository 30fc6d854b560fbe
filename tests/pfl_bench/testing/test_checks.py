"""The kit must find what it is there to find: methods made to fail each check."""

import numpy as np
import pytest
import torch

from pfl_bench.api import LocalSgdConfig, Method, State, register_method, stacked
from pfl_bench.testing import CHECKS, Context, run_check


def check(title_start: str, method: str) -> str | None:
    (found,) = [c for c in CHECKS if c.title.startswith(title_start)]
    return run_check(found, method, Context((method,)))


def cheat(round_function, *, adapt=None):
    @register_method("cheat", paper="none")
    class Cheat(Method):
        moment = "global"
        Config = LocalSgdConfig

        def init(self, fed):
            server = fed.init_params()
            return State(server=server, count=0)

        def round(self, fed, state, cohort):
            state.server = fed.train_and_average(state.server, cohort, self.config.sgd())
            return round_function(self, fed, state, cohort) or state

        def global_params(self, fed, state):
            return adapt(state) if adapt else state.server


def noisy(self, fed, state, cohort):
    state.server = state.server.map(lambda t: t + 1e-3 * torch.randn_like(t))


def remembering(self, fed, state, cohort):
    self.rounds = getattr(self, "rounds", 0) + 1
    state.server = state.server.map(lambda t: t * (1 + 0.01 * self.rounds))


def peeking(self, fed, state, cohort):
    pool, members = fed._group.pool, fed._group.members
    held = torch.from_numpy(np.setdiff1d(np.arange(len(pool.labels)), np.concatenate(members)))
    state.server = state.server.map(lambda t: t + 1e-3 * pool.labels[held].float().mean())


def depends_on_backend(self, fed, state, cohort):
    state.server = state.server.map(lambda t: t + 0.01 * len(fed._group.backend.name.replace("vmap", "")))


@pytest.mark.parametrize(
    ("title", "round_function", "complaint"),
    [
        ("deterministic", noisy, "two runs of the same seed differ"),
        ("resumed", remembering, "resumed after round"),
        ("blind", peeking, "depends on validation or test data"),
        ("loop = vmap", depends_on_backend, "loop and vmap differ by up to"),
    ],
)
def test_cheats_are_found(title, round_function, complaint):
    cheat(round_function)
    assert complaint in (check(title, "cheat") or "")


def test_evaluation_that_trains_is_found():
    cheat(lambda *a: None, adapt=lambda state: state.server.map(lambda t: t.mul_(0.9)))
    said = check("evaluation", "cheat") or ""
    assert "cheat.global_params changes the state, which only init and round may" in said


def test_unmetered_traffic_is_found():
    @register_method("smuggler", paper="none")
    class Smuggler(Method):
        Config = LocalSgdConfig

        def init(self, fed):
            return State(clients=fed.per_client(fed.init_params()))

        def round(self, fed, state, cohort):
            trained = fed.train(state.clients.rows(cohort), cohort, self.config.sgd()).params
            state.clients.set_rows(fed.everyone, stacked(fed.average(trained, cohort), fed.clients))
            return state

        def client_params(self, fed, state, clients):
            return state.clients.rows(clients)

    assert check("costs", "smuggler") == "no traffic was metered, yet one client's data reached the others"


def test_a_crash_is_a_complaint():
    cheat(lambda self, fed, state, cohort: 1 / len(cohort[6:]))
    assert check("1, 3 and 10", "cheat").startswith("on synthetic:classes=1")


def test_a_method_must_define_its_official_moment():
    with pytest.raises(TypeError, match="evaluated at moment 'received'; it must define client_params"):

        @register_method("half", paper="none")
        class Half(Method):
            def init(self, fed):
                return State()

            def round(self, fed, state, cohort):
                return state
