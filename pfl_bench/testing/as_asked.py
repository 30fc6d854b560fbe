"""What a run's record says of its method, by the method's class: hyper-parameters, official moment, candidates."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from pfl_bench.errors import RequestError, shown
from pfl_bench.registry import METHODS, Plugin
from pfl_bench.results.cross_checks import evaluations
from pfl_bench.results.lineage import differences
from pfl_bench.results.record import Record
from pfl_bench.running.again import request_of
from pfl_bench.running.sources import Sources


def not_as_asked(folder: Path, records: Sequence[Record], plugins: tuple[Plugin, ...]) -> Iterator[str]:
    """Records whose hyper-parameters do not give their id, or that contradict their method's class, a line each.

    A record's id covers the fields that are not at their default; which are is known by who has the class. Of methods
    that are not here, and runs of other files than those here, nothing is said.
    """
    here = Sources(plugins)
    for record in records:
        try:
            kind = METHODS.get(record.method)
        except RequestError:
            continue
        try:
            run = request_of(record)
            if differences(record, here.of(run)):
                continue
        except RequestError as error:
            yield f"runs/{record.id}: {error}"
            continue
        method = kind(run.config)
        if record.status == "finished" and record.moment != method.moment:
            yield f"runs/{record.id}: official_moment is {shown(record.moment)}; {method.name}'s is {method.moment}"
        said, there = record.official.best.get("candidates"), evaluations(folder / "runs" / record.id, method.moment)
        if method.selected_from == 0 and said is not None and said != there:
            yield f"runs/{record.id}: candidates is {shown(said)}; all {there} evaluations are selectable"
