"""The commands ``data export`` and ``data import``."""

from collections.abc import Sequence
from pathlib import Path

from pfl_bench.data.doors import Split, export_split, find_format, import_split, make_split
from pfl_bench.data.doors.split import data_hash
from pfl_bench.errors import RequestError
from pfl_bench.registry import load_plugins
from pfl_bench.spec.scenario import Scenario
from pfl_bench.spec.suite import builtin_suites, load_suite, parse_seeds, select_scenarios
from pfl_bench.text import counted

from .terminal import make_console, say


def export_data(
    scenario: str | None, suite: str | None, scenarios: str | None, seeds: str, to: str, out: Path,
    data_dir: Path | None, plugins: Sequence[Path] = (),
) -> int:  # fmt: skip
    """Write every split that is asked for into a folder ``<scenario>-s<seed>`` of its own below ``out``."""
    find_format(to)
    numbers, chosen = parse_seeds(seeds, "--seeds"), _chosen(scenario, suite, scenarios)
    for each in chosen:
        for seed in numbers:
            if (place := out / f"{each.id}-s{seed}").exists():
                raise RequestError(f"{place} is there already; remove it, or give another --out")
    load_plugins(plugins)
    console = make_console()
    for each in chosen:
        for seed in numbers:
            split = make_split(each, seed, data_dir)
            notes = export_split(split, to, out / split.name)
            say(console, f"Written: {out / split.name}: {_said(split)}")
            for note in notes:
                say(console, f"  {note}")
    return 0


def import_data(form: str, folder: Path, out: Path, plugins: Sequence[Path] = ()) -> int:
    """Read a folder, write it in the form that runs, and say how to run it."""
    load_plugins(plugins)
    console = make_console()
    found = import_split(form, folder, out)
    for note in found.notes:
        say(console, f"Note: {note}")
    same = "the data and the partition that were exported" if found.ours else "as it lay there"
    say(console, f"Written: {out}: {_said(found.split)}; {same}")
    say(console, f"Run it: pfl-bench run --suite {found.suite}")
    return 0


def _chosen(scenario: str | None, suite: str | None, scenarios: str | None) -> list[Scenario]:
    """The scenarios of a request, which names one, or some of a suite."""
    if (scenario is None) == (suite is None):
        raise RequestError("give a scenario's id, or --suite with or without --scenarios; 'list scenarios' shows them")
    if suite is not None:
        return select_scenarios(load_suite(suite).scenarios, scenarios, "--scenarios")
    if scenarios is not None:
        raise RequestError("--scenarios goes with --suite; a scenario's id stands alone")
    every = {each.id: each for own in builtin_suites().values() for each in own.scenarios}
    return select_scenarios(list(every.values()), scenario, "SCENARIO")


def _said(split: Split) -> str:
    partition = split.partition
    novel = f", {partition.novel} of them novel" if partition.novel else ""
    held = sum(len(own) for part in (partition.train, partition.validation, partition.test) for own in part)
    return (
        f"{counted(partition.clients, 'client')}{novel}, {counted(held, 'sample')}, partition SHA-256 "
        f"{partition.sha256()}, "
        f"data SHA-256 {data_hash(split.dataset)}"
    )
