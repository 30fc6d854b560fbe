"""The report's figures as plain Plotly data (``plotting``); the page draws them, and ``drawing`` does for paper.

A trace's ``meta`` is its entry, by which the page filters.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from pfl_bench.results.palette import GREY, Palette
from pfl_bench.results.primary import YLABEL
from pfl_bench.results.statistics.costs import pareto_front
from pfl_bench.results.statistics.gaps import gap_line
from pfl_bench.results.statistics.ranks import Ranking

from .plotting import Figure, contest, faded, figure_of, leaders, numbers, rounded, thinned

MEGABYTE = 1e6
WIDE = 20
"""How many times the least cost the largest may be on a linear axis."""


def averaged(history: pd.DataFrame) -> pd.DataFrame:
    """Evaluations of one scenario over seeds: a row per entry and number of visits with ``bytes`` (MB moved so far,
    down and up), ``mean``, ``low`` and ``high`` accuracy, and ``seeds``, how many the entry has."""
    rows = with_megabytes(history)
    points = rows.groupby(["entry", "visits"], sort=True).agg(
        bytes=("bytes", "mean"), mean=("accuracy", "mean"), low=("accuracy", "min"), high=("accuracy", "max")
    )
    return points.reset_index().assign(seeds=lambda f: f["entry"].map(rows.groupby("entry")["seed"].nunique()))


def curves(points: pd.DataFrame, unfinished: pd.DataFrame, axis: str, palette: Palette, what: str = YLABEL) -> Figure:
    """Test accuracy over ``axis`` (``visits``, or ``bytes``) in one scenario: mean, and a band from the lowest to the
    highest seed.

    ``points``: as ``averaged``. ``unfinished``: the history of runs that are still going on, drawn one by one.
    ``what``: the ordinate.
    """
    traces: list[dict[str, Any]] = []
    ends = {str(entry): float(own["mean"].iloc[-1]) for entry, own in points.groupby("entry")}
    parts = dict(iter(points.groupby("entry")))
    for entry in sorted(ends, key=lambda entry: (-ends[entry], entry)):
        own = thinned(parts[entry])
        if axis == "bytes" and not own["bytes"].any():
            traces.append(_level(entry, ends[entry], points["bytes"], palette))
            continue
        xs = numbers(own[axis])
        shared = {"meta": entry, "legendgroup": entry, "type": "scatter"}
        if own["seeds"].iloc[0] > 1:
            around = [*numbers(own["high"]), *numbers(own["low"])[::-1]]
            traces.append(
                {**shared, "mode": "lines", "name": "band", "x": [*xs, *xs[::-1]], "y": around, "fill": "toself",
                 "line": {"width": 0}, "fillcolor": faded(palette.colour(entry)), "hoverinfo": "skip",
                 "showlegend": False}
            )  # fmt: skip
        means = numbers(own["mean"])
        traces.append({**shared, **_drawn(palette.line(entry), xs), "name": entry, "x": xs, "y": means})
    for (name, seed), rows in with_megabytes(unfinished).groupby(["entry", "seed"], sort=True):
        own = thinned(rows)
        traces.append(
            {"meta": name, "type": "scatter", "opacity": 0.6,
             "name": f"{name}, seed {seed} (unfinished)", "x": numbers(own[axis]), "y": numbers(own["accuracy"]),
             **_drawn({"color": palette.colour(str(name)), "dash": "dot", "width": 1}, numbers(own[axis]))}
        )  # fmt: skip
    bounds, note = contest(ends, float(points["mean"].max()))
    title = "client visits" if axis == "visits" else "MB moved, down and up"
    figure = figure_of(traces, title, what, leaders(ends), note)
    if axis == "bytes" and _wide(points.groupby("entry")["bytes"].max()):
        figure["layout"]["xaxis"]["type"] = "log"
    return {**figure, "contest": bounds}


def _drawn(line: dict[str, Any], places: Sequence[float | None]) -> dict[str, Any]:
    """How a curve is drawn: one evaluation makes no line, and is a point."""
    if len(places) > 1:
        return {"mode": "lines", "line": line}
    return {"mode": "lines+markers", "line": line, "marker": {"color": line["color"], "size": 8}}


def _level(entry: str, accuracy: float, costs: pd.Series, palette: Palette) -> dict[str, Any]:
    """Who moves nothing has no curve over bytes: a line at the last accuracy."""
    paid = costs[costs > 0]
    return {
        "type": "scatter", "mode": "lines", "meta": entry, "name": f"{entry} (moves nothing)",
        "x": numbers([paid.min(), paid.max()] if len(paid) else [0, 1]), "y": numbers([accuracy] * 2),
        "line": palette.line(entry),
    }  # fmt: skip


def _wide(costs: pd.Series | np.ndarray) -> bool:
    """Whether costs are too far apart for a linear axis."""
    paid = np.asarray(costs, dtype=float)
    paid = paid[paid > 0]
    return bool(len(paid)) and bool(paid.max() > WIDE * paid.min())


def with_megabytes(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of a history with ``bytes``: what was moved so far, down and up, in MB."""
    return rows.assign(bytes=(rows["bytes_down"] + rows["bytes_up"]) / MEGABYTE)


