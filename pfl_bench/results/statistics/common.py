"""What claims over all scenarios may rest on: one edition per scenario, and what all entries have in common.

An *edition* is a scenario at a share of its budget or in another precision (``cifar10-v1@0.1x+bf16``), or one that was
told apart (``cifar10-v1 [data abc123]``): repetitions of one scenario, which must not count as several.
"""

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pfl_bench.text import counted

FULL = "full"
_PARTS = re.compile(r"(?P<base>.*?)(?P<edition>(?:[@+]| \[).*)?", re.DOTALL)
_SCALE = re.compile(r"@([\d.e+-]*\d)x")


@dataclass(frozen=True)
class Common:
    """``runs``: in every scenario the same entries, each with the same seeds. ``editions``: the chosen one of every
    scenario. ``left_out``: what is not in ``runs``, in words."""

    runs: pd.DataFrame
    editions: dict[str, str]
    left_out: tuple[str, ...]


def split_edition(scenario: str) -> tuple[str, str]:
    """A scenario's id up to its version, and the edition (``full`` where nothing follows)."""
    found = _PARTS.fullmatch(scenario)
    return (found["base"], found["edition"] or FULL) if found else (scenario, FULL)


def common(runs: pd.DataFrame) -> Common:
    """The runs of a results frame that overall claims rest on, by these rules:

    - Of a scenario's editions the one counts in which most cells (scenario and entry) of the frame were run, the next
      ones for scenarios without it; of equals, the larger budget, then fp32.
    - While not every entry has a run in every scenario, the scenario or the entry that lacks the largest share goes.
    - Of a scenario the seeds count that all these entries have; if there is none, it goes.
    """
    done = runs[runs["accuracy"].notna()]
    undefined = [f"{name}: what ranks is undefined there" for name in _without(runs, done)]
    parts = [split_edition(str(scenario)) for scenario in done["scenario"]]
    done = done.assign(_base=[base for base, _ in parts], _edition=[edition for _, edition in parts])
    chosen, left_out = _editions(done)
    left_out += undefined
    done = done[done["scenario"].isin(chosen.values())]
    cells = done.pivot_table(index="_base", columns="entry", values="accuracy", aggfunc="size", sort=False)
    kept, notes = complete(cells)
    left_out += notes
    done = done[done["_base"].isin(kept.index) & done["entry"].isin(kept.columns)]
    whole = [pd.DataFrame(columns=done.columns)] if done.empty else []
    for base, part in done.groupby("_base", sort=False):
        seeds = part.groupby("seed")["entry"].nunique()
        shared, every = seeds[seeds == kept.shape[1]].index, seeds.index
        if len(shared) < len(every):
            rest = ", ".join(str(seed) for seed in sorted(set(every) - set(shared)))
            left_out.append(f"{base}: seeds {rest}, which not all methods have")
        whole.append(part[part["seed"].isin(shared)])
    balanced = pd.concat(whole).drop(columns=["_base", "_edition"])
    editions = dict(split_edition(str(scenario)) for scenario in balanced["scenario"].unique())
    return Common(balanced, editions, tuple(left_out))


def _without(runs: pd.DataFrame, done: pd.DataFrame) -> list[str]:
    """The scenarios of finished runs of which none has a figure."""
    finished = runs[runs["status"] == "finished"] if "status" in runs else runs
    return [str(name) for name in finished["scenario"].unique() if name not in set(done["scenario"])]


def complete(table: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """A table ``[blocks, entries]`` without gaps, and what was left out for it, in words.

    While a cell is missing, the block or the entry goes that lacks the largest share (of equals, a block).
    """
    there = table.notna().to_numpy()
    rows, columns, gone = np.arange(len(there)), np.arange(there.shape[1]), []
    while not there[np.ix_(rows, columns)].all():
        left = there[np.ix_(rows, columns)]
        blocks, entries = left.mean(axis=1), left.mean(axis=0)
        if blocks.min() <= entries.min():
            least = int(blocks.argmin())
            gone.append(f"{table.index[rows[least]]}: {left[least].sum()} of {counted(len(columns), 'method')}")
            rows = np.delete(rows, least)
        else:
            least = int(entries.argmin())
            gone.append(f"{table.columns[columns[least]]}: in {left[:, least].sum()} of {len(rows)}")
            columns = np.delete(columns, least)
    return table.iloc[rows, columns], gone


def one_edition_each(done: pd.DataFrame) -> tuple[dict[str, str], list[str]]:
    """Of runs with a result: by scenario, up to its version, the name of the edition that counts, and the others in
    words; the first rule of ``common``."""
    parts = [split_edition(str(scenario)) for scenario in done["scenario"]]
    return _editions(done.assign(_base=[base for base, _ in parts], _edition=[edition for _, edition in parts]))


def _editions(done: pd.DataFrame) -> tuple[dict[str, str], list[str]]:
    """``one_edition_each`` of runs with ``_base`` and ``_edition``."""
    cells = done.drop_duplicates(["scenario", "entry"]).groupby("_edition")["_base"].size().to_dict()

    def place(edition: str) -> tuple[int, float, bool, str]:
        scale = _SCALE.search(edition)
        return -cells[edition], -float(scale[1]) if scale else -1.0, "+" in edition, edition

    chosen, left_out = {}, []
    for base, part in done.groupby("_base", sort=False):
        names = dict(zip(part["_edition"], part["scenario"], strict=True))
        first, *others = sorted(names, key=place)
        chosen[str(base)] = names[first]
        left_out += [f"{names[edition]}: {first} counts for this scenario" for edition in others]
    return chosen, left_out
