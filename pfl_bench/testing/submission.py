"""Are results what they say they are? What can be examined of a suite's folder before it is believed."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pfl_bench.errors import RequestError
from pfl_bench.registry import METHODS, Plugin
from pfl_bench.results.cross_checks import UNNOTICED, contradictions
from pfl_bench.results.cross_checks.across import disagreements
from pfl_bench.results.frame import recorded_runs, run_names
from pfl_bench.results.lineage import code_identity, differences
from pfl_bench.results.mixtures import DIRTY
from pfl_bench.results.notes import NAMED
from pfl_bench.results.pack import other_scores
from pfl_bench.results.packed import packed_runs
from pfl_bench.results.record import Record, read_record
from pfl_bench.running.again import compute_again, request_of
from pfl_bench.running.sources import Sources
from pfl_bench.spec.suite import builtin_suites
from pfl_bench.text import counted

from .as_asked import not_as_asked
from .check import examine
from .checks import CHECKS
from .kit import Context
from .wholeness import Ended, ended, lacks


@dataclass(frozen=True)
class Finding:
    """One thing that was examined: what, what is wrong with it ("" for nothing), and what is worth knowing.

    ``partial``: nothing is wrong, but for a submission something is missing, and ``told`` says what.
    """

    what: str
    wrong: str = ""
    told: str = ""
    partial: bool = False


def examine_results(
    folder: Path, recompute: int, data_dir: Path, plugins: tuple[Plugin, ...] = ()
) -> Iterator[Finding]:
    """Examine a suite's results folder: cheap things first. ``recompute``: how many runs are computed again."""
    runs, problems = recorded_runs(folder)
    packed = packed_runs(folder, run_names(folder / "runs"))
    there = [] if packed is None else ended(packed)
    if packed is not None:
        what = "packed runs' scores are those of their clients"
        told = f"{counted(len(packed), 'run')}; nothing else can be examined without their folders"
        yield Finding(what, _named(other_scores(folder, packed)), told, partial=True)
        if runs.empty and not problems:
            yield from _whole(folder.resolve().name, there)
            return
    left = [f"{problem.where}: {problem.why}" for problem in problems]
    yield Finding("every run's id, hashes and scores agree with each other", _named(left), counted(len(runs), "run"))
    if runs.empty:
        yield Finding("there are runs", f"there is no readable run in {folder / 'runs'}")
        return
    records = [read_record(folder / "runs" / run_id) for run_id in runs["run_id"]]
    cells = [f"runs/{one.id}: {said}" for one in records for said in contradictions(folder, one)]
    cells += disagreements(folder, records)
    cells += not_as_asked(folder, records, plugins)
    yield Finding("every cell agrees with those that decide it", _named(cells), f"what nothing decides: {UNNOTICED}")
    open_ = [record.id for record in records if not record.final]
    yield Finding("every run has ended", _named([f"{run_id} has not" for run_id in open_]))
    dirty = sorted({str(one.git_commit) for one in records if not one.git_commit or one.git_commit.endswith(DIRTY)})
    yield Finding("runs come from a clean commit", _named([f"commit {commit}" for commit in dirty]))
    yield _of_the_suite(folder.resolve().name, records)
    yield from _whole(folder.resolve().name, [*there, *ended(runs)])
    yield Finding("no run spent more than its budget", _named(over_budget(records)))
    yield Finding("runs of one scenario and seed have the same data and split", _named(_divided(records)))
    yield Finding("runs were computed by the files that are here", _named(_by_other_files(records, plugins)))
    yield from _conformance(records, plugins)
    for record in _shortest(records, recompute):
        again = compute_again(record, folder, data_dir, plugins)
        rounded = f"but for rounding, as another processor does it: {again.rounding}" if again.rounding else ""
        yield Finding(f"{record.id}, computed again, has the same numbers", again.why, rounded)


def over_budget(records: Sequence[Record]) -> list[str]:
    """Runs that took more mini-batch gradients than their scenario allows in training."""
    found = []
    for record in records:
        used, allowed = record.costs.get("local_steps"), record.visits * record.local_steps
        if record.status == "finished" and (used is None or used > allowed):
            found.append(f"{record.id} took {used} mini-batch gradients of {allowed}")
    return found


