import os
import random

import numpy as np
import pytest
import torch

from pfl_bench import global_state

CHANGES = {
    "torch's default type": lambda: torch.set_default_dtype(torch.float64),
    "torch's default device": lambda: torch.set_default_device("meta"),
    "torch's gradient mode": lambda: torch.set_grad_enabled(False),
    "torch's deterministic mode": lambda: torch._C._set_deterministic_algorithms(True),
    "torch's number of threads": lambda: torch.set_num_threads(torch.get_num_threads() + 1),
    "torch's precision of products": lambda: torch.set_float32_matmul_precision("high"),
    "torch's settings of convolutions and TF32": lambda: setattr(torch.backends.cudnn, "benchmark", True),
    "torch's autocasting": lambda: torch.set_autocast_enabled("cpu", True),
    "torch's flushing of tiny numbers": lambda: torch.set_flush_denormal(True),
    "torch's anomaly mode": lambda: torch.set_anomaly_enabled(True),
    "torch's random numbers": lambda: torch.manual_seed(0),
    "numpy's random numbers": lambda: np.random.seed(0),
    "numpy's handling of errors": lambda: np.seterr(invalid="ignore"),
    "Python's random numbers": lambda: random.seed(0),
    "the folder": lambda: os.chdir("/"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_is_changed_is_named_and_put_back(name):
    before = global_state.read()
    assert global_state.changed(before) == []
    CHANGES[name]()
    named = global_state.changed(before)
    global_state.restore(before)
    assert name in named and global_state.changed(before) == []
    assert set(named) == {name} or name == "torch's precision of products"  # TF32 follows it


def test_every_part_is_tested():
    assert set(CHANGES) == set(global_state.read()) - {"torch's inference mode"}


def test_random_numbers_may_be_left_out():
    before = global_state.read()
    random.random()
    assert global_state.changed(before, random_numbers=False) == []
    global_state.restore(before, global_state.RANDOM)
    assert global_state.changed(before) == []