def distributions(for_whom: pd.DataFrame, palette: Palette) -> Figure:
    """Accuracy over clients in one scenario: box between quartiles, whiskers at deciles, a point at the worst."""
    traces: list[dict[str, Any]] = []
    for row in for_whom.sort_values(["q50", "q25", "worst_decile"]).to_dict("records"):
        entry, position = row["entry"], [row["entry"]]
        traces.append(
            {"type": "box", "orientation": "h", "meta": entry, "name": entry, "y": position, "q1": [row["q25"]],
             "median": [row["q50"]], "q3": [row["q75"]], "lowerfence": [row["q10"]], "upperfence": [row["q90"]],
             "marker": palette.marker(entry), "showlegend": False}
        )  # fmt: skip
        traces.append(
            {"type": "scatter", "mode": "markers", "meta": entry, "name": f"{entry}: worst client",
             "x": [rounded(row["q0"])], "y": position, "marker": {**palette.marker(entry), "size": 6},
             "showlegend": False}
        )  # fmt: skip
    figure = figure_of(traces, "test accuracy of a client (%)", "", for_whom["entry"])
    figure["layout"]["yaxis"]["automargin"] = True
    figure["layout"]["height"] = 120 + 28 * len(for_whom)
    return figure


def pareto(table: pd.DataFrame, palette: Palette, what: str = YLABEL) -> Figure:
    """Mean accuracy against MB of a whole run in one scenario; a line along the front that nobody beats.

    Costs that lie far apart are on a logarithmic axis; who moves nothing is at half the least cost there.
    """
    done = table.dropna(subset=["accuracy_mean", "bytes_down", "bytes_up"])
    cost = (done["bytes_down"] + done["bytes_up"]).to_numpy(float) / MEGABYTE
    gain = done["accuracy_mean"].to_numpy(float)
    order = np.argsort(cost, kind="stable")
    front = order[pareto_front(cost, gain)[order]] if len(done) else order
    wide = _wide(cost)
    places = np.where(cost > 0, cost, cost[cost > 0].min() / 2) if wide else cost
    traces: list[dict[str, Any]] = [
        {"type": "scatter", "mode": "lines", "name": "front", "x": numbers(places[front]), "y": numbers(gain[front]),
         "line": {"shape": "hv", "width": 1, "color": GREY}, "hoverinfo": "skip"}
    ]  # fmt: skip
    for entry, moved, x, y in zip(done["entry"], cost, places, gain, strict=True):
        name = f"{entry} (moves nothing)" if wide and not moved else entry
        traces.append(
            {"type": "scatter", "mode": "markers", "meta": entry, "name": name, "x": [rounded(x)], "y": [rounded(y)],
             "marker": {**palette.marker(entry), "size": 11}}
        )  # fmt: skip
    ends = dict(zip(map(str, done["entry"]), gain.tolist(), strict=True))
    first = [str(done["entry"].iloc[place]) for place in front]
    bounds, note = contest(ends)
    leading = dict.fromkeys([*first, *leaders(ends)])
    figure = figure_of(traces, "MB moved in a run, down and up", what, leading, note)
    if wide:
        figure["layout"]["xaxis"]["type"] = "log"
    return {**figure, "contest": bounds}


