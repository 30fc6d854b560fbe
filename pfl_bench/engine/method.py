"""The contract of a method: explicit state, metered calls, and what is to be evaluated when."""

import difflib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal, TypeVar

from pydantic import Field, NonNegativeFloat, PositiveFloat
from torch import Tensor

from pfl_bench.client.params import Params, State
from pfl_bench.client.requests import Served
from pfl_bench.client.sgd import Sgd
from pfl_bench.registry import METHODS
from pfl_bench.spec.config import MethodConfig
from pfl_bench.spec.fields import check_written

from .federation import Federation

Moment = Literal["global", "received", "adapted"]
MOMENTS: tuple[Moment, ...] = ("global", "received", "adapted")
MOMENT_HOOKS: Mapping[Moment, str] = {"global": "global_params", "received": "client_params", "adapted": "adapt"}
FAMILIES = ("baseline", "body and head", "mixture", "relation", "features", "hypernetwork")
"""What methods are sorted by: how they come to a model per client."""

HOOKS = ("init", "round", "global_params", "client_params", "adapt", "enroll", "client_vectors", "client_clusters")
"""What the engine calls of a method."""


LEARNING_RATES = (0.3, 0.2, 0.1, 0.05, 0.03, 0.02, 0.01, 0.005)
"""The common grid for a local learning rate; wider than the pFedHN paper's, which is 0.1 to 0.005."""

PLAIN_LEARNING_RATES = (1.0, 0.5, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01)
"""The same for steps without momentum: with momentum 0.9 a rate moves a model ten times as far."""


class LocalSgdConfig(MethodConfig):
    """Hyper-parameters of methods whose clients run plain SGD; the pFedHN protocol's, but for the tuned ``lr``."""

    lr: PositiveFloat = Field(5e-3, description="local learning rate")
    momentum: float = Field(0.9, ge=0, lt=1, description="local momentum, reset at every visit")
    weight_decay: NonNegativeFloat = 5e-5
    clip_norm: PositiveFloat | None = Field(50.0, description="largest norm of a client's gradient; none: any")

    def sgd(self) -> Sgd:
        """The optimiser spec."""
        return Sgd(self.lr, self.momentum, self.weight_decay, self.clip_norm)


