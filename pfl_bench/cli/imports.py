"""The command ``results import``."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pfl_bench.errors import RequestError, shown, unknown
from pfl_bench.registry import METHODS
from pfl_bench.results.ledger import check_writable
from pfl_bench.results.places import is_suite_folder
from pfl_bench.spec.scenario import without_edition
from pfl_bench.spec.suite import builtin_suites, load_suite
from pfl_bench.text import counted

from .terminal import make_console, say


@dataclass(frozen=True)
class ImportRequest:
    """What the user typed; ``columns`` as ``WHAT=COLUMN``."""

    files: tuple[Path, ...]
    suite: str
    out: Path
    scenario: str | None
    method: str | None
    columns: tuple[str, ...]
    unit: str
    pick: str
    source: str | None


def import_figures(request: ImportRequest) -> int:
    """Keep figures of others in the suite's folder and say where they will be seen."""
    columns = dict(_column(text) for text in request.columns)
    folder, ids = _suite(request.suite, request.out)
    check_writable(folder)
    from pfl_bench.results.imports import Wanted, keep_imported, read_figures  # loads pandas

    wanted = Wanted(
        request.scenario, request.method, columns, request.unit, request.pick, request.source,
        tuple(METHODS.known_names()),
    )  # fmt: skip
    figures = read_figures(request.files, wanted)
    known = ids or _of_runs(folder)
    for figure in figures:
        if known and without_edition(figure.scenario) not in known:
            raise unknown("scenario", figure.scenario, known)
    replaced = keep_imported(folder, figures)
    console = make_console()
    for figure in figures:
        say(console, f"{figure.scenario}: {figure.method} {figure}")
    more = f", {replaced} in place of older ones" if replaced else ""
    say(
        console,
        f"Written: {folder / 'imported.json'} ({counted(len(figures), 'figure')}{more}), neither ranked nor averaged.",
    )
    say(console, f"See them: pfl-bench leaderboard --suite {request.suite} --out {request.out}")
    return 0


def _column(text: str) -> tuple[str, str]:
    what, sign, column = text.partition("=")
    if not sign or not what or not column:
        raise RequestError(f"--column: {shown(text)} must be WHAT=COLUMN, such as accuracy=test_acc")
    return what, column


def _suite(suite: str, out: Path) -> tuple[Path, Sequence[str]]:
    """The suite's folder, and the ids of its scenarios, none if the suite's file is not at hand."""
    if suite.endswith(".toml") or suite in builtin_suites():
        found = load_suite(suite)
        return out / found.name, [scenario.id for scenario in found.scenarios]
    if not is_suite_folder(out / suite):
        raise RequestError(
            f"--suite: {shown(suite)} is no suite of the package, no .toml file, and has no runs in {shown(str(out))}"
        )
    return out / suite, []


def _of_runs(folder: Path) -> list[str]:
    """The scenarios that a folder has runs of."""
    from pfl_bench.results.comparable import plain
    from pfl_bench.results.frame import read_runs

    return sorted({without_edition(plain(str(scenario))) for scenario in read_runs(folder)["scenario"]})
