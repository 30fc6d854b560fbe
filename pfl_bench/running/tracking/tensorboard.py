"""TensorBoard: event files below ``<folder>/<scenario>/<run>``; look at them with ``tensorboard --logdir``."""

from collections.abc import Mapping
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from pfl_bench.spec.run import RunSpec


class TensorBoard:
    """One writer per run that is going on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._writers: dict[str, SummaryWriter] = {}

    def start(self, run: RunSpec) -> None:
        """Open the run's event file and note its hyper-parameters."""
        writer = SummaryWriter(str(self.folder / run.scenario.id / run.id))
        writer.add_text("hyper-parameters", run.config.model_dump_json(), 0)
        self._writers[run.id] = writer

    def log(self, run: RunSpec, visits: int, metrics: Mapping[str, float]) -> None:
        """One scalar per figure."""
        for name, value in metrics.items():
            self._writers[run.id].add_scalar(name, value, visits)

    def end(self, run: RunSpec, status: str) -> None:
        """Note the status and close the file."""
        writer = self._writers.pop(run.id)
        writer.add_text("status", status, 0)
        writer.close()

    def close(self) -> None:
        """Close what an interruption left open."""
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()
