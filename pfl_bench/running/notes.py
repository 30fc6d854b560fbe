"""What data sources and partition rules have to say to whoever asked for the runs."""

from .runner import Plan


def notes_of(plan: Plan) -> list[str]:
    """One line per note: of every data set once, of every scenario at the first of its seeds that has one."""
    lines = [f"{name}: {note}" for name, dataset in plan.datasets.items() for note in dataset.notes]
    said: set[str] = set()
    for (scenario, seed), partition in plan.partitions.items():
        if scenario not in said and partition.notes:
            said.add(scenario)
            lines += [f"{scenario}, seed {seed}: {note}" for note in partition.notes]
    return lines
