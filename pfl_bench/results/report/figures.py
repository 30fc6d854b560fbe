"""The report's figures as plain Plotly data: ``{"data": [traces], "layout": {...}}``; the page draws them.

A trace's ``meta`` is its entry, by which the page filters.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from pfl_bench.results.escapes import for_plotly
from pfl_bench.results.palette import GREY, Palette
from pfl_bench.results.primary import YLABEL
from pfl_bench.results.statistics.costs import pareto_front
from pfl_bench.results.statistics.gaps import gap_line
from pfl_bench.results.statistics.ranks import Ranking

Figure = dict[str, Any]

MOST_POINTS = 60


def curves(history: pd.DataFrame, unfinished: pd.DataFrame, axis: str, palette: Palette, what: str = YLABEL) -> Figure:
    """Test accuracy over ``axis`` (visits or bytes) in one scenario: mean, and a band from lowest to highest seed.

    ``unfinished``: the same frame for runs that are still going on, drawn one by one. ``what``: the ordinate.
    """
    traces: list[dict[str, Any]] = []
    last = history.sort_values("visits").groupby("entry")["accuracy"].last()
    for entry in last.sort_values(ascending=False).index:
        rows = history[history["entry"] == entry].assign(bytes=lambda f: f["bytes_down"] + f["bytes_up"])
        by_visits = rows.groupby("visits").agg(
            x=(axis, "mean"), mean=("accuracy", "mean"), low=("accuracy", "min"), high=("accuracy", "max")
        )
        points = _thinned(by_visits)
        shared = {"meta": entry, "legendgroup": entry, "mode": "lines", "type": "scatter"}
        if rows["seed"].nunique() > 1:
            around = [*_numbers(points["high"]), *_numbers(points["low"])[::-1]]
            xs = _numbers(points["x"])
            traces.append(
                {**shared, "x": [*xs, *xs[::-1]], "y": around, "fill": "toself", "line": {"width": 0},
                 "fillcolor": _faded(palette.colour(entry)), "hoverinfo": "skip", "showlegend": False}
            )  # fmt: skip
        traces.append(
            {**shared, "name": entry, "x": _numbers(points["x"]), "y": _numbers(points["mean"]),
             "line": palette.line(entry)}
        )  # fmt: skip
    for (entry, seed), rows in unfinished.groupby(["entry", "seed"], sort=True):
        points = _thinned(rows.assign(x=rows["bytes_down"] + rows["bytes_up"] if axis == "bytes" else rows["visits"]))
        traces.append(
            {"meta": entry, "type": "scatter", "mode": "lines", "opacity": 0.6,
             "name": f"{entry}, seed {seed} (unfinished)",
             "x": _numbers(points["x"]), "y": _numbers(points["accuracy"]),
             "line": {"color": palette.colour(str(entry)), "dash": "dot", "width": 1}}
        )  # fmt: skip
    title = "client visits" if axis == "visits" else "bytes moved, down and up"
    return _figure(traces, title, what)


def distributions(for_whom: pd.DataFrame, palette: Palette) -> Figure:
    """Accuracy over clients in one scenario: box between quartiles, whiskers at deciles, a point at the worst."""
    traces: list[dict[str, Any]] = []
    for row in for_whom.sort_values("q50").to_dict("records"):
        entry, position = row["entry"], [row["entry"]]
        traces.append(
            {"type": "box", "orientation": "h", "meta": entry, "name": entry, "y": position, "q1": [row["q25"]],
             "median": [row["q50"]], "q3": [row["q75"]], "lowerfence": [row["q10"]], "upperfence": [row["q90"]],
             "marker": palette.marker(entry), "showlegend": False}
        )  # fmt: skip
        traces.append(
            {"type": "scatter", "mode": "markers", "meta": entry, "name": f"{entry}: worst client",
             "x": [_r(row["q0"])], "y": position, "marker": {**palette.marker(entry), "size": 6}, "showlegend": False}
        )  # fmt: skip
    figure = _figure(traces, "test accuracy of a client (%)", "")
    figure["layout"]["yaxis"]["automargin"] = True
    figure["layout"]["height"] = 120 + 28 * len(for_whom)
    return figure


def pareto(table: pd.DataFrame, palette: Palette, what: str = YLABEL) -> Figure:
    """Mean accuracy against bytes of a whole run in one scenario; a line along the front that nobody beats."""
    done = table.dropna(subset=["accuracy_mean", "bytes_down", "bytes_up"])
    cost, gain = (done["bytes_down"] + done["bytes_up"]).to_numpy(float), done["accuracy_mean"].to_numpy(float)
    order = np.argsort(cost, kind="stable")
    front = order[pareto_front(cost, gain)[order]] if len(done) else order
    traces: list[dict[str, Any]] = [
        {"type": "scatter", "mode": "lines", "name": "front", "x": _numbers(cost[front]), "y": _numbers(gain[front]),
         "line": {"shape": "hv", "width": 1, "color": GREY}, "hoverinfo": "skip"}
    ]  # fmt: skip
    for entry, x, y in zip(done["entry"], cost, gain, strict=True):
        traces.append(
            {"type": "scatter", "mode": "markers", "meta": entry, "name": entry, "x": [x], "y": [_r(y)],
             "marker": {**palette.marker(entry), "size": 11}}
        )  # fmt: skip
    return _figure(traces, "bytes moved in a run, down and up", what)


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
            {"type": "scatter", "mode": "lines+markers+text", "meta": entry, "name": entry, "x": [_r(x), _r(x)],
             "y": [0, heights[entry]], "text": ["", f"{entry} {x:.2f}"], "textposition": "middle right",
             "line": {**palette.line(entry), "width": 1}, "marker": palette.marker(entry), "showlegend": False,
             "cliponaxis": False}
        )  # fmt: skip
    for k, group in enumerate(ranking.groups):
        ends = [ranking.mean_ranks[group[0]] - 0.05, ranking.mean_ranks[group[-1]] + 0.05]
        traces.append(
            {"type": "scatter", "mode": "lines", "name": "not told apart: " + ", ".join(group), "x": _numbers(ends),
             "y": [0.4 + 0.35 * k] * 2, "line": {"width": 5, "color": GREY}, "showlegend": False}
        )  # fmt: skip
    figure = _figure(traces, f"mean rank over {ranking.count} {ranking.blocks} (1 is best)", "")
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
            {**shared, "mode": "markers", "name": name, "x": _numbers(part["tv_distance"]), "y": _numbers(part["gap"]),
             "marker": {**palette.marker(name), "opacity": 0.6}}
        )  # fmt: skip
        if fit := gap_line(part):
            ends = [part["tv_distance"].min(), part["tv_distance"].max()]
            traces.append(
                {**shared, "mode": "lines", "name": f"{name}, fit", "x": _numbers(ends),
                 "y": _numbers([fit.at(end) for end in ends]), "line": palette.line(name), "showlegend": False}
            )  # fmt: skip
    return _figure(traces, "total variation distance to the nearest training client", "accuracy gap (points)")


def partition(holdings: pd.DataFrame) -> Figure:
    """Training samples per client and class; who must be tested on classes it never sees is counted in the title."""
    counts = holdings.pivot_table(index="client", columns="label", values="train", aggfunc="sum", fill_value=0)
    trace = {
        "type": "heatmap", "x": counts.columns.tolist(), "y": counts.index.tolist(),
        "z": counts.to_numpy().astype(int).tolist(), "colorscale": "Cividis",
        "colorbar": {"title": {"text": "samples"}},
        "hovertemplate": "client %{y}, class %{x}: %{z}<extra></extra>",
    }  # fmt: skip
    figure = _figure([trace], "class", "client")
    figure["layout"]["yaxis"]["autorange"] = "reversed"
    absent = holdings[(holdings["train"] == 0) & (holdings["test"] > 0)]
    if len(absent):
        figure["layout"]["title"] = {
            "text": f"{absent['client'].nunique()} of {holdings['client'].nunique()} clients are tested on classes "
            f"they have no training sample of ({absent['test'].sum()} of {holdings['test'].sum()} test samples)",
            "font": {"size": 13},
        }
    return figure


def _figure(traces: list[dict[str, Any]], x_title: str, y_title: str) -> Figure:
    axes: dict[str, Mapping[str, Any]] = {
        "xaxis": {"title": {"text": x_title}, "automargin": True},
        "yaxis": {"title": {"text": y_title}, "automargin": True},
    }
    shown: Figure = for_plotly({"data": traces, "layout": {**axes, "height": 420}})
    return shown


def _thinned(points: pd.DataFrame) -> pd.DataFrame:
    """At most ``MOST_POINTS`` rows, evenly spaced, the first and the last among them."""
    if len(points) <= MOST_POINTS:
        return points
    return points.iloc[np.unique(np.linspace(0, len(points) - 1, MOST_POINTS).round().astype(int))]


def _numbers(values: Any) -> list[float | None]:
    return [_r(value) for value in np.asarray(values, dtype=float)]


def _r(value: float) -> float | None:
    """Five significant digits; JSON has no NaN."""
    return float(f"{value:.5g}") if np.isfinite(value) else None


def _faded(colour: str) -> str:
    red, green, blue = (int(colour[k : k + 2], 16) for k in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.13)"
