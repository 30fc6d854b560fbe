"""The leaderboard as CSV, Markdown, LaTeX and plain columns for the terminal."""

import math
from collections.abc import Callable, Hashable, Mapping
from typing import Any

import pandas as pd

HEADERS = (
    "rank", "method", "accuracy", "95 % interval", "worst decile", "last", "moment", "MB down", "MB up", "seconds",
    "seeds",
)  # fmt: skip
PUBLISHED = "published"


def _number(value: object, digits: int) -> str:
    number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    return "-" if math.isnan(number) else f"{number:.{digits}f}"


def headers(table: pd.DataFrame) -> tuple[str, ...]:
    """``HEADERS``, and ``published`` where somebody has published a figure for a row of this table."""
    return (*HEADERS, PUBLISHED) if table["published_mean"].notna().any() else HEADERS


def published(row: Mapping[Hashable, Any]) -> str:
    """``88.38 ± 0.29 (-0.21, inside)``: the published figure, our difference to it, and how to read that."""
    if pd.isna(row["published_mean"]):
        return "-"
    spread = "" if pd.isna(row["published_std"]) else f" ± {row['published_std']:.2f}"
    difference = "" if pd.isna(row["difference"]) else f"{row['difference']:+.2f}, "
    secondary = ", second hand" if row["published_status"] == "secondary" else ""
    return f"{row['published_mean']:.2f}{spread} ({difference}{row['verdict']}{secondary})"


def display_rows(table: pd.DataFrame) -> list[list[str]]:
    """The leaderboard's rows as text under ``headers(table)``; failures stand in the column ``seeds``."""
    rows, with_published = [], PUBLISHED in headers(table)
    for row in table.to_dict("records"):
        interval = "-"
        if not pd.isna(row["ci_low"]):
            interval = f"{_number(row['ci_low'], 2)} to {_number(row['ci_high'], 2)}"
        troubles = [f"{row[s]} {s}" for s in ("failed", "diverged", "skipped", "unfinished") if row[s]]
        spread = "" if pd.isna(row["accuracy_std"]) else f" ± {row['accuracy_std']:.2f}"
        rows.append(
            [
                "-" if pd.isna(row["rank"]) else str(row["rank"]),
                row["method"] + (f" ({row['variant']})" if row["variant"] else ""),
                _number(row["accuracy_mean"], 2) + spread,
                interval,
                _number(row["worst_decile"], 2),
                _number(row["last_accuracy"], 2),
                str(row["moment"] or "-"),
                _number(_mega(row["bytes_down"]), 1),
                _number(_mega(row["bytes_up"]), 1),
                _number(row["seconds"], 1),
                ", ".join([str(row["seeds"]), *troubles]),
                *([published(row)] if with_published else []),
            ]
        )
    return rows


def _mega(value: object) -> float:
    return float(value) / 1e6 if isinstance(value, int | float) else math.nan


def titles(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The leaderboard cut by scenario, under titles that state the budget."""
    parts = {}
    for (scenario, visits, steps), part in table.groupby(["scenario", "visits", "local_steps_per_visit"], sort=False):
        scale = part["budget_scale"].iloc[0]
        share = "" if scale == 1 else f", {scale:.4g} x the full budget"
        parts[f"{scenario}: {visits} client visits x {steps} local steps{share}"] = part
    return parts


LEGEND = "Bold: best; underlined: second; †: not significantly worse than the best (Wilcoxon over seeds, Holm)"
ACCURACY = HEADERS.index("accuracy")


def marks(table: pd.DataFrame) -> list[set[str]]:
    """Per row of one scenario's table: ``best`` and ``second`` by rank, ``tie`` if not significantly worse."""
    ranks = sorted(set(table["rank"].dropna()))
    found = []
    for rank, verdict in zip(table["rank"], table["versus_best"], strict=True):
        place = "" if pd.isna(rank) else {0: "best", 1: "second"}.get(ranks.index(rank), "")
        found.append({place, "tie" if verdict == "not significantly different" else ""} - {""})
    return found


def untested(table: pd.DataFrame) -> str:
    """Why a scenario's entries were not tested against its best, or ""."""
    notes = dict.fromkeys(str(note) for note in table["versus_note"] if isinstance(note, str) and note)
    return f"Not tested against the best: {'; '.join(notes)}." if notes else ""


def to_markdown(table: pd.DataFrame) -> str:
    """GitHub-flavoured tables, one per scenario. Accuracies are percent on test data, mean ± std over seeds."""
    lines = []
    for title, part in titles(table).items():
        lines += [f"### {title}", "", _md_row(headers(part)), "|" + "---|" * len(headers(part))]
        for row, own in zip(display_rows(part), marks(part), strict=True):
            cells = [cell.replace("|", "\\|") for cell in row]
            cells[ACCURACY] += " †" if "tie" in own else ""
            cells[ACCURACY] = f"**{cells[ACCURACY]}**" if "best" in own else cells[ACCURACY]
            cells[ACCURACY] = f"<ins>{cells[ACCURACY]}</ins>" if "second" in own else cells[ACCURACY]
            lines.append(_md_row(cells))
        lines += ["", *_footnotes(part)]
    return "\n".join(lines)


def _footnotes(part: pd.DataFrame) -> list[str]:
    tested = part["p_versus_best"].notna().any()
    notes = [note for note in (f"{LEGEND}." if tested else "", untested(part)) if note]
    return [line for note in notes for line in (note, "")]


def _md_row(cells: list[str] | tuple[str, ...]) -> str:
    return "| " + " | ".join(cells) + " |"


_TEX = str.maketrans({c: "\\" + c for c in "&%$#_{}"} | {"~": r"\textasciitilde{}", "^": r"\^{}", "±": r"$\pm$"} |
                     {"\\": r"\textbackslash{}", "†": r"$\dagger$"})  # fmt: skip


def to_latex(table: pd.DataFrame) -> str:
    """One ``tabular`` per scenario, with the rules of the package booktabs; what the marks mean is a comment above."""
    lines = []
    for title, part in titles(table).items():
        head = " & ".join(text.translate(_TEX) for text in headers(part))
        lines += [
            *(f"% {' '.join(note.split())}" for note in (title, LEGEND, untested(part)) if note),
            rf"\begin{{tabular}}{{rlrrrrlrrrl{'l' * (len(headers(part)) - len(HEADERS))}}}",
            r"\toprule",
            head + r" \\",
            r"\midrule",
        ]
        for row, own in zip(display_rows(part), marks(part), strict=True):
            cells = [cell.translate(_TEX) for cell in row]
            cells[ACCURACY] = rf"\textbf{{{cells[ACCURACY]}}}" if "best" in own else cells[ACCURACY]
            cells[ACCURACY] = rf"\underline{{{cells[ACCURACY]}}}" if "second" in own else cells[ACCURACY]
            cells[ACCURACY] += r"$^\dagger$" if "tie" in own else ""
            lines.append(" & ".join(cells) + r" \\")
        lines += [r"\bottomrule", r"\end{tabular}", ""]
    return "\n".join(lines)


def to_csv(table: pd.DataFrame) -> str:
    """All columns; numbers to six significant digits."""
    text: str = table.to_csv(index=False, float_format="%.6g", lineterminator="\n")
    return text


FORMATS: Mapping[str, Callable[[pd.DataFrame], str]] = {"csv": to_csv, "md": to_markdown, "tex": to_latex}
