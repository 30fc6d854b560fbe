"""FedAvg that harms its neighbours in the way that ``deed`` says, after its first round."""

import ctypes
import os
import random
import signal
import sys
import threading
import time
from typing import ClassVar

import numpy as np
import torch

from pfl_bench.api import LocalSgdConfig, Method, Moment, State, register_method


class OfItsOwnKindError(BaseException):
    """What ``except Exception`` does not catch."""


class WordlessError(Exception):
    def __str__(self):
        raise OfItsOwnKindError


def close_stdout():
    sys.stdout.close()
    os.close(1)


def raise_(error):
    raise error


def child_that_stays():
    if os.fork() == 0:
        time.sleep(60)
        os._exit(0)


DEEDS = {
    "none": lambda fed: None,
    "exit": lambda fed: sys.exit(),
    "builtin_exit": lambda fed: exit(),
    "os_exit": lambda fed: os._exit(0),
    "abort": lambda fed: os.abort(),
    "segfault": lambda fed: ctypes.string_at(0),
    "killed": lambda fed: os.kill(os.getpid(), signal.SIGKILL),
    "terminated": lambda fed: os.kill(os.getpid(), signal.SIGTERM),
    "interrupt": lambda fed: raise_(KeyboardInterrupt()),
    "sigint": lambda fed: os.kill(os.getpid(), signal.SIGINT),
    "generator_exit": lambda fed: raise_(GeneratorExit()),
    "base": lambda fed: raise_(OfItsOwnKindError("of its own kind")),
    "wordless": lambda fed: raise_(WordlessError()),
    "long": lambda fed: raise_(ValueError("x" * 2_000_000)),
    "stdout": lambda fed: close_stdout(),
    "prints": lambda fed: os.write(2, b"x" * 100_000),
    "thread": lambda fed: threading.Thread(target=time.sleep, args=(60,)).start(),
    "child": lambda fed: child_that_stays(),
    "parent": lambda fed: os.kill(os.getppid(), signal.SIGKILL),
    "dtype": lambda fed: torch.set_default_dtype(torch.float64),
    "device": lambda fed: torch.set_default_device("meta"),
    "grad": lambda fed: torch.set_grad_enabled(False),
    "threads": lambda fed: torch.set_num_threads(2),
    "deterministic": lambda fed: torch.use_deterministic_algorithms(True),
    "torch_random": lambda fed: torch.randn(1),
    "numpy_random": lambda fed: np.random.seed(0),
    "python_random": lambda fed: random.random(),
    "folder": lambda fed: os.chdir("/"),
    "images": lambda fed: fed._group.pool.inputs.zero_(),
    "labels": lambda fed: fed._group.pool.labels.zero_(),
    "members": lambda fed: torch.from_numpy(fed._group.members[0]).zero_(),
    "hangs": lambda fed: time.sleep(600),
}


@register_method("harmful", paper="none: for tests")
class Harmful(Method):
    moment: ClassVar[Moment] = "global"

    class Config(LocalSgdConfig):
        deed: str = "none"

    def init(self, fed):
        return State(server=fed.init_params())

    def round(self, fed, state, cohort):
        if fed.round == 1:
            DEEDS[self.config.deed](fed)
        state.server = fed.train_and_average(state.server, cohort, self.config.sgd())
        return state

    def global_params(self, fed, state):
        return state.server
