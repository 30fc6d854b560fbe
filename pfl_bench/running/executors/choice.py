"""An executor by its name on the command line. Ray is optional, and imported only when it is the one."""

import importlib.util

from pfl_bench.errors import RequestError, unknown
from pfl_bench.running.executors import Executor
from pfl_bench.spec.options import EXECUTORS

NO_RAY = (
    "Ray is not installed, so runs are computed one after another (--executor serial); "
    "pip install 'pfl-bench[ray]' spreads them over the cores."
)


def resolve_executor(name: str, address: str | None = None) -> str:
    """``auto`` is Ray where it is installed, or a cluster's address is given; else ``serial``."""
    if name != "auto":
        return name
    return "ray" if address is not None or importlib.util.find_spec("ray") is not None else "serial"


def executor_notes(name: str, address: str | None = None) -> list[str]:
    """What is to be told of an executor that nobody chose, a line each."""
    return [NO_RAY] if name == "auto" and resolve_executor(name, address) == "serial" else []


def choose_executor(
    name: str, workers: int | None = None, address: str | None = None, device: str = "cpu", in_process: bool = False
) -> Executor:
    """``serial``, ``ray`` or ``auto``, ready to work; RequestError for any other name, or if Ray or its cluster is
    missing.

    ``in_process``: serial runs of plug-ins too are in this process, where a debugger sees them.
    """
    name = resolve_executor(name, address)
    if name == "serial":
        from .serial import SerialExecutor

        if address is not None:
            raise RequestError("an address is for the executor ray")
        return SerialExecutor(apart=not in_process)
    if name == "ray":
        if in_process:
            raise RequestError("runs in this process are for the executor serial")
        from .ray import RayExecutor, connect, disconnect, import_ray

        import_ray(address)
        if address is not None:
            disconnect(connect(address, workers))  # whether it answers, now, while nothing is written yet
        return RayExecutor(workers, address, device)
    raise unknown("executor", name, EXECUTORS)
