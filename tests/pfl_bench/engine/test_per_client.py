"""Personal state: rows for those who were visited, the default for everybody else, in memory and on disk."""

import tempfile
from pathlib import Path

import pytest
import torch

from pfl_bench.client.params import Params, State
from pfl_bench.engine import checkpoint
from pfl_bench.engine.per_client import PerClient
from pfl_bench.spec.options import Options
from pfl_bench.testing.harness import Harness

DEFAULT = Params({"w": torch.arange(6.0).view(2, 3), "b": torch.tensor(7.0), "none": torch.zeros(0)})
BOTH = pytest.mark.parametrize("on_disk", [False, True], ids=["memory", "disk"])


def ids(*clients: int) -> torch.Tensor:
    return torch.tensor(clients)


def scaled(factor: float, count: int = 1) -> Params:
    return DEFAULT.map(lambda tensor: (factor * (1 + tensor)).expand(count, *tensor.shape).clone())


@BOTH
def test_everybody_starts_from_the_default_and_keeps_its_own_row(on_disk):
    state = PerClient(DEFAULT, 10, on_disk=on_disk)
    state.set_rows(
        ids(7, 2), Params({name: torch.stack([t, t + 1]) for name, t in scaled(3.0).map(lambda t: t[0]).items()})
    )
    rows = state.rows(ids(2, 0, 7, 2))
    assert torch.equal(rows["w"][1], DEFAULT["w"]) and rows["b"][1] == 7
    assert torch.equal(rows["w"][2], 3 * (1 + DEFAULT["w"])) and torch.equal(rows["w"][0], rows["w"][2] + 1)
    assert torch.equal(rows["w"][0], rows["w"][3])
    assert torch.equal(state.default["w"], DEFAULT["w"]) and state.visited == [7, 2]
    assert list(state) == ["w", "b", "none"] and "w" in state and "x" not in state and len(state) == 3


@BOTH
def test_rows_are_copies_and_so_is_what_was_written(on_disk):
    state, values = PerClient(DEFAULT, 4, on_disk=on_disk), scaled(2.0)
    state.set_rows(ids(1), values)
    values["w"].zero_()
    state.rows(ids(0, 1))["w"].zero_()
    state.default["w"].zero_()
    assert torch.equal(state.rows(ids(1))["w"][0], 2 * (1 + DEFAULT["w"]))
    assert torch.equal(state.rows(ids(0))["w"][0], DEFAULT["w"])


def test_the_default_is_a_copy():
    own = DEFAULT.map(torch.clone)
    state = PerClient(own, 4)
    own["w"].zero_()
    assert torch.equal(state.rows(ids(3))["w"][0], DEFAULT["w"])


def test_memory_follows_visits():
    """A thousand clients with a weight of 4 kB each."""

    def kilobytes(state: PerClient) -> float:
        return len(checkpoint.dumps(state)) / 1e3

    state = PerClient(Params({"w": torch.zeros(1000)}), 1000)
    assert kilobytes(state) < 10
    for client in range(20):
        state.set_rows(ids(client), {"w": torch.ones(1, 1000)})
    assert kilobytes(state) == pytest.approx(21 * 4, rel=0.05)


@BOTH
def test_rows_stay_as_room_for_more_is_made(on_disk):
    state = PerClient(DEFAULT, 50, on_disk=on_disk)
    for client in reversed(range(50)):
        state.set_rows(ids(client), scaled(client))
    rows = state.rows(torch.arange(50))
    for client in range(50):
        assert torch.equal(rows["w"][client], client * (1 + DEFAULT["w"])) and rows["b"][client] == client * 8


@BOTH
def test_names_that_are_not_given_keep_what_they_have(on_disk):
    state = PerClient(DEFAULT, 4, on_disk=on_disk)
    state.set_rows(ids(1), {"w": torch.ones(1, 2, 3), "unknown": torch.ones(1)})
    assert state.rows(ids(1))["b"].item() == 7, "the default, on the first visit"
    state.set_rows(ids(1), {"b": torch.tensor([5.0])})
    assert torch.equal(state.rows(ids(1))["w"][0], torch.ones(2, 3)) and state.rows(ids(1))["b"].item() == 5
    with pytest.raises(KeyError, match="no value for any of w, b, none"):
        state.set_rows(ids(2), {"v": torch.ones(1)})
    assert state.visited == [1]


def test_nothing_personal_is_a_state_too():
    state = PerClient({}, 4)
    state.set_rows(ids(1), {"w": torch.ones(1)})
    assert len(state) == 0 and state.rows(ids(0, 1)) == {} and state.map(torch.clone).default == {}


@BOTH
def test_map_changes_the_default_and_every_row(on_disk):
    state = PerClient(DEFAULT, 4, on_disk=on_disk)
    state.set_rows(ids(2), scaled(2.0))
    mapped = state.map(lambda tensor: -tensor)
    for client in range(4):
        assert torch.equal(mapped.rows(ids(client))["w"], -state.rows(ids(client))["w"])
    mapped.set_rows(ids(0), scaled(9.0))
    assert torch.equal(state.rows(ids(0))["w"][0], DEFAULT["w"]), "a state of its own"


@BOTH
def test_a_checkpoint_keeps_the_rows_that_were_touched_only(on_disk):
    state = PerClient(DEFAULT, 1000, on_disk=on_disk)
    state.set_rows(ids(900, 3), scaled(2.0, 2))
    assert state.parts()["rows"]["w"].shape == (3, 2, 3), "default and two clients"
    back = checkpoint.loads(checkpoint.dumps(State(own=state))).own
    assert isinstance(back, PerClient)
    assert (back.clients, back.visited, back.on_disk) == (1000, [900, 3], on_disk)
    for clients in (ids(900), ids(3), ids(0)):
        assert all(torch.equal(back.rows(clients)[name], state.rows(clients)[name]) for name in state)
    back.set_rows(ids(5), scaled(4.0))
    assert back.visited == [900, 3, 5] and state.visited == [900, 3]
    assert checkpoint.dumps(checkpoint.loads(checkpoint.dumps(state))) == checkpoint.dumps(state)


def test_parts_of_anything_else_are_refused():
    with pytest.raises(KeyError):
        PerClient.from_parts({"rows": DEFAULT})
    with pytest.raises(TypeError):
        PerClient.from_parts({"rows": 3, "visited": [], "clients": 4, "on_disk": False})


@pytest.mark.parametrize("method", ["fedper", "ditto", "pfedhn_pc"])
def test_on_disk_is_in_memory_bit_for_bit_and_leaves_no_file(method, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    here = Harness(method, rounds=3)
    there = Harness(method, rounds=3, options=Options(state="disk"))
    assert all(torch.equal(a, b) for a, b in zip(here.tensors(), there.tensors(), strict=True))
    assert list(Path(tmp_path).iterdir()) == [], "unlinked at once; the mapping keeps the memory"


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("after", [False, True])
def test_a_checkpoint_goes_on_where_it_is_asked_to(before, after):
    """Who runs out of memory and repeats the command with the state on disk is to gain by it."""
    state = PerClient(DEFAULT, 10, on_disk=before)
    state.set_rows(ids(4), scaled(2.0))
    back = checkpoint.loads(checkpoint.dumps(State(own=state)), on_disk=after).own
    assert back.on_disk == after and torch.equal(back.rows(ids(4))["w"], state.rows(ids(4))["w"])


def test_a_device_s_memory_has_those_who_were_visited_only():
    state = PerClient({"w": torch.zeros(3, device="meta")}, 1000, on_disk=True)
    assert state._store["w"].shape == (1, 3)
