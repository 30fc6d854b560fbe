"""What several runs of a folder say of the same thing: the data set, the client model, how often classes occur."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pfl_bench.results.facts import facts_text
from pfl_bench.results.files import Unreadable
from pfl_bench.results.record import Record
from pfl_bench.text import shortened

from .sheets import Contradiction
from .split import read_split

FEWEST = 3
"""Splits of a scenario from which on one that deals other samples than all others is told."""


def disagreements(folder: Path, records: Sequence[Record]) -> Iterator[str]:
    """Runs that say something else of what others speak of too, a line each."""
    facts = {record.id: facts_text(record.data_facts) for record in records if record.data_facts}
    yield from _outvoted("data_facts", facts, {record.id: str(record.data_sha256) for record in records})
    sizes = {record.id: _text(record.client_model_size) for record in records if record.client_model_size is not None}
    yield from _outvoted("client_model_size", sizes, {record.id: record.scenario_hash for record in records})
    yield from _other_samples(folder, records)


def _outvoted(name: str, said: Mapping[str, str], of: Mapping[str, str]) -> Iterator[str]:
    """Runs that do not say what most runs of their group do."""
    groups: dict[str, Counter[str]] = {}
    for run, value in said.items():
        groups.setdefault(of[run], Counter())[value] += 1
    for run, value in said.items():
        ((usual, votes), *_) = groups[of[run]].most_common(1)
        if value != usual:
            others = f"in {votes} other runs" if votes > 1 else "in another run"
            yield f"runs/{run}: {name} is {shortened(value, 100)}, and {shortened(usual, 100)} {others}"


def _other_samples(folder: Path, records: Sequence[Record]) -> Iterator[str]:
    """Splits of a scenario that deal other classes than all of its other seeds'."""
    splits = {(record.scenario_hash, str(record.partition_sha256)[:12]): record for record in records}
    dealt: dict[str, dict[str, tuple[float, ...]]] = {}
    for (scenario, sha256), record in splits.items():
        try:
            split = read_split(folder, record)
        except (Contradiction, Unreadable):
            continue  # named with its runs
        if split is not None and split.dealt is not None:
            dealt.setdefault(scenario, {})[sha256] = tuple(split.dealt.tolist())
    named = set()
    for own in dealt.values():
        ((usual, votes), *_) = Counter(own.values()).most_common(1)
        for sha256, totals in own.items():
            if totals != usual and votes == len(own) - 1 >= FEWEST - 1 and sha256 not in named:
                named.add(sha256)
                label = next(at for at, pair in enumerate(zip(totals, usual, strict=False)) if pair[0] != pair[1])
                yield (
                    f"partitions/{sha256}.csv deals {totals[label]:g} samples of label {label}; in the splits of "
                    f"{votes} other seeds there are {usual[label]:g}"
                )


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True, default=str)
