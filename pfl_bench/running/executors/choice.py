"""An executor by its name on the command line. Ray is imported only when it is the one."""

from pfl_bench.errors import RequestError, unknown
from pfl_bench.running.executors import Executor
from pfl_bench.spec.options import EXECUTORS


def choose_executor(name: str, workers: int | None = None, address: str | None = None, device: str = "cpu") -> Executor:
    """``serial`` or ``ray``, ready to work; RequestError for any other name, or if Ray or its cluster is missing."""
    if name == "serial":
        from .serial import SerialExecutor

        if address is not None:
            raise RequestError("an address is for the executor ray")
        return SerialExecutor()
    if name == "ray":
        from .ray import RayExecutor, connect, import_ray

        import_ray()
        if address is not None:
            connect(address, workers)  # now, while nothing is written yet
        return RayExecutor(workers, address, device)
    raise unknown("executor", name, EXECUTORS)
