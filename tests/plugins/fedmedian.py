"""A whole new method in one file: FedAvg with the coordinate-wise median instead of the mean."""

from pfl_bench.api import LocalSgdConfig, Method, State, register_method


@register_method("fedmedian", paper="Yin et al. 2018, ICML, arXiv:1803.01498")
class FedMedian(Method):
    """The server takes the median of the cohort's models."""

    moment = "global"
    Config = LocalSgdConfig

    def init(self, fed):
        return State(server=fed.init_params())

    def round(self, fed, state, cohort):
        trained = fed.train(fed.send(state.server, cohort), cohort, self.config.sgd())
        state.server = fed.collect(trained.params).map(lambda models: models.median(dim=0).values)
        return state

    def global_params(self, fed, state):
        return state.server
