"""The leaderboard as CSV, Markdown and LaTeX."""

from collections.abc import Callable, Mapping, Sequence

import pandas as pd

from .columns import later_keys
from .comparable import UNSHOWN
from .display import ACCURACY, TIED, given_the_data, marks, place_of, text_columns, texts, titles, untested
from .escapes import for_csv, for_markdown
from .latex import LEGEND, to_latex
from .mixtures import MIXED
from .notes import of_rows


def to_markdown(table: pd.DataFrame) -> str:
    """GitHub-flavoured tables, one per scenario. Accuracies are percent on test data, mean ± std over seeds."""
    lines = []
    for title, part in titles(table).items():
        shown = text_columns(part)
        accuracy = place_of(ACCURACY, shown)
        lines += [
            f"### {for_markdown(title)}",
            "",
            _md_row([column.title for column in shown]),
            "|" + "---|" * len(shown),
        ]
        for row, own in zip(texts(part, shown), marks(part), strict=True):
            cells = [for_markdown(cell) for cell in row]
            cells[accuracy] += " †" if "tie" in own else ""
            cells[accuracy] = f"**{cells[accuracy]}**" if "best" in own else cells[accuracy]
            cells[accuracy] = f"<ins>{cells[accuracy]}</ins>" if "second" in own else cells[accuracy]
            lines.append(_md_row(cells))
        lines += ["", *_footnotes(part)]
    return "\n".join(lines)


def _footnotes(part: pd.DataFrame) -> list[str]:
    tested = part["p_versus_best"].notna().any()
    notes = [f"{LEGEND}; {TIED}." if tested else f"{LEGEND}."]
    notes += [for_markdown(note) for note in (given_the_data(part), untested(part), *of_rows(part)) if note]
    return [line for note in notes for line in (note, "")]


def _md_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def to_csv(table: pd.DataFrame) -> str:
    """All columns; numbers to six significant digits."""
    silent = [name for name in (*UNSHOWN, MIXED) if name in table and not table[name].any()]
    silent += [name for name in later_keys() if name in table and table[name].isna().all()]
    shown = table.drop(columns=silent)
    words = [name for name in shown if shown[name].dtype == object or pd.api.types.is_string_dtype(shown[name])]
    shown = shown.assign(**{str(name): shown[name].map(for_csv, na_action="ignore") for name in words})
    text: str = shown.to_csv(index=False, float_format="%.6g", lineterminator="\n")
    return text


FORMATS: Mapping[str, Callable[[pd.DataFrame], str]] = {"csv": to_csv, "md": to_markdown, "tex": to_latex}
