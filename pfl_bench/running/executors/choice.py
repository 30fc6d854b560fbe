"""An executor by its name on the command line. Ray is imported only when it is the one."""

from pfl_bench.errors import RequestError, unknown
from pfl_bench.running.executors import Executor
from pfl_bench.spec.options import EXECUTORS


def choose_executor(
    name: str, workers: int | None = None, address: str | None = None, device: str = "cpu", in_process: bool = False
) -> Executor:
    """``serial`` or ``ray``, ready to work; RequestError for any other name, or if Ray or its cluster is missing.

    ``in_process``: serial runs of plug-ins too are in this process, where a debugger sees them.
    """
    if name == "serial":
        from .serial import SerialExecutor

        if address is not None:
            raise RequestError("an address is for the executor ray")
        return SerialExecutor(apart=not in_process)
    if name == "ray":
        if in_process:
            raise RequestError("runs in this process are for the executor serial")
        from .ray import RayExecutor, connect, import_ray

        import_ray(address)
        if address is not None:
            connect(address, workers)  # now, while nothing is written yet
        return RayExecutor(workers, address, device)
    raise unknown("executor", name, EXECUTORS)
