"""MLflow: the server that ``MLFLOW_TRACKING_URI`` names, else an SQLite file in the results folder."""

import logging
import os
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from mlflow import MlflowClient

from pfl_bench.errors import RequestError
from pfl_bench.spec.fields import plain_values
from pfl_bench.spec.run import RunSpec

STATUSES = {"finished": "FINISHED", "skipped": "FINISHED"}


def sqlite_uri(file: Path) -> str:
    """The URI that SQLAlchemy reads as ``file``; whether it decodes %XX depends on its version.

    RequestError where there is none (a ``?`` before SQLAlchemy 2.1).
    """
    from sqlalchemy.engine import make_url

    for path in (str(file), quote(str(file), safe="/\\:")):
        url = make_url(f"sqlite:///{path}")
        if url.database == str(file) and not url.query:
            return f"sqlite:///{path}"
    raise RequestError(f"MLflow's database cannot lie at {str(file)!r}: choose a folder without '?' and '%'")


class MLflow:
    """One experiment per scenario, one MLflow run per run."""

    def __init__(self, folder: Path) -> None:
        logging.getLogger("mlflow").setLevel(logging.WARNING)
        uri = os.environ.get("MLFLOW_TRACKING_URI")
        if not uri:
            uri = sqlite_uri((folder / "mlflow.db").resolve())
            folder.mkdir(parents=True, exist_ok=True)
        self.client = MlflowClient(tracking_uri=uri)
        self._runs: dict[str, str] = {}

    def start(self, run: RunSpec) -> None:
        """Create the MLflow run with the hyper-parameters."""
        found = self.client.get_experiment_by_name(run.scenario.id)
        experiment = found.experiment_id if found else self.client.create_experiment(run.scenario.id)
        created = self.client.create_run(experiment, run_name=run.id)
        self._runs[run.id] = created.info.run_id
        for name, value in {"method": run.method, "seed": run.seed, **plain_values(run.config)}.items():
            self.client.log_param(self._runs[run.id], name, value)

    def log(self, run: RunSpec, visits: int, metrics: Mapping[str, float]) -> None:
        """One metric per figure, with client visits as steps."""
        for name, value in metrics.items():
            self.client.log_metric(self._runs[run.id], re.sub(r"[^\w .-]", "_", name), value, step=visits)

    def end(self, run: RunSpec, status: str) -> None:
        """Close the MLflow run."""
        identity = self._runs.pop(run.id)
        self.client.set_tag(identity, "status", status)
        self.client.set_terminated(identity, STATUSES.get(status, "FAILED"))

    def close(self) -> None:
        """Mark what an interruption left open."""
        for identity in self._runs.values():
            self.client.set_terminated(identity, "KILLED")
        self._runs.clear()