class Method(ABC):
    """A personalized federated learning method.

    Subclasses say in ``moment`` at which moment their paper evaluates, and override the hook of that moment
    and of any other that exists for them:

    * ``global``: ``global_params``, the server's model;
    * ``received``: ``client_params``, the shared part plus the stored personal part, before any local step;
    * ``adapted``: ``adapt``, after local adaptation on the client's own training data.

    A hook returns parameters, or ``Served`` where prediction is not one forward pass under them. A method that cannot
    take part in a scenario raises ``UnsuitedError``; the run is recorded as skipped.

    Who may do what: ``init`` and ``round`` train within the budget. ``adapt`` and ``enroll`` train within an allowance
    that the scenario sets for all methods. ``global_params``, ``client_params``, ``client_vectors`` and
    ``client_clusters`` may compute but not train. All but ``init`` and ``round`` leave ``state`` as it is, and may be
    called for some clients at a time.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    """Raised when a method's numbers change on purpose: its runs get other ids."""

    moment: ClassVar[Moment] = "received"
    search_space: ClassVar[Mapping[str, Sequence[Any]]] = {}
    """Values to try per hyper-parameter, for ``running.tuning``."""

    joint: ClassVar[bool] = False
    """Where clients have different models: one state for all of them, instead of one per client model.

    ``init`` then gets the federation of the first model and finds the others in ``fed.models``; ``round`` and
    the evaluation hooks get the federation of one model at a time.
    """

    without_batch_norm: ClassVar[str] = ""
    """Of a method that is about BatchNorm layers: what is left of it on a client model without any. ``run`` says so."""

    Config: type[MethodConfig] = MethodConfig

    def __init__(self, config: Any) -> None:
        self.config = config

    @property
    def selected_from(self) -> float:
        """The share of the budget after which a run is of the method itself and not of its warm start.

        Evaluations before do not take part in selection.
        """
        return 0.0

    @abstractmethod
    def init(self, fed: Federation) -> State:
        """State before the first round."""

    @abstractmethod
    def round(self, fed: Federation, state: State, cohort: Tensor) -> State:
        """One round with the clients in ``cohort`` (int64 ``[c]``), with ``fed.local_steps`` gradients each."""

    def global_params(self, fed: Federation, state: State) -> Params | Served:
        """The server's model, shared parameters ``[...]``."""
        raise NotImplementedError

    def client_params(self, fed: Federation, state: State, clients: Tensor) -> Params | Served:
        """What these clients would use without a local step, stacked ``[c, ...]``."""
        raise NotImplementedError

    def adapt(self, fed: Federation, state: State, clients: Tensor) -> Params | Served:
        """What these clients would use after adapting on their training data, stacked ``[c, ...]``.

        ``fed.local_steps`` is the scenario's allowance for it; what is taken is counted apart from the budget.
        """
        raise NotImplementedError

    def enroll(self, fed: Federation, state: State, clients: Tensor) -> Params | Served:
        """What clients never seen in training would use, stacked ``[c, ...]``.

        ``fed`` is their federation: it numbers them from 0, holds what labelled samples they have, and its
        ``local_steps`` are what each may spend. A method
        without this hook has no rule for new clients, and results say so.
        """
        raise NotImplementedError

    def client_vectors(self, fed: Federation, state: State) -> Tensor:
        """What the server has learned about each client, ``[clients, k]``; recorded at the end of a run."""
        raise NotImplementedError

    def client_clusters(self, fed: Federation, state: State, clients: Tensor) -> Tensor:
        """Which cluster each of these clients is in, int64 ``[c]``; recorded at the end of a run, beside the group that
        each is in. For methods that sort clients; what the numbers are does not matter."""
        raise NotImplementedError

    @classmethod
    def defines(cls, hook: str) -> bool:
        """Whether a method overrides a hook."""
        return getattr(cls, hook) is not getattr(Method, hook)

    @classmethod
    def moments(cls) -> list[Moment]:
        """The moments this method defines, in the order global, received, adapted."""
        return [m for m in MOMENTS if cls.defines(MOMENT_HOOKS[m])]


M = TypeVar("M", bound=type[Method])


def register_method(name: str, *, paper: str, family: str = "") -> Callable[[M], M]:
    """Register a Method subclass as ``name``; ``paper`` is its reference, ``family`` the kind of idea, one of
    ``FAMILIES`` for what is shipped."""

    def enter(cls: M) -> M:
        if cls.moment not in MOMENTS:
            raise TypeError(f"method {name!r}: moment={cls.moment!r} must be one of {', '.join(MOMENTS)}")
        for own in vars(cls):
            near = difflib.get_close_matches(own, HOOKS, n=1, cutoff=0.85)
            if near and own not in HOOKS:
                raise TypeError(f"method {name!r} defines {own}, which is no hook: did you mean {near[0]}?")
        if cls.moment not in cls.moments():
            hook = MOMENT_HOOKS[cls.moment]
            raise TypeError(f"method {name!r} is evaluated at moment {cls.moment!r}; it must define {hook}")
        _check_defaults(name, cls.Config)
        cls.name = name
        return METHODS.register(name, paper=paper, **({"family": family} if family else {}))(cls)

    return enter


def _check_defaults(name: str, config: type[MethodConfig]) -> None:
    """RequestError where JSON cannot hold the defaults; what has none is looked at when a configuration is made."""
    if not any(field.is_required() for field in config.model_fields.values()):
        check_written(first := config(), f"method {name!r}: ")
        if other := [field for field in config.model_fields if getattr(config(), field) != getattr(first, field)]:
            raise TypeError(f"method {name!r}: the default of {other[0]} is another one each time")
