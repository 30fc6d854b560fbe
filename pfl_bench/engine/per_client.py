"""Personal state: a default for everybody, and a row of its own for each client that was visited."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pfl_bench.client.params import Params, Tensors
from pfl_bench.data.pool import on_device

from .clients import check_ids, host_ids


class PerClient:
    """Parameters of every client, of which only the visited clients' are held: memory follows visits.

    ``rows(clients)`` gives copies ``[c, ...]``; ``set_rows(clients, values)`` writes. Iterating gives the names. With
    ``on_disk`` the rows live in files that the system maps into memory and removes when the run ends.
    """

    def __init__(self, default: Tensors, clients: int, *, on_disk: bool = False) -> None:
        self.clients, self.on_disk = clients, on_disk
        self.writes = 0
        self._slots: dict[int, int] = {}
        everybody = on_disk and all(tensor.device.type == "cpu" for tensor in default.values())
        self._store = self._room(default, clients + 1 if everybody else 1)
        self._write([0], {name: tensor.unsqueeze(0) for name, tensor in default.items()})

    def __iter__(self) -> Iterator[str]:
        return iter(self._store)

    def __contains__(self, name: object) -> bool:
        return name in self._store

    def __len__(self) -> int:
        return len(self._store)

    @property
    def default(self) -> Params:
        """What a client has that was never visited, ``[...]``."""
        return self._store.map(lambda tensor: tensor[0].clone())

    @property
    def visited(self) -> list[int]:
        """Clients with a row of their own, in the order of their first visit."""
        return list(self._slots)

    def rows(self, clients: Tensor) -> Params:
        """Copies of these clients' rows, ``[c, ...]``."""
        slots = [self._slots.get(client, 0) for client in check_ids(host_ids(clients), self.clients)]
        return self._store.map(lambda tensor: tensor.index_select(0, self._index(slots)))

    def set_rows(self, clients: Tensor, values: Tensors) -> None:
        """Write ``values`` ``[c, ...]`` as these clients' rows; names that are not given keep what they have.

        KeyError if none of the names is given. Where nothing is personal there is nothing to write.
        """
        given = [name for name in self._store if name in values]
        if not self._store:
            return
        if not given:
            raise KeyError(f"no value for any of {', '.join(self._store)}")
        ids = check_ids(host_ids(clients), self.clients)
        fresh = [client for client in dict.fromkeys(ids) if client not in self._slots]
        if fresh:
            self._grow(len(fresh))
            for client in fresh:
                self._slots[client] = len(self._slots) + 1
            own = [self._slots[client] for client in fresh]
            kept = self._store.without(given)
            self._write(own, kept.map(lambda tensor: tensor[:1].expand(len(own), *tensor.shape[1:]).clone()))
        self._write([self._slots[client] for client in ids], {name: values[name] for name in given})

    def map(self, function: Callable[[Tensor], Tensor]) -> "PerClient":
        """Apply a function, elementwise along the clients, to the default and every row."""
        slots = list(range(len(self._slots) + 1))
        mapped = self._store.map(lambda tensor: function(tensor.index_select(0, self._index(slots))))
        return self._rebuilt(mapped, self.visited, self.clients, on_disk=self.on_disk)

    def parts(self) -> dict[str, object]:
        """What a checkpoint keeps: the default and the visited rows ``[1 + visited, ...]``, and whose they are.

        The rows are those in use, not copies: ten thousand clients' would not fit beside them.
        """
        return {
            "rows": self._store.map(lambda tensor: tensor[: len(self._slots) + 1]),
            "visited": self.visited,
            "clients": self.clients,
            "on_disk": self.on_disk,
        }

    @classmethod
    def from_parts(cls, parts: Mapping[str, object], on_disk: bool | None = None) -> "PerClient":
        """The inverse of ``parts``; KeyError or TypeError for anything else. ``on_disk``: where to keep it from now on;
        None: where it was."""
        rows, visited, clients = parts["rows"], parts["visited"], parts["clients"]
        if not (isinstance(rows, Params) and isinstance(visited, list) and isinstance(clients, int)):
            raise TypeError("these are not the parts of a PerClient")
        return cls._rebuilt(rows, visited, clients, on_disk=bool(parts["on_disk"]) if on_disk is None else on_disk)

    @classmethod
    def _rebuilt(cls, rows: Params, visited: list[int], clients: int, *, on_disk: bool) -> "PerClient":
        made = cls(rows.map(lambda tensor: tensor[0]), clients, on_disk=on_disk)
        made._grow(len(visited))
        made._slots = {client: slot for slot, client in enumerate(visited, start=1)}
        made._write(list(made._slots.values()), rows.map(lambda tensor: tensor[1:]))
        return made

    def _index(self, slots: list[int]) -> Tensor:
        device = next(iter(self._store.values())).device
        return on_device(torch.from_numpy(np.asarray(slots, dtype=np.int64)), device)

    def _write(self, slots: list[int], values: Tensors) -> None:
        self.writes += 1
        if slots and values:
            index = self._index(slots)
            for name, rows in values.items():
                self._store[name].index_copy_(0, index, rows.detach().to(self._store[name].dtype))

    def _grow(self, more: int) -> None:
        """Room for more rows: at least doubled, so that growing costs little, but never more than everybody's."""
        held = len(next(iter(self._store.values()))) if self._store else 1
        needed = len(self._slots) + 1 + more
        if needed <= held:
            return
        room = self._room(self._store.map(lambda tensor: tensor[0]), min(max(needed, 2 * held), self.clients + 1))
        for name, tensor in self._store.items():
            room[name][:held] = tensor
        self._store = room

    def _room(self, like: Tensors, rows: int) -> Params:
        return Params({name: self._allocate(tensor, rows) for name, tensor in like.items()})

    def _allocate(self, like: Tensor, rows: int) -> Tensor:
        shape = (rows, *like.shape)
        if not self.on_disk or like.device.type != "cpu":
            return torch.zeros(shape, dtype=like.dtype, device=like.device)
        with tempfile.NamedTemporaryFile(prefix="pfl-bench-state-", delete=False) as file:
            path = Path(file.name)
        try:
            held = torch.from_file(str(path), shared=True, size=rows * max(1, like.numel()), dtype=like.dtype)
            return held[: rows * like.numel()].view(shape)
        finally:
            path.unlink(missing_ok=True)  # the mapping keeps it until the run lets go
