import os

import pytest
import torch

from pfl_bench.errors import RequestError
from pfl_bench.running.executors.gpus import visible_name
from pfl_bench.running.executors.ray import RayExecutor
from pfl_bench.running.runner import resolve_device


@pytest.mark.parametrize(
    ("mask", "index", "name"),
    [
        (None, 1, "1"), ("2,3", 1, "3"), ("GPU-aa, GPU-bb", 1, "GPU-bb"), ("MIG-1/2/3,MIG-4", 0, "MIG-1/2/3"),
        ("5", 0, "5"),
    ],
)  # fmt: skip
def test_a_gpus_number_counts_along_the_mask(mask, index, name):
    assert visible_name(index, mask) == name


def test_workers_get_the_allotted_gpu(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    seen = []

    def connect(*_):
        seen.append(os.environ["CUDA_VISIBLE_DEVICES"])
        raise ZeroDivisionError

    monkeypatch.setattr("pfl_bench.running.executors.ray.connect", connect)
    with pytest.raises(ZeroDivisionError):
        list(RayExecutor(1, None, "cuda:1").execute([], {}))
    assert seen == ["3"] and os.environ["CUDA_VISIBLE_DEVICES"] == "2,3", "and this process what it saw before"


def test_apple_s_gpu_is_taken_where_torch_has_it_and_asked_for(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(RequestError, match="^device 'mps' is not there: "):
        resolve_device("mps")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert resolve_device("mps") == "mps" and resolve_device("auto") in ("cpu", "cuda")
    ray = type("Ray", (), {"cluster_resources": lambda self: {"CPU": 16.0}})()
    assert RayExecutor(device="mps")._limit(ray) == 4 and RayExecutor(device="mps")._gpus(ray) == 0
