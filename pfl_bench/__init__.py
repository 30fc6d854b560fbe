"""pfl-bench: the personalized federated learning benchmark you can trust, and can afford to rerun.

    import pfl_bench as pfl

    results = pfl.run("quick", methods=["fedavg", "ditto"], seeds=range(3))
    results.leaderboard()
    pfl.published("quick").leaderboard()

``pfl_bench.front`` says what there is. ``pfl_bench.api`` is the public interface for methods, data sets, partition
rules and client models. This module imports nothing until it is used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .front import RequestError as RequestError
    from .front import Results as Results
    from .front import client_tensors as client_tensors
    from .front import estimate as estimate
    from .front import export_split as export_split
    from .front import import_split as import_split
    from .front import load as load
    from .front import load_model as load_model
    from .front import make_split as make_split
    from .front import published as published
    from .front import read_split as read_split
    from .front import report_of as report_of
    from .front import run as run
    from .front import site as site
    from .front import summary_of as summary_of
    from .front import tune as tune

__version__ = "0.2.0"

_FRONT = (
    "RequestError", "Results", "client_tensors", "estimate", "export_split", "import_split", "load", "load_model",
    "make_split", "published", "read_split", "report_of", "run", "site", "summary_of", "tune",
)  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _FRONT:
        return getattr(import_module(".front", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_FRONT])