def critical_difference(ranking: Ranking, palette: Palette) -> Figure | None:
    """Mean ranks on a line, best at the left; a bar over entries that cannot be told apart. None without a test."""
    if ranking.critical_difference is None:
        return None
    names = list(ranking.mean_ranks)
    heights = {entry: -(1 + k) for k, entry in enumerate(names)}
    traces: list[dict[str, Any]] = []
    for entry in names:
        x = ranking.mean_ranks[entry]
        traces.append(
            {"type": "scatter", "mode": "lines+markers+text", "meta": entry, "name": entry, "x": [rounded(x)] * 2,
             "y": [0, heights[entry]], "text": ["", f"{entry} {x:.2f}"], "textposition": "middle right",
             "line": {**palette.line(entry), "width": 1}, "marker": palette.marker(entry), "showlegend": False,
             "cliponaxis": False}
        )  # fmt: skip
    for k, group in enumerate(ranking.groups):
        ends = [ranking.mean_ranks[group[0]] - 0.05, ranking.mean_ranks[group[-1]] + 0.05]
        traces.append(
            {"type": "scatter", "mode": "lines", "name": "not told apart: " + ", ".join(group), "x": numbers(ends),
             "y": [0.4 + 0.35 * k] * 2, "line": {"width": 5, "color": GREY}, "showlegend": False}
        )  # fmt: skip
    figure = figure_of(traces, f"mean rank over {ranking.count} {ranking.blocks} (1 is best)", "", names)
    figure["layout"]["yaxis"] |= {"visible": False}
    figure["layout"]["xaxis"]["range"] = [0.7, len(names) + 1.8]
    figure["layout"]["height"] = 160 + 26 * len(names)
    return figure


def novel_clients(gaps: pd.DataFrame, palette: Palette) -> Figure:
    """How far a novel client falls behind the training clients, over its distance to the nearest of them."""
    traces: list[dict[str, Any]] = []
    for entry, part in gaps.dropna(subset=["tv_distance", "gap"]).groupby("entry", sort=True):
        name = str(entry)
        shared = {"type": "scatter", "meta": name, "legendgroup": name}
        traces.append(
            {**shared, "mode": "markers", "name": name, "x": numbers(part["tv_distance"]), "y": numbers(part["gap"]),
             "marker": {**palette.marker(name), "opacity": 0.6}}
        )  # fmt: skip
        if fit := gap_line(part):
            ends = [part["tv_distance"].min(), part["tv_distance"].max()]
            traces.append(
                {**shared, "mode": "lines", "name": f"{name}, fit", "x": numbers(ends),
                 "y": numbers([fit.at(end) for end in ends]), "line": palette.line(name), "showlegend": False}
            )  # fmt: skip
    nearest = {str(entry): -float(part.mean()) for entry, part in gaps.dropna(subset=["gap"]).groupby("entry")["gap"]}
    title = "total variation distance to the nearest training client"
    return figure_of(traces, title, "accuracy gap (points)", leaders(nearest))


def partition(holdings: pd.DataFrame) -> Figure:
    """Training samples per client and class; who must be tested on classes it never sees is counted in the title."""
    counts = holdings.pivot_table(index="client", columns="label", values="train", aggfunc="sum", fill_value=0)
    trace = {
        "type": "heatmap", "x": counts.columns.tolist(), "y": counts.index.tolist(),
        "z": counts.to_numpy().astype(int).tolist(), "colorscale": "Cividis",
        "colorbar": {"title": {"text": "samples"}},
        "hovertemplate": "client %{y}, class %{x}: %{z}<extra></extra>",
    }  # fmt: skip
    figure = figure_of([trace], "class", "client")
    figure["layout"]["yaxis"]["autorange"] = "reversed"
    absent = holdings[(holdings["train"] == 0) & (holdings["test"] > 0)]
    if len(absent):
        figure["note"] = (
            f"{absent['client'].nunique()} of {holdings['client'].nunique()} clients are tested on classes "
            f"they have no training sample of ({absent['test'].sum()} of {holdings['test'].sum()} test samples)."
        )
    return figure
