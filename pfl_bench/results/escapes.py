"""Text of others in each format that we write: shown as what it is, never read as the format's own.

One function per format, and nothing else escapes. HTML is Jinja's autoescape (``report.page``) on ``printable`` text,
JSON in a page is ``report.runs.embedded``, the terminal is ``cli.terminal``.
"""

import re
from typing import Any

from pfl_bench.text import printable


def for_csv(cell: Any) -> Any:
    """A cell that no spreadsheet takes for a formula: a text that starts like one gets an apostrophe in front."""
    if not isinstance(cell, str):
        return cell
    text = printable(cell)
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


_MARKDOWN = re.compile(r"([\\|<>&`*\[\]])|(?<=[a-zA-Z])(:)(?=//)|(?<=\bwww)(\.)|(?<![a-zA-Z0-9])(_)|(_)(?![a-zA-Z0-9])")


def for_markdown(text: str) -> str:
    """Text in a table or a heading: no cell ends, no emphasis, no tag, no link, no picture."""
    return _MARKDOWN.sub(lambda found: "\\" + found[0], printable(text))


_TEX = str.maketrans(
    {c: "\\" + c for c in "&%$#_{}"}
    | {"~": r"\textasciitilde{}", "^": r"\^{}", "\\": r"\textbackslash{}", "<": r"\textless{}", ">": r"\textgreater{}"}
    | {"|": r"\textbar{}", "[": "{[}", "]": "{]}", '"': r"\textquotedbl{}", "±": r"$\pm$"}
    | {"†": r"$\dagger$", "‡": r"$\ddagger$"}
)


def for_latex(text: str) -> str:
    """Text in a LaTeX table: no command, no comment, no argument of the line break before it."""
    return printable(text).translate(_TEX)


def for_plotly(value: Any) -> Any:
    """A figure's data and layout, as nested lists and objects, with every text free of what Plotly takes for tags.

    ``meta`` is not shown: the page filters by it.
    """
    if isinstance(value, str):
        return printable(value).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    if isinstance(value, dict):
        kept = ("meta", "hovertemplate")  # the latter is ours, with a tag that Plotly asks for
        return {key: item if key in kept else for_plotly(item) for key, item in value.items()}
    return [for_plotly(item) for item in value] if isinstance(value, list) else value
