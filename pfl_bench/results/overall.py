"""What may be said over all scenarios of a suite: the same on the page, in Markdown and in the terminal.

Everything rests on one edition per scenario and on what all entries have in common (``statistics.common``); what was
left out for that is told beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from pfl_bench.metrics import PRIMARY
from pfl_bench.text import counted

from .cells import number
from .entries import one_name_each
from .primary import HEADINGS as NAMES_OF_METRICS
from .primary import by_primary, primaries
from .statistics.aggregates import aggregate
from .statistics.common import Common, common, split_edition
from .statistics.paired import reference_of
from .statistics.ranks import Ranking, ranking

HEADINGS = ("method", "mean rank", "interquartile mean", "P(better than {reference})")


@dataclass(frozen=True)
class Overall:
    """``aggregates``: as ``statistics.aggregates.aggregate``, best mean rank first. ``reference``: whom its
    probabilities speak of. ``averaged``: what the interquartile means are of, where scenarios rank by different
    metrics, and what they leave out; ranks and probabilities are within scenarios, and of all."""

    shared: Common
    ranking: Ranking
    reference: str
    aggregates: pd.DataFrame
    averaged: str = ""

    @property
    def basis(self) -> str:
        """What the figures rest on, in a sentence."""
        editions = sorted(set(self.shared.editions.values()))
        kinds = f", each in one edition ({', '.join(editions)})" if editions and editions != ["full"] else ""
        those = f"methods that took part in all of them: {len(self.aggregates)}"
        return f"Scenarios: {len(self.shared.editions)}{kinds}; {those}."

    @property
    def verdict(self) -> str:
        """What a test of the mean ranks says, or why there is none."""
        ranks = self.ranking
        if ranks.p_value is None or ranks.critical_difference is None:
            return f"No test of ranks: {ranks.note}."
        text = f"Friedman's test over {ranks.count} {ranks.blocks}: p = {ranks.p_value:.2g}."
        text += f" Nemenyi's critical difference of mean ranks: {ranks.critical_difference:.2f}."
        if not ranks.blocks.startswith("scenarios"):
            text += f" This speaks for one scenario only; there is no test over scenarios ({ranks.instead})."
        return text + (f" {ranks.note}." if ranks.note else "")

    @property
    def left_out(self) -> str:
        """What these figures leave out, or ""."""
        every = dict.fromkeys((*self.shared.left_out, *self.ranking.left_out))
        return f"Left out of this comparison: {'; '.join(every)}." if every else ""

    @property
    def notes(self) -> list[str]:
        """All that must stand beside the figures."""
        return [note for note in (self.basis, self.averaged, self.verdict, self.left_out) if note]

    def headings(self) -> list[str]:
        """Of ``rows``."""
        return [heading.format(reference=self.reference) for heading in HEADINGS]

    def rows(self) -> list[list[str]]:
        """The figures as text, ``-`` for none."""
        return [
            [
                str(row["entry"]),
                number(self.ranking.mean_ranks.get(row["entry"]), 2).text or "-",
                number(row["interquartile_mean"], 2).text or "-",
                number(row["probability_of_improvement"], 2).text or "-",
            ]
            for row in self.aggregates.to_dict("records")
        ]


def overall(runs: pd.DataFrame) -> Overall:
    """From a results frame (``frame.read_runs``); runs that did not finish do not count."""
    done = by_primary(runs[runs["status"] == "finished"])
    done = done.assign(entry=one_name_each(done))
    shared = common(done)
    reference = reference_of(shared.runs["entry"].unique()) or ""
    one, others = _of_one_metric(shared.runs)
    ranks, figures = ranking(done, shared), aggregate(done, reference, one)
    order = figures["entry"].map(ranks.mean_ranks)
    figures = figures.assign(_rank=order).sort_values(["_rank", "entry"], ignore_index=True).drop(columns="_rank")
    return Overall(shared, ranks, reference, figures, others)


def _of_one_metric(runs: pd.DataFrame) -> tuple[list[str], str]:
    """The scenarios with the primary metric that most of them have, which alone may be averaged; and in words of what
    that is, and which others there are, or ""."""
    metric = primaries(runs).groupby(runs["scenario"], sort=False).first()
    counts = metric.value_counts()
    most = min(counts.index, key=lambda key: (-counts[key], key != PRIMARY, key), default=PRIMARY)
    kept = [str(scenario) for scenario in metric.index[metric == most]]
    others = [f"{scenario} ({NAMES_OF_METRICS.get(key, key)})" for scenario, key in metric.items() if key != most]
    told = (
        f"Interquartile means are of {NAMES_OF_METRICS.get(most, most)}, over {len(kept)} of "
        f"{counted(len(metric), 'scenario')}"
    )
    return kept, f"{told}; other metrics are not averaged with it: {', '.join(others)}." if others else ""


def several_scenarios(table: pd.DataFrame) -> bool:
    """Whether there is anything to say over all of them: a leaderboard has more than editions of one scenario."""
    return len({split_edition(str(scenario))[0] for scenario in table["scenario"]}) > 1


def to_markdown(found: Overall) -> str:
    """A section with the figures and what must stand beside them."""
    lines = ["### Over all scenarios", "", _row(found.headings()), "|" + "---|" * len(HEADINGS)]
    lines += [_row([cell.replace("|", "\\|") for cell in row]) for row in found.rows()]
    return "\n".join([*lines, "", *(line for note in found.notes for line in (note, ""))])


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