def _divided(records: Sequence[Record]) -> list[str]:
    """Runs on other data or another split than the first of their scenario and seed."""
    firsts: dict[tuple[str, int], Record] = {}
    found = []
    for record in records:
        first = firsts.setdefault((record.scenario_hash, record.seed), record)
        for what, own, other in (
            ("data", record.data_sha256, first.data_sha256),
            ("split", record.partition_sha256, first.partition_sha256),
        ):
            if own != other:
                found.append(f"the {what} of {record.id} is not that of {first.id}")
    return found


def _by_other_files(records: Sequence[Record], plugins: tuple[Plugin, ...]) -> list[str]:
    """Runs whose recorded files may give other numbers than those that are examined here; of methods that are here."""
    here, found = Sources(plugins), []
    for record in records:
        with suppress(RequestError):  # a plug-in that is not here is named where its method is examined
            if parts := differences(record, here.of(request_of(record))):
                found.append(f"{record.id}: {', '.join(parts)} {'is' if len(parts) == 1 else 'are'} another here")
    return found


def _of_the_suite(name: str, records: Sequence[Record]) -> Finding:
    """Whether scenarios that have the names of a shipped suite's are these."""
    what, suite = "scenarios are those of the suite", builtin_suites().get(name)
    if suite is None:
        return Finding(what, told=f"{name} is no suite of the package: nothing to compare with")
    shipped = {scenario.id: scenario for scenario in suite.scenarios}
    wrong = []
    for record in {record.scenario_hash: record for record in records}.values():
        plain = record.scenario_id.partition("@")[0].partition("+")[0]
        own = shipped.get(plain)
        if own is None:
            wrong.append(f"{record.scenario_id} is not in it")
            continue
        edition = own.scaled(record.budget_scale / own.budget_scale).at_precision(
            "bf16" if record.precision == "bf16" else "fp32"
        )
        if {**edition.identity(), "id": record.scenario_id} != dict(record.scenario):
            wrong.append(f"{record.scenario_id} differs from the shipped one")
    return Finding(what, _named(wrong))


def _whole(name: str, runs: Sequence[Ended]) -> Iterator[Finding]:
    """Whether every method has all runs that its board asks for, for a shipped suite's name."""
    if (suite := builtin_suites().get(name)) is not None:
        left = list(lacks(runs, suite))
        yield Finding("every method has all runs of the board", told=_named(left), partial=bool(left))


def _conformance(records: Sequence[Record], plugins: tuple[Plugin, ...]) -> Iterator[Finding]:
    """The kit's verdict on every method whose code is not the package's; of that the tests of the package speak."""
    others = sorted({record.method for record in records if code_identity(record, "method")})
    if not others:
        yield Finding("every method's file is as shipped", told="the package's tests hold its methods to the kit")
    for method in others:
        what = f"{method} passes the conformance kit"
        try:
            METHODS.get(method)
        except RequestError as error:
            yield Finding(what, f"it is not the package's, and no plug-in brings it (--plugin): {error}")
            continue
        context = Context((method,), plugins)
        wrong = [f"{check.title}: {said}" for check, said in examine(CHECKS, method, context) if said is not None]
        left = [f"not examined: {check.title}, for {check.left_out}" for check in CHECKS if check.left_out]
        yield Finding(what, _named(wrong), "; ".join(left))


def _shortest(records: Sequence[Record], count: int) -> list[Record]:
    """The finished runs that took least, of as many methods as possible."""
    done = sorted((one for one in records if one.status == "finished"), key=_seconds)
    firsts = {record.method: record for record in reversed(done)}  # the shortest of each method
    ordered = sorted(firsts.values(), key=_seconds)
    ordered += [record for record in done if record not in ordered]
    return ordered[:count]


def _seconds(record: Record) -> float:
    return float(record.costs.get("train_seconds") or 0) + float(record.costs.get("eval_seconds") or 0)


def _named(wrong: Sequence[str]) -> str:
    more = f" and {len(wrong) - NAMED} more" if len(wrong) > NAMED else ""
    return "; ".join(wrong[:NAMED]) + more
