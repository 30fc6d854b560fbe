"""Small sets of images are kept standardised: the same bits as when each batch is standardised by itself."""

import gc

import numpy as np
import torch

from pfl_bench.data import pool
from pfl_bench.data.inputs import InputSpec


def images(count=20):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (count, 5, 3, 3), dtype=np.uint8)
    mean, std = (0.1, 0.5, 0.3), (0.2, 0.3, 0.7)
    spec = InputSpec("image", (3, 5, 3))
    return pool.pool_of(spec, pixels, rng.integers(0, 4, count), mean, std, torch.device("cpu"))


def test_a_few_images_are_kept_standardised(monkeypatch):
    indices = torch.tensor([[3, 0, 19], [7, 7, 1]])
    few = images()
    x, y = few.gather(indices)
    assert few._ready is not None
    monkeypatch.setattr(pool, "READY_VALUES", 0)
    many = images()
    again, labels = many.gather(indices)
    assert many._ready is None
    assert torch.equal(x, again) and torch.equal(y, labels)
    assert x.shape == (2, 3, 3, 5, 3) and x.stride() == again.stride()


def test_what_is_handed_out_is_a_copy():
    own = images()
    before = own.gather(torch.arange(4))[0].clone()
    own.gather(torch.arange(4))[0].zero_()
    assert torch.equal(own.gather(torch.arange(4))[0], before)


def test_runs_share_one_copy_on_a_device_for_as_long_as_one_has_it():
    device, ours, other = torch.device("meta"), np.zeros(3), np.zeros(3)
    copy = pool._there(ours, device)
    assert pool._there(ours, device) is copy and pool._there(other, device) is not copy
    assert (id(ours), device) in pool._UPLOADED
    del copy
    gc.collect()
    assert (id(ours), device) not in pool._UPLOADED
