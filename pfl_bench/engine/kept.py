"""Models that a run leaves: what each client predicts with at the end of the budget, at the method's own moment.

A safetensors file holds the parameters and buffers, ``<place>/<name>`` of shape ``[clients, ...]`` per client model
(``[1, ...]`` where all clients have the same), and in its header, as JSON, what is needed to load them.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from pfl_bench.client.build import make_model
from pfl_bench.client.model import tensors_of
from pfl_bench.client.requests import Served
from pfl_bench.data.dataset import ArrayDataset
from pfl_bench.data.inputs import InputSpec
from pfl_bench.errors import RequestError, one_line
from pfl_bench.spec.run import RunSpec

from .method import Moment
from .places import Place

HEADER, SCHEMA = "pfl_bench", 1


@dataclass
class Kept:
    """Collects what is served, place by place and portion by portion of its clients."""

    moment: Moment
    tensors: dict[str, list[Tensor]] = field(default_factory=dict)
    predict: str = ""

    def add(self, position: int, served: Served) -> None:
        """The models of the next clients of a place."""
        if served.predict is not None:
            self.predict = getattr(served.predict, "__qualname__", type(served.predict).__qualname__)
        for name, values in served.params.items():
            own = self.tensors.setdefault(f"{position}/{name}", [])
            if self.moment == "global":  # the same for all
                own[:] = [values[:1].cpu().clone()]
            else:
                own.append(values.cpu().clone())

    def dumps(self, spec: RunSpec, places: Sequence[Place], dataset: ArrayDataset) -> bytes:
        """The file."""
        header = {
            "schema": SCHEMA,
            "run": spec.id,
            "method": spec.method,
            "moment": self.moment,
            "shared": self.moment == "global",
            "predict": self.predict,
            "places": [{"model": at.group.model.name, "clients": list(at.group.numbers)} for at in places],
            "input": asdict(dataset.input),
            "classes": dataset.classes,
            "precision": spec.scenario.precision,
        }
        together = {name: torch.cat(parts).contiguous() for name, parts in self.tensors.items()}
        return safetensors.torch.save(together, {HEADER: json.dumps(header)})


def load_model(file: Path, client: int) -> nn.Module:
    """The model that a client predicts with, in evaluation mode, on the CPU. Its input is standardised as the run's
    was: ``data_facts`` in ``run.json`` says how.

    RequestError where the file is none of ours, the client took no part, or prediction is more than a forward pass.
    """
    try:
        with safetensors.safe_open(file, framework="pt") as opened:
            header = json.loads((opened.metadata() or {})[HEADER])
            position, row = _place_of(header, client, file)
            prefix = f"{position}/"
            found = {
                name.removeprefix(prefix): opened.get_slice(name)[row : row + 1][0]
                for name in opened.keys()  # noqa: SIM118 (it is no mapping)
                if name.startswith(prefix)
            }
    except (OSError, KeyError, ValueError, TypeError, safetensors.SafetensorError) as error:
        if isinstance(error, RequestError):
            raise
        raise RequestError(f"{file} holds no models that a run has kept: {one_line(error)}") from error
    if header["predict"]:
        raise RequestError(
            f"{header['method']} predicts by {header['predict']}, which is more than a model's forward pass; "
            f"the parameters alone are in {file}"
        )
    return _filled(header, position, found)


def _place_of(header: dict[str, Any], client: int, file: Path) -> tuple[int, int]:
    """At which place a client is, and at which row of its tensors."""
    for position, place in enumerate(header["places"]):
        if client in place["clients"]:
            return position, 0 if header["shared"] else place["clients"].index(client)
    count = sum(len(place["clients"]) for place in header["places"])
    raise RequestError(f"client={client} is none of the {count} training clients in {file}, counted from 0")


def _filled(header: dict[str, Any], position: int, found: dict[str, Tensor]) -> nn.Module:
    given = header["input"]
    spec = InputSpec(given["kind"], tuple(given["shape"]), given["vocabulary"])
    name = header["places"][position]["model"]
    module = make_model(name, spec, header["classes"], header["precision"]).factory()
    own = tensors_of(module)
    if own.keys() != found.keys() or any(own[key].shape != value.shape for key, value in found.items()):
        raise RequestError(f"the client model {name!r} has other parameters than when the run was computed")
    with torch.no_grad():
        for key, value in found.items():
            own[key].copy_(value)
    return module.eval()
