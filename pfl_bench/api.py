"""The public interface: everything a method, a data set, a partition rule or a client model may use."""

from pfl_bench.client.model import ClientModel, InputShape, register_model
from pfl_bench.client.params import Params, State, Tensors, squared_distance, stacked, zeros_like
from pfl_bench.client.training import Apply, Batch, Gradient, Sgd, Trained, cross_entropy, sgd_step_
from pfl_bench.data.dataset import ArrayDataset, Arrays, hold_out, make_dataset
from pfl_bench.data.partition import Partition, RuleConfig, make_partition, register_partition
from pfl_bench.data.store import DataRequest, load_dataset, read_npz, register_dataset, stored_arrays
from pfl_bench.engine.federation import Federation
from pfl_bench.engine.method import LEARNING_RATES, LocalSgdConfig, Method, Moment, register_method
from pfl_bench.spec.config import MethodConfig

from .errors import RequestError, UnsuitedError
from .seeds import numpy_generator

__all__ = [
    "LEARNING_RATES",
    "Apply",
    "ArrayDataset",
    "Arrays",
    "Batch",
    "ClientModel",
    "DataRequest",
    "Federation",
    "Gradient",
    "InputShape",
    "LocalSgdConfig",
    "Method",
    "MethodConfig",
    "Moment",
    "Params",
    "Partition",
    "RequestError",
    "RuleConfig",
    "Sgd",
    "State",
    "Tensors",
    "Trained",
    "UnsuitedError",
    "cross_entropy",
    "hold_out",
    "load_dataset",
    "make_dataset",
    "make_partition",
    "numpy_generator",
    "read_npz",
    "register_dataset",
    "register_method",
    "register_model",
    "register_partition",
    "sgd_step_",
    "squared_distance",
    "stacked",
    "stored_arrays",
    "zeros_like",
]
