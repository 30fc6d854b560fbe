"""The commands ``results merge``, ``results pack`` and ``results validate``."""

from collections.abc import Sequence
from pathlib import Path

from pfl_bench.results.ledger import check_writable
from pfl_bench.results.notes import left_out
from pfl_bench.results.places import check_suite_folder, suite_folders
from pfl_bench.text import agreeing, counted

from .terminal import make_console, say

MOST_NAMED = 20


def merge_folders(sources: Sequence[Path], into: Path) -> int:
    """Copy runs, name clashes, and rebuild the tables. 1 if something was left out."""
    from pfl_bench.results.merge import merge, pairs  # loads pandas
    from pfl_bench.results.publish import publish, stale

    console, clashed, targets = make_console(), 0, []
    check_writable(into)
    for source, target in pairs(sources, into):
        merged = merge(source, target)
        targets.append(target)
        say(
            console,
            f"{source}: {counted(len(merged.copied), 'run')} copied to {target}, {len(merged.known)} "
            f"{agreeing(len(merged.known), 'was', 'were')} there already.",
        )
        for problem in merged.clashes[:MOST_NAMED]:
            say(console, f"  Clash: {problem.where}: {problem.why}; the one in {target} stays")
        if len(merged.clashes) > MOST_NAMED:
            say(console, f"  and {counted(len(merged.clashes) - MOST_NAMED, 'more clash')}")
        for line in left_out(merged.unreadable):
            say(console, line)
        clashed += len(merged.clashes) + len(merged.unreadable)
    for target in dict.fromkeys(targets):
        done = publish(target, ("csv", *stale(target)))
        say(console, "Written: " + ", ".join(str(path) for path in done.files))
    return 1 if clashed else 0


def pack_folder(folder: Path, into: Path) -> int:
    """Write a suite's runs into one file, and rebuild the tables beside it. 1 if something was left out."""
    check_suite_folder(folder)
    check_writable(into)
    from pfl_bench.results.pack import pack  # loads pandas
    from pfl_bench.results.publish import publish, stale

    console, packed = make_console(), pack(folder, into)
    known = packed.runs - packed.added
    say(console, f"{packed.place}: {counted(packed.added, 'run')} packed, beside {known} that it had.")
    for line in left_out(packed.problems):
        say(console, line)
    done = publish(into, ("csv", *stale(into)))
    say(console, "Written: " + ", ".join(str(path) for path in done.files))
    return 1 if packed.problems else 0


def validate_folder(folder: Path, recompute: int, data_dir: Path | None, plugins: Sequence[Path]) -> int:
    """Examine the results of every suite in a folder. 1 if anything is wrong."""
    found = suite_folders(folder)
    from pfl_bench.data.store import default_data_dir
    from pfl_bench.registry import load_plugins
    from pfl_bench.testing.submission import examine_results  # loads torch

    loaded, console, wrong, partial = load_plugins(plugins), make_console(), 0, False
    for name, own in found.items():
        say(console, name)
        for finding in examine_results(own, recompute, data_dir or default_data_dir(), loaded):
            wrong += bool(finding.wrong)
            partial |= finding.partial
            verdict = "FAILED" if finding.wrong else "partly" if finding.partial else "ok"
            detail = finding.wrong or finding.told
            say(console, f"  {verdict:6} {finding.what}" + (f": {detail}" if detail else ""))
    fine = "nothing is wrong" + (", but it is no whole submission" if partial else "")
    say(console, counted(wrong, "finding") if wrong else fine)
    return 1 if wrong else 0
