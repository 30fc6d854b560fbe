"""The report's figures for paper: what the page draws with Plotly, drawn by Matplotlib as SVG or PDF.

Both are made from the same data (``gallery``), so nothing is computed twice; here only the traces that the report has
are known: lines, markers, filled bands, boxes and heat maps.
"""

import io
import math
from collections.abc import Callable, Mapping, Sequence
from html import unescape
from typing import Any

import pandas as pd

from pfl_bench.errors import RequestError
from pfl_bench.results.leaderboard import named
from pfl_bench.results.overall import overall
from pfl_bench.results.palette import STYLES, Palette
from pfl_bench.results.statistics.clients import for_whom

from .collect import Results, finished
from .gallery import gallery
from .plotting import Figure

WIDTH = 7.0
MOST_IN_LEGEND, MOST_BANDS = 12, 5
"""More entries than these cannot be told apart, as on the page."""
MOST_TICKS = 30
_DASH = {dash: line for line, dash, _, _ in STYLES}
_MARKER = {symbol: marker for _, _, marker, symbol in STYLES}
_GREY = "#C9C9D2"

Trace = Mapping[str, Any]


def drawn(figure: Figure, title: str, kind: str) -> bytes:
    """A figure as a file of this kind, the same bytes for the same figure. RequestError without Matplotlib."""
    try:
        import matplotlib
    except ImportError as error:
        raise RequestError("svg and pdf need Matplotlib: pip install 'pfl-bench[plot]'") from error
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    layout = figure["layout"]
    with plt.rc_context({"svg.hashsalt": "pfl-bench", "svg.fonttype": "none", "pdf.fonttype": 42, "font.size": 9}):
        canvas, axes = plt.subplots(figsize=(WIDTH, WIDTH * layout.get("height", 420) / 720), layout="constrained")
        try:
            rows = _rows(figure)
            for trace in figure["data"]:
                placed = {**trace, "y": [rows[y] for y in trace["y"]]} if rows else trace
                _TRACES[trace["type"]](axes, _told(placed, figure))
            _axes(axes, figure, title)
            if rows:
                axes.set_yticks(list(rows.values()), [_plain(name) for name in rows])
                axes.set_ylim(-0.7, len(rows) - 0.3)
            if legend := _legend(axes):
                canvas.legend(*legend, loc="outside right upper", fontsize="small", frameon=False)
            if figure.get("note"):
                canvas.supxlabel(_plain(figure["note"]), fontsize="x-small", wrap=True)
            content = io.BytesIO()
            when = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}[kind]
            canvas.savefig(content, format=kind, metadata=when)
        finally:
            plt.close(canvas)
    return content.getvalue()


def _rows(figure: Figure) -> dict[str, int]:
    """The names on an ordinate of names, from the bottom; none on one of numbers."""
    boxes = [trace["y"][0] for trace in figure["data"] if trace["type"] == "box"]
    return {name: place for place, name in enumerate(boxes)}


def _told(trace: Trace, figure: Figure) -> dict[str, Any]:
    """A trace in grey and without a name where its entry is not among those that lead, and there are too many."""
    entries = {each["meta"] for each in figure["data"] if "meta" in each}
    own = {**trace, "band": len(entries) <= MOST_BANDS}
    if len(entries) <= MOST_IN_LEGEND or "meta" not in trace or trace["meta"] in figure["leading"]:
        return own
    line, marker = trace.get("line", {}), trace.get("marker", {})
    own |= {"line": {**line, "color": _GREY, "width": 0.7, "dash": "solid"}, "marker": {**marker, "color": _GREY}}
    return {**own, "showlegend": False, "behind": True}


