"""What the server does with the mean of what clients return: takes it, or steps towards it with momentum or Adam."""

from typing import Literal

from pydantic import Field, PositiveFloat

from pfl_bench.api import Federation, LocalSgdConfig, Params, State, Tensors, zeros_like

ServerOptimizer = Literal["sgd", "adam", "yogi"]


class ServerConfig(LocalSgdConfig):
    """Local SGD, and a server optimiser on delta = mean - w, the clients' mean change (algorithm 2 of Reddi et al.).

    sgd: m <- beta_1 m + delta; w <- w + server_lr m (Hsu et al. 2019). adam, yogi: m <- beta_1 m + (1 - beta_1) delta;
    v <- beta_2 v + (1 - beta_2) delta^2 or v - (1 - beta_2) delta^2 sign(v - delta^2), from v = tau^2;
    w <- w + server_lr m / (sqrt v + tau), without bias correction.
    """

    server_optimizer: ServerOptimizer = Field("sgd", description="the server's step on the mean change")
    server_lr: PositiveFloat = Field(1.0, description="server learning rate")
    server_momentum: float = Field(0.0, ge=0, lt=1, description="beta_1; with sgd, 0 and rate 1 the mean is taken")
    server_beta2: float = Field(0.99, ge=0, lt=1, description="beta_2 of adam and yogi")
    server_tau: PositiveFloat = Field(1e-3, description="tau of adam and yogi: the least that a step is divided by")

    @property
    def takes_the_mean(self) -> bool:
        """Whether the step is federated averaging, to the last bit."""
        return (self.server_optimizer, self.server_lr, self.server_momentum) == ("sgd", 1.0, 0.0)

    def server_memory(self, fed: Federation, server: Tensors) -> dict[str, dict[str, Params]]:
        """A field of the State for m and v; none where the mean is taken."""
        if self.takes_the_mean:
            return {}
        m = zeros_like(Params(server).only(fed.model.trainable))
        return {"memory": {"m": m, "v": m.map(lambda zeros: zeros + self.server_tau**2)}}

    def server_step(self, fed: Federation, state: State, server: Tensors, mean: Params) -> Params:
        """The server's next parameters; running figures are averaged, never stepped."""
        if self.takes_the_mean:
            return mean
        plain, beta1, beta2 = self.server_optimizer == "sgd", self.server_momentum, self.server_beta2
        ms, vs, moved = Params(), Params(), Params()
        for name in (name for name in mean if name in fed.model.trainable):
            delta, m, v = mean[name] - server[name], state.memory["m"][name], state.memory["v"][name]
            m = beta1 * m + (1.0 if plain else 1 - beta1) * delta
            square = delta.square()
            if self.server_optimizer == "adam":
                v = beta2 * v + (1 - beta2) * square
            elif self.server_optimizer == "yogi":
                v = v - (1 - beta2) * square * (v - square).sign()
            moved[name] = server[name] + self.server_lr * (m if plain else m / (v.sqrt() + self.server_tau))
            ms[name], vs[name] = m, v
        state.memory = {"m": ms, "v": vs}
        return mean | moved
