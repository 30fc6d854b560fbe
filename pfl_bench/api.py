"""The public interface: everything a method, a data set, a partition rule, a shift or a client model may use."""

from pfl_bench.client.batches import Batch
from pfl_bench.client.build import InputShape, register_model
from pfl_bench.client.losses import (
    Gradient,
    GradientRule,
    Loss,
    Scaled,
    cross_entropies,
    cross_entropy,
    mean_over,
    total_cross_entropy,
)
from pfl_bench.client.model import ClientModel
from pfl_bench.client.net import Net
from pfl_bench.client.params import Params, State, Tensors, squared_distance, stacked, zeros_like
from pfl_bench.client.requests import Served, Trained
from pfl_bench.client.sgd import Sgd, sgd_step_
from pfl_bench.data.argument import name_list, read_argument, whole_number
from pfl_bench.data.arrays import channels_come_first
from pfl_bench.data.dataset import ArrayDataset, Arrays
from pfl_bench.data.doors import read_split
from pfl_bench.data.held_out import hold_out, last_of_groups, share_of_groups
from pfl_bench.data.inputs import InputKind, InputSpec
from pfl_bench.data.making import make_dataset
from pfl_bench.data.object_arrays import read_object
from pfl_bench.data.originals import download, member, original_file
from pfl_bench.data.outside import outside_package
from pfl_bench.data.partition import Partition, RuleConfig, make_partition, register_partition
from pfl_bench.data.prepared import stored_arrays
from pfl_bench.data.rows import coded, dataset_of_rows, names_of
from pfl_bench.data.shifts import ShiftConfig, ShiftContext, Transformation, in_type, register_shift
from pfl_bench.data.store import DataRequest, load_dataset, read_npz, register_dataset
from pfl_bench.engine.federation import Federation
from pfl_bench.engine.method import (
    LEARNING_RATES,
    PLAIN_LEARNING_RATES,
    LocalSgdConfig,
    Method,
    Moment,
    register_method,
)
from pfl_bench.engine.per_client import PerClient
from pfl_bench.errors import RequestError, UnsuitedError, no_file, one_line, shown
from pfl_bench.seeds import numpy_generator
from pfl_bench.spec.config import MethodConfig

__all__ = [
    "LEARNING_RATES", "PLAIN_LEARNING_RATES", "ArrayDataset", "Arrays", "Batch", "ClientModel", "DataRequest",
    "Federation", "Gradient", "GradientRule", "InputKind", "InputShape", "InputSpec", "LocalSgdConfig", "Loss",
    "Method", "MethodConfig", "Moment", "Net", "Params", "Partition", "PerClient", "RequestError", "RuleConfig",
    "Scaled", "Served", "Sgd", "ShiftConfig", "ShiftContext", "State", "Tensors", "Trained", "Transformation",
    "UnsuitedError", "channels_come_first", "coded", "cross_entropies", "cross_entropy", "dataset_of_rows", "download",
    "hold_out", "in_type", "last_of_groups", "load_dataset", "make_dataset", "make_partition", "mean_over", "member",
    "name_list", "names_of", "no_file", "numpy_generator", "one_line", "original_file", "outside_package",
    "read_argument", "read_npz", "read_object", "read_split", "register_dataset", "register_method", "register_model",
    "register_partition", "register_shift", "sgd_step_", "share_of_groups", "shown", "squared_distance", "stacked",
    "stored_arrays", "total_cross_entropy", "whole_number", "zeros_like",
]  # fmt: skip
