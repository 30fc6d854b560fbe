"""The command ``estimate``, and ``run --dry-run``: what they say."""

from pfl_bench.actions.estimate import Estimate, Kind, estimate
from pfl_bench.actions.request import RunRequest, Wanted
from pfl_bench.registry import Plugin
from pfl_bench.text import agreeing, counted

from .progress import duration
from .terminal import make_console, print_rows, say

HEADERS = ("scenario", "method", "runs", "one run", "together")


def estimate_request(request: RunRequest, wanted: Wanted, plugins: tuple[Plugin, ...]) -> int:
    """Measure, and print a row per method and scenario and what it comes to. 0, or 1 where something could not be."""
    console = make_console()

    def tell(kinds: int, seconds: float) -> None:
        most = duration(4 * seconds)
        runs = counted(kinds, "kind")
        say(console, f"Measuring {runs} of runs, {duration(seconds)} or, where rounds are long, some {most}.")

    found = estimate(request, wanted, plugins, tell)
    if found.runs:
        print_rows(console, "estimate", HEADERS, [_row(kind) for kind in found.kinds], HEADERS[2:])
    for kind in found.kinds:
        if kind.trouble:
            say(console, f"Not measured: {kind.method} on {kind.scenario}: {kind.trouble}")
    for line in summary(found):
        say(console, line)
    return 1 if any(kind.trouble for kind in found.kinds) else 0


def summary(found: Estimate) -> list[str]:
    """What it comes to."""
    there = f", {found.finished} {agreeing(found.finished, 'is', 'are')} finished" if found.finished else ""
    if not found.runs:
        return [
            f"Nothing to compute: all of {counted(found.finished, 'run')} "
            f"{agreeing(found.finished, 'is', 'are')} finished."
        ]
    memory = "an unknown amount" if found.memory_bytes is None else f"{found.memory_bytes / 1e9:.1f} GB"
    return [
        f"{counted(found.runs, 'run')} to compute{there}: about {duration(3600 * found.hours)} with "
        f"{found.workers} at a time"
        " (a company of runs in lock-step is faster).",
        f"Memory: about {memory} per run; disk: about {found.disk_bytes / 1e9:.2g} GB.",
    ]


def _row(kind: Kind) -> list[str]:
    seconds = ["-", "-"] if kind.trouble else [duration(kind.seconds), duration(kind.runs * kind.seconds)]
    return [kind.scenario, kind.method, str(kind.runs), *seconds]
