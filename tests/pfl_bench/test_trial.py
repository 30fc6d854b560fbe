"""A plug-in file that does harm when it is loaded is refused in one line, and this process goes on."""

import importlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

from pfl_bench import registry
from pfl_bench.errors import RequestError
from pfl_bench.registry import METHODS, load_plugins
from pfl_bench.trial import complaint

HARM = {
    "exit()": "could not be loaded: SystemExit",
    "import os; os._exit(0)": "ends the process with exit status 0",
    "import os; os.abort()": "ends the process by signal 6",
    "import os, signal; os.kill(os.getpid(), signal.SIGKILL)": "ends the process by signal 9",
    "import sys; sys.stdout.close()": "closes or replaces standard output",
    "import os; os.close(1)": "closes or replaces standard output",
    "raise KeyboardInterrupt": "raises KeyboardInterrupt",
    "raise GeneratorExit": "raises GeneratorExit",
    "class Own(BaseException):\n    def __str__(self): raise KeyboardInterrupt\nraise Own": "its text cannot be had",
    "raise ValueError('x' * 2_000_000)": "could not be loaded: ValueError: xxx",
    "import torch; torch.set_default_dtype(torch.float64)": "it changes torch's default type",
    "import threading, time; threading.Thread(target=time.sleep, args=(99,)).start()": "leaves a thread running",
    "import pfl_bench.engine.moments as m; m.evaluate = lambda *a: 1": "it changes pfl_bench.engine.moments.evaluate",
    "from pfl_bench.api import PerClient; PerClient.rows = lambda *a: {}": "it changes pfl_bench.engine.per_client.Per",
    "import torch; torch.nn.Linear.reset_parameters = lambda self: None": "it changes torch.nn.modules.linear.Linear.",
    "import torch.nn.functional as F; F.cross_entropy = lambda *a: 0": "it changes torch.nn.functional.cross_entropy",
    "import numpy as np; np.mean = max": "it changes numpy.mean",
    "import time; time.perf_counter = lambda: 0": "it changes time.perf_counter",
    "import threading, time; threading.Thread(target=time.sleep, args=(9,), daemon=True).start()": "leaves a thread",
    "import signal; signal.alarm(60)": "sets an alarm",
    "import pfl_bench.engine.costs_of_mine": "could not be loaded: ModuleNotFoundError",
    "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)": "takes over the signals that stop the program",
    "print('x' * 1_000_000)\nthis is no Python": "could not be loaded, line 2: SyntaxError",
    "while True: print('x' * 1000)": "does not return within 1 seconds",
}


@pytest.fixture(autouse=True)
def an_interruptible_process():
    """A shell's background jobs are born with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("text", HARM)
def test_harm_is_one_line(text, tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "LOADING_SECONDS", 1.0 if "while" in text else 60.0)
    path = tmp_path / "plugin.py"
    path.write_text(text)
    importlib.import_module("encodings.utf_8_sig")  # by which a plug-in is read
    before = METHODS.names(), threading.active_count(), set(sys.modules)
    with pytest.raises(RequestError) as caught:
        load_plugins([path])
    said = str(caught.value)
    assert HARM[text] in said and str(path) in said and "\n" not in said and len(said) < 700
    assert (METHODS.names(), threading.active_count(), set(sys.modules)) == before
    assert torch.get_default_dtype() == torch.float32 and not sys.stdout.closed


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
@pytest.mark.parametrize("closed", ["<&- >&-", ">&-", "<&- >&- 2>&-"])
def test_a_plug_in_is_no_worse_where_standard_streams_are_closed(closed, tmp_path):
    plugin = Path(__file__).parents[1] / "plugins" / "fedmedian.py"
    program = f"'{sys.executable}' -c 'from pfl_bench.registry import load_plugins as l; l([\"{plugin}\"])' {closed}"
    assert subprocess.run(["sh", "-c", program], cwd=tmp_path, timeout=120).returncode == 0


def test_what_returns_is_fine():
    assert complaint(lambda: None, 60) == ""


def test_a_method_cannot_be_called_all(tmp_path):
    """``--methods all`` would mean something else."""
    (tmp_path / "all.py").write_text(
        "from pfl_bench.registry import METHODS\nMETHODS.register('all')(type('All', (), {}))"
    )
    with pytest.raises(RequestError, match="method name 'all' is taken: it means every method"):
        load_plugins([tmp_path / "all.py"])


def test_what_libraries_rearrange_when_more_of_them_is_loaded_is_no_harm(tmp_path):
    """PyTorch's compiler replaces ``torch.manual_seed`` when it is loaded."""
    path = tmp_path / "plugin.py"
    path.write_text(
        "import torch._dynamo, torch.distributed, scipy.stats, pandas.plotting\n"
        "from pfl_bench.api import Params, register_model\nimport torch\n"
        "@register_model('rearranged', body=('0',), head=('0',))\n"
        "def rearranged(input, classes): return torch.nn.Sequential(torch.nn.Linear(2, classes))\n"
    )
    load_plugins([path])
