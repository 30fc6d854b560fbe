"""What was published for a method, as its page and the index have it: the figures that a scenario of ours can meet, or
what would be needed for one."""

from pfl_bench.results.references import Reference, needed, references
from pfl_bench.spec.suite import builtin_suites


def figures_section(name: str) -> list[str]:
    """Lines of Markdown: a table of figures with their source and our scenario, and how other protocols differ; or
    what would be needed."""
    lines = ["## Published figures", ""]
    found = _figures(name)
    if not found:
        told = f"None that a scenario here can meet. Needed: {needed()[name]}." if name in needed() else "None known."
        return [*lines, told, ""]
    lines += ["| accuracy | scenario | of | read |", "|---|---|---|---|", *(_row(reference) for reference in found), ""]
    for source, protocol in dict.fromkeys((r.source, r.protocol) for r in found if r.protocol):
        lines += [f"Not the scenario's protocol, so not judged: {source}: {protocol}.", ""]
    return lines


def figures_cell(name: str) -> str:
    """How many there are: ``7``, ``5 under other protocols``, ``7 and 1 under another protocol`` or ``none``."""
    found = _figures(name)
    other = sum(bool(reference.protocol) for reference in found)
    counts = [str(len(found) - other)] * (len(found) > other)
    counts += [f"{other} under {'another protocol' if other == 1 else 'other protocols'}"] * bool(other)
    return " and ".join(counts) or "none"


def _figures(name: str) -> list[Reference]:
    return [reference for reference in references() if reference.method == name]


def _row(reference: Reference) -> str:
    spread = "" if reference.std is None else f" ± {reference.std:.2f}"
    suites = [s.name for s in builtin_suites().values() if reference.scenario in {x.id for x in s.scenarios}]
    where = f"`{reference.scenario}` ({', '.join(suites)})"
    read = "second hand" if reference.status == "secondary" else "in the source or a copy"
    return f"| {reference.mean:.2f}{spread} | {where} | {reference.kind}: {reference.source} | {read} |"