def _scatter(axes: Any, trace: Trace) -> None:
    if "fill" in trace:
        if trace["band"]:
            half = len(trace["x"]) // 2
            low, high = _known(trace["y"][half:])[::-1], _known(trace["y"][:half])
            red, green, blue, alpha = (float(part) for part in trace["fillcolor"][5:-1].split(","))
            colour = (red / 255, green / 255, blue / 255, alpha)
            axes.fill_between(trace["x"][:half], low, high, color=colour, linewidth=0)
        return
    mode, line, marker = trace["mode"], trace.get("line", {}), trace.get("marker", {})
    look = {
        "color": line.get("color", marker.get("color")),
        "linestyle": _DASH.get(line.get("dash", "solid"), "-") if "lines" in mode else "none",
        "marker": _MARKER.get(marker.get("symbol", "circle"), "o") if "markers" in mode else "",
        "linewidth": line.get("width", 1.5), "markersize": marker.get("size", 6) * 0.6,
        "drawstyle": "steps-post" if line.get("shape") == "hv" else "default",
        "zorder": 1.5 if trace.get("behind") else 2.5,
        "label": _plain(trace["name"]) if trace.get("showlegend", True) and "meta" in trace else "",
    }  # fmt: skip
    axes.plot(_known(trace["x"]), _known(trace["y"]), **look)
    if "text" in mode:
        for x, y, text in zip(trace["x"], trace["y"], trace["text"], strict=True):
            axes.annotate(
                _plain(text), (x, y), xytext=(4, 0), textcoords="offset points", va="center", fontsize="small"
            )


def _known(values: Sequence[float | None]) -> list[float]:
    return [math.nan if value is None else value for value in values]


def _box(axes: Any, trace: Trace) -> None:
    names = ("q1", "med", "q3", "whislo", "whishi")
    figures = (trace[part][0] for part in ("q1", "median", "q3", "lowerfence", "upperfence"))
    found = axes.bxp(
        [dict(zip(names, figures, strict=True))], positions=trace["y"], orientation="horizontal", showfliers=False,
        patch_artist=True, manage_ticks=False, widths=0.6,
    )  # fmt: skip
    for patch in found["boxes"]:
        patch.set(facecolor=trace["marker"]["color"], alpha=0.6)


def _heatmap(axes: Any, trace: Trace) -> None:
    picture = axes.imshow(trace["z"], aspect="auto", cmap="cividis", interpolation="nearest")
    if len(trace["x"]) <= MOST_TICKS:
        axes.set_xticks(range(len(trace["x"])), trace["x"])
    axes.yaxis.get_major_locator().set_params(integer=True)
    axes.figure.colorbar(picture, ax=axes, label=trace["colorbar"]["title"]["text"])


_TRACES: Mapping[str, Callable[[Any, Trace], None]] = {"scatter": _scatter, "box": _box, "heatmap": _heatmap}


def _axes(axes: Any, figure: Figure, title: str) -> None:
    layout = figure["layout"]
    axes.set_title(title.replace("$", r"\$"), fontsize="medium")
    axes.set_xlabel(_plain(layout["xaxis"]["title"]["text"]))
    axes.set_ylabel(_plain(layout["yaxis"]["title"]["text"]))
    if layout["xaxis"].get("type") == "log":
        axes.set_xscale("log")
    if limits := layout["xaxis"].get("range"):
        axes.set_xlim(*limits)
    if figure.get("contest"):
        axes.set_ylim(*figure["contest"])
    if layout["yaxis"].get("visible") is False:
        axes.get_yaxis().set_visible(False)
    if figure["data"] and figure["data"][0]["type"] != "heatmap":
        axes.grid(alpha=0.3)


def _legend(axes: Any) -> tuple[list[Any], list[str]] | None:
    handles, labels = axes.get_legend_handles_labels()
    return (handles, labels) if handles else None


def _plain(text: str) -> str:
    """Text without what was escaped for Plotly, and with nothing that Matplotlib takes for mathematics."""
    return unescape(text).replace("$", r"\$")


def pictures_of(results: Results, table: pd.DataFrame, kinds: Sequence[str]) -> dict[str, bytes]:
    """Every figure of the page as a file of each kind, by the file's name: ``<figure>-<scenario>.svg``."""
    if not kinds:
        return {}
    board, over_all = named(table, results.runs), overall(results.runs)
    shares, palette = for_whom(finished(results).clients), Palette(results.runs["entry"])
    return {
        f"{'-'.join(filter(None, (name, scenario)))}.{kind}": drawn(figure, scenario or results.title, kind)
        for name, by_scenario in gallery(results, board, shares, over_all.ranking, palette).items()
        for scenario, figure in by_scenario.items()
        if figure is not None
        for kind in kinds
    }
