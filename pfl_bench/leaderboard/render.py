"""The leaderboard as CSV, Markdown, LaTeX and plain columns for the terminal."""

import math
from collections.abc import Callable, Hashable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from .frame import read_runs
from .table import leaderboard

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


def _published(row: Mapping[Hashable, Any]) -> str:
    """``88.38 ± 0.29 (-0.21, inside)``: the published figure, our difference to it, and how to read that."""
    if pd.isna(row["published_mean"]):
        return "-"
    spread = "" if pd.isna(row["published_std"]) else f" ± {row['published_std']:.2f}"
    difference = "" if pd.isna(row["difference"]) else f"{row['difference']:+.2f}, "
    secondary = ", second hand" if row["published_status"] == "secondary" else ""
    return f"{row['published_mean']:.2f}{spread} ({difference}{row['verdict']}{secondary})"


def display_rows(table: pd.DataFrame) -> list[list[str]]:
    """The leaderboard's rows as text under ``headers(table)``; failures stand in the column ``seeds``."""
    rows, published = [], PUBLISHED in headers(table)
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
                *([_published(row)] if published else []),
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


def to_markdown(table: pd.DataFrame) -> str:
    """GitHub-flavoured tables, one per scenario. Accuracies are percent on test data, mean ± std over seeds."""
    lines = []
    for title, part in titles(table).items():
        lines += [f"### {title}", "", _md_row(headers(part)), "|" + "---|" * len(headers(part))]
        lines += [_md_row([cell.replace("|", "\\|") for cell in row]) for row in display_rows(part)]
        lines.append("")
    return "\n".join(lines)


def _md_row(cells: list[str] | tuple[str, ...]) -> str:
    return "| " + " | ".join(cells) + " |"


_TEX = str.maketrans({c: "\\" + c for c in "&%$#_{}"} | {"~": r"\textasciitilde{}", "^": r"\^{}", "±": r"$\pm$"} |
                     {"\\": r"\textbackslash{}"})  # fmt: skip


def to_latex(table: pd.DataFrame) -> str:
    """One ``tabular`` per scenario, with the rules of the package booktabs."""
    lines = []
    for title, part in titles(table).items():
        head = " & ".join(text.translate(_TEX) for text in headers(part))
        lines += [
            f"% {title}",
            rf"\begin{{tabular}}{{rlrrrrlrrrl{'l' * (len(headers(part)) - len(HEADERS))}}}",
            r"\toprule",
            head + r" \\",
            r"\midrule",
        ]
        lines += [" & ".join(cell.translate(_TEX) for cell in row) + r" \\" for row in display_rows(part)]
        lines += [r"\bottomrule", r"\end{tabular}", ""]
    return "\n".join(lines)


def to_csv(table: pd.DataFrame) -> str:
    """All columns; numbers to six significant digits."""
    text: str = table.to_csv(index=False, float_format="%.6g", lineterminator="\n")
    return text


FORMATS: Mapping[str, Callable[[pd.DataFrame], str]] = {"csv": to_csv, "md": to_markdown, "tex": to_latex}


def write_tables(folder: Path, runs: pd.DataFrame, table: pd.DataFrame, formats: tuple[str, ...]) -> list[Path]:
    """Write ``leaderboard.<format>`` and ``runs.csv``, each beside its place and renamed.

    An OSError (a full disk) leaves no half file.
    """
    texts = {f"leaderboard.{name}": FORMATS[name](table) for name in formats} | {"runs.csv": to_csv(runs)}
    written = []
    for name, text in texts.items():
        beside = folder / f".{name}.new"
        try:
            beside.write_text(text, encoding="utf-8")
            written.append(beside.replace(folder / name))
        finally:
            beside.unlink(missing_ok=True)
    return written


def write_leaderboard(folder: Path, formats: tuple[str, ...] = ("csv",)) -> tuple[pd.DataFrame, list[Path]]:
    """Aggregate a ledger and write its tables into its folder. Returns the leaderboard and the files."""
    runs = read_runs(folder)
    table = leaderboard(runs)
    return table, write_tables(folder, runs, table, formats)
