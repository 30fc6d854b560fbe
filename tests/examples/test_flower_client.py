"""The example for Flower: its ClientApp under Flower's own FedAvg, in this process, on our split and by our metrics."""

import ast
import importlib.util
import math
import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

flwr = pytest.importorskip("flwr", reason="pip install 'pfl-bench[flower]'")

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "flower_client.py"


@pytest.fixture(scope="module")
def example():
    return SimpleNamespace(**runpy.run_path(str(EXAMPLE)))


def in_process(app, clients):
    """A grid whose nodes are clients of one app, called one after another."""
    from flwr.app import Context, RecordDict
    from flwr.serverapp import Grid

    class InProcess(Grid):
        def set_run(self, run):
            pass

        def run(self):
            raise NotImplementedError

        def create_message(self, *args, **kwargs):
            raise NotImplementedError

        def push_messages(self, messages):
            raise NotImplementedError

        def pull_messages(self, message_ids):
            raise NotImplementedError

        def get_node_ids(self):
            return list(range(clients))

        def send_and_receive(self, messages, *, timeout=None, **kwargs):
            def answer(message):
                node = message.metadata.dst_node_id
                return app(message, Context(0, node, {"partition-id": node}, RecordDict(), {}))

            return [answer(message) for message in messages]

    return InProcess()


def test_flowers_fedavg_trains_it_and_our_metrics_score_it(example, monkeypatch):
    from flwr.app import ArrayRecord
    from flwr.serverapp.strategy import FedAvg

    if importlib.util.find_spec("flwr.supercore.task_identity"):  # what Flower sets in a process that it starts
        sender = importlib.import_module("flwr.supercore.task_identity").TaskIdentity
        for name in ("_task_id", "_run_id", "_node_id"):
            monkeypatch.setattr(sender, name, 0)
    torch.manual_seed(0)
    clients = example.split.partition.clients
    strategy = FedAvg(min_available_nodes=clients, evaluate_metrics_aggr_fn=example.scored)
    result = strategy.start(
        grid=in_process(example.app, clients),
        initial_arrays=ArrayRecord(example.new_model().state_dict()),
        num_rounds=5,
    )
    first, last = (dict(result.evaluate_metrics_clientapp[n]) for n in (1, 5))
    assert last["accuracy"] > first["accuracy"] and last["accuracy"] > 60
    assert {"worst_decile", "balanced_accuracy", "auc", "calibration_error"} <= last.keys()
    assert all(math.isfinite(value) for value in last.values())
    model = example.new_model()
    model.load_state_dict(result.arrays.to_torch_state_dict())
    right = total = 0
    for client in range(clients):  # by hand, from the source's own arrays
        rows = example.split.partition.test[client]
        data = example.split.dataset
        x = (data.test_inputs[rows, ..., 0] / 255 - data.mean[0]) / data.std[0]
        predicted = model(torch.from_numpy(x.astype(np.float32))).argmax(-1).numpy()
        right, total = right + (predicted == data.test_labels[rows]).sum(), total + len(rows)
    assert last["accuracy"] == pytest.approx(100 * right / total, abs=1e-9)


def test_it_is_as_short_as_it_says():
    tree = ast.parse(EXAMPLE.read_text(encoding="utf-8"))
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.stmt)]
    documentation = [n for n in nodes if isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant)]
    text = {line for own in documentation for line in range(own.lineno, own.end_lineno + 1)}
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    assert len([line for number, line in enumerate(lines, 1) if line.strip() and number not in text]) <= 41
