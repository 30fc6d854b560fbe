"""What a method knows of its clients without asking them: how many, their sizes, the client model, where the run is."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor

from pfl_bench.client.backends.traced import leaves_of
from pfl_bench.client.build import InputShape
from pfl_bench.client.model import ClientModel
from pfl_bench.client.params import Params, Tensors
from pfl_bench.data.inputs import InputSpec
from pfl_bench.data.pool import on_device
from pfl_bench.seeds import numpy_generator

from .clients import ClientGroup, client_ids
from .meter import BudgetError, Costs, Phase
from .per_client import PerClient


@dataclass
class Account:
    """Mini-batch gradients by client that one call of a hook took, and whether that call is over."""

    spent: dict[int, int] = field(default_factory=dict)
    closed: bool = False


class View:
    """The clients of one run that share a client model, at one point of the run. Read-only.

    ``phase``: ``init`` and ``train`` (a round) spend the budget; ``adapt`` and ``enroll`` have an allowance of their
    own; in ``evaluate`` nothing may train. ``local_steps``: the mini-batch gradients that each client may spend in this
    phase. ``progress``: the share of the budget spent before this round. ``visits``: client visits of the whole run.
    ``costs``: a copy of the meter.
    """

    __slots__ = ("_account", "_at", "_group", "_meter")

    _account: Account

    _at: tuple[Phase, int, int, float, int]
    _group: ClientGroup
    _meter: Costs

    def __init__(
        self, group: ClientGroup, meter: Costs, phase: Phase, local_steps: int, round: int = 0, progress: float = 0.0,
        visits: int = 0, account: Account | None = None,
    ) -> None:  # fmt: skip
        fields = group, meter, account or Account(), (phase, local_steps, round, progress, visits)
        for name, value in zip(("_group", "_meter", "_account", "_at"), fields, strict=True):
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a federation is read-only; {name!r} cannot be set")

    def __getstate__(self) -> NoReturn:
        raise TypeError("a federation cannot be copied; what a method keeps belongs into its State")

    def __reduce__(self) -> NoReturn:
        self.__getstate__()

    # Where the run is: no slots but properties, which object.__setattr__ cannot set either

    @property
    def phase(self) -> Phase:
        """What the method is asked to do."""
        return self._at[0]

    @property
    def local_steps(self) -> int:
        """Mini-batch gradients that each client may spend in this phase."""
        return self._at[1]

    @property
    def visits(self) -> int:
        """Client visits of the whole run, which is the budget; 0 for clients who are only enrolled."""
        return self._at[4]

    @property
    def round(self) -> int:
        """Rounds before this one."""
        return self._at[2]

    @property
    def progress(self) -> float:
        """Share of the budget spent before this round."""
        return self._at[3]

    # What is known of the clients

    @property
    def model(self) -> ClientModel:
        """The client model."""
        return self._group.model

    @property
    def models(self) -> tuple[ClientModel, ...]:
        """The client models of the scenario; this federation's is one of them."""
        return self._group.models

    @property
    def clients(self) -> int:
        """Number of training clients."""
        return len(self._group.members)

    @property
    def population(self) -> int:
        """Number of training clients of the scenario, whatever their model."""
        return self._group.population

    @property
    def everyone(self) -> Tensor:
        """Ids of all training clients, int64 ``[clients]``."""
        return client_ids(np.arange(self.clients), self.device)

    @property
    def sizes(self) -> Tensor:
        """Training samples per client, float32 ``[clients]``."""
        return self._group.sizes.clone()

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self._group.classes

    @property
    def input(self) -> InputSpec:
        """What a sample is, and its shape."""
        return self._group.pool.input

    @property
    def input_shape(self) -> InputShape:
        """Shape of a sample: channels, height and width of an image."""
        return self.input.shape

    @property
    def class_counts(self) -> Tensor:
        """Training samples per client and class, float32 ``[clients, classes]``: what each client knows of itself.

        A server that uses it must ``collect`` it.
        """
        return self._group.class_counts.clone()

    @property
    def device(self) -> torch.device:
        """Where tensors live."""
        return self._group.device

    def check_spent(self, what: str) -> None:
        """BudgetError if a client took more mini-batch gradients in this phase than ``local_steps``."""
        for client, spent in self._account.spent.items():
            if spent > self.local_steps:
                raise BudgetError(
                    f"{what} took {spent} mini-batch gradients of client {client}; fed.local_steps={self.local_steps} "
                    "is what each may spend"
                )

    def close(self) -> None:
        """Called when the hook that was given this federation has returned: what is kept of it can do nothing more.

        Else a method could take steps in a round on the allowance of an earlier evaluation, which nobody counts again.
        """
        self._account.closed = True

    def _check_open(self, asked: str) -> None:
        """BudgetError if the call that this federation was made for is over."""
        if self._account.closed:
            raise BudgetError(
                f"fed.{asked} of a federation that was for an earlier call ({self.phase}, after {self.round} rounds): "
                "each call of a hook brings its own"
            )

    @property
    def costs(self) -> Costs:
        """What the run has cost so far."""
        return self._meter.copy()

    def among_all(self, clients: Tensor) -> Tensor:
        """These clients' numbers among all training clients of the scenario, int64 ``[c]``."""
        if len(self.models) == 1:
            return clients
        return on_device(torch.tensor(self._group.numbers), self.device)[clients]

    # Parameters and state

    def generator(self, *coordinates: int | str) -> np.random.Generator:
        """Random numbers for the method's own use; its stream touches no other."""
        return numpy_generator(self._group.seed, "method", *coordinates)

    def init_params(self, model: ClientModel | None = None) -> Params:
        """Initial weights and buffers of the client model, or of another of ``models``: equal for all methods."""
        return (model or self.model).init(self._group.seed, self.device)

    def per_client(self, default: Tensors) -> PerClient:
        """Personal state that starts from ``default``, ``[...]``, for every client."""
        return PerClient(default, self.clients, on_disk=self._group.on_disk)

    def split(self, params: Params, top_layers: int | None = None) -> tuple[Params, Params]:
        """Cut into body and head; ``top_layers`` makes the head the last so many layers (0: none)."""
        head = self.model.head if top_layers is None else self.model.top(top_layers)
        return params.without(head), params.only(head)

    def replayed(self, name: str, work: Callable[[Any, Any], Any], held: Any, inputs: Any) -> Any:
        """``work(held, inputs)``, recorded as its tensor operations or, on a GPU, as a CUDA graph, and replayed.

        For server-side work that recurs every round. ``held``: tensors that ``work`` uses and changes in place.
        ``inputs``: trees of tensors of the same shapes each time; so is what ``work`` returns. Nothing else may
        matter to ``work`` that changes between rounds.
        """
        if self.device.type == "cuda":
            return self._group.recordings.run(name, work, held, inputs, self.device)
        memory = tuple(leaf.data_ptr() for leaf in leaves_of(held) if isinstance(leaf, Tensor))
        return self._group.traces.call((name, memory), work, held, inputs)
