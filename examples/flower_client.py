"""A Flower ClientApp on a split of pfl-bench: Flower's partition i trains on client i's samples, and what it reports of
its test samples is scored by our metrics. Needs ``pip install 'pfl-bench[flower]'``.

On the server, ``FedAvg(evaluate_metrics_aggr_fn=scored)`` has every metric of pfl-bench over the clients.
"""

import torch
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

import pfl_bench as pfl

app = ClientApp()
split = pfl.make_split("digits-classes2-n20-v2", 0)


def new_model() -> torch.nn.Module:
    """What every client trains."""
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10))


def received(message: Message) -> torch.nn.Module:
    """The model with the weights that the server sent."""
    model = new_model()
    model.load_state_dict(message.content["arrays"].to_torch_state_dict())
    return model


@app.train()
def train(message: Message, context: Context) -> Message:
    """A client visit, as long as the scenario has it."""
    model, (x, y) = received(message), pfl.client_tensors(split, "train", int(context.node_config["partition-id"]))
    optimiser = torch.optim.SGD(model.parameters(), lr=0.05)
    for _ in range(split.scenario["local_steps"]):
        rows = torch.randperm(len(y))[: split.scenario["batch_size"]]
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
        optimiser.step()
    content = {"arrays": ArrayRecord(model.state_dict()), "metrics": MetricRecord({"num-examples": len(y)})}
    return Message(RecordDict(content), reply_to=message)


@app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    """Sums over the client's test samples, which metrics are made of."""
    x, y = pfl.client_tensors(split, "test", int(context.node_config["partition-id"]))
    report = pfl.report_of(received(message)(x), y)
    return Message(RecordDict({"metrics": MetricRecord({"num-examples": len(y), **report})}), reply_to=message)


def scored(replies: list[RecordDict], weighted_by: str) -> MetricRecord:
    """Every metric over the clients that replied."""
    return MetricRecord(pfl.summary_of([reply["metrics"] for reply in replies]))
