"""FedAlt: any layers may be personal; a visit trains first them, then the shared ones."""

from pydantic import Field
from torch import Tensor

from pfl_bench.api import LEARNING_RATES, Federation, Params, State, register_method

from ._personal_part import SubsetConfig, alternately, received
from .fedsim import FedSim


@register_method("fedalt", paper="Pillutla et al. 2022, ICML, arXiv:2204.03809, FedAlt", family="body and head")
class FedAlt(FedSim):
    """v_i <- SGD on v_i under the received u; u_i <- SGD on u under the new v_i; the u_i are averaged.

    With the last layer personal it is FedRep. In all else it is as FedSim.
    """

    search_space = {"lr": LEARNING_RATES, "personal": ["last", "first"], "warm_start": [0.0, 0.5]}

    class Config(SubsetConfig):
        """Of the authors' two epochs per visit one is the personal part's."""

        personal_share: float = Field(0.5, gt=0, le=1, description="share of a visit's steps for the personal part")

    def visit(self, fed: Federation, state: State, cohort: Tensor) -> Params:
        """Personal steps, then shared ones; in the warm start all are shared."""
        if not state.heads:
            return super().visit(fed, state, cohort)
        start, own, share = received(fed, state, cohort), frozenset(state.heads), self.config.personal_share
        return alternately(fed, start, cohort, self.config.sgd(), own, share)
