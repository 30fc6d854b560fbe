"""FedAvgM, FedAdam, FedYogi: FedAvg whose server has an optimiser. Any method with the fields ``server_*`` can."""

from pydantic import Field, PositiveFloat

from pfl_bench.api import LEARNING_RATES, register_method

from ._server_optimizer import ServerOptimizer
from .fedavg import FedAvg

SERVER_RATES = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)


@register_method("fedavgm", paper="Hsu et al. 2019, arXiv:1909.06335, FedAvgM", family="baseline")
class FedAvgM(FedAvg):
    """m <- beta m + mean_i (w_i - w); w <- w + server_lr m.

    A round moves the server up to 1 / (1 - beta) times as far as FedAvg does; the paper tunes beta over 0 to 0.997.
    """

    search_space = {"lr": LEARNING_RATES, "server_momentum": [0.5, 0.7, 0.9]}

    class Config(FedAvg.Config):
        """FedAvg's local SGD, and momentum on the server."""

        server_momentum: float = Field(0.9, ge=0, lt=1, description="beta; 0 is FedAvg")


@register_method("fedadam", paper="Reddi et al. 2021, ICLR, arXiv:2003.00295, algorithm 2", family="baseline")
class FedAdam(FedAvg):
    """m and v as Adam's, of mean_i (w_i - w), without bias correction; w <- w + server_lr m / (sqrt v + tau).

    beta_1, beta_2 and tau are the paper's, server_lr is one of its grid (0.001 to 10). Deviations: the mean is weighted
    by samples, as in the paper's experiments; the clients' SGD is FedAvg's here, with momentum.
    """

    search_space = {"lr": LEARNING_RATES, "server_lr": SERVER_RATES}

    class Config(FedAvg.Config):
        """FedAvg's local SGD, and Adam on the server."""

        server_optimizer: ServerOptimizer = "adam"
        server_lr: PositiveFloat = Field(0.01, description="server learning rate")
        server_momentum: float = Field(0.9, ge=0, lt=1, description="beta_1")


@register_method("fedyogi", paper="Reddi et al. 2021, ICLR, arXiv:2003.00295, algorithm 2", family="baseline")
class FedYogi(FedAdam):
    """As FedAdam, but v moves towards delta^2 by (1 - beta_2) delta^2 at most: it falls more slowly."""

    class Config(FedAdam.Config):
        """FedAvg's local SGD, and Yogi on the server."""

        server_optimizer: ServerOptimizer = "yogi"
