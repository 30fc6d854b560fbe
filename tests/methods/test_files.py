"""The methods' files as text: short, and nothing in them twice."""

import ast
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "methods"
WINDOW = 6


def lines_of(path: Path) -> list[str]:
    """Lines with something on them, without indentation; what is imported is no logic and does not count."""
    text = path.read_text(encoding="utf-8")
    imports = [node for node in ast.parse(text).body if isinstance(node, ast.Import | ast.ImportFrom)]
    idle = {number for node in imports for number in range(node.lineno, (node.end_lineno or node.lineno) + 1)}
    lines = enumerate(text.splitlines(), 1)
    return [line.strip() for number, line in lines if line.strip() and number not in idle]


def duplicated(files: dict[str, list[str]]) -> dict[str, int]:
    """Per file, the lines in a window of ``WINDOW`` lines that is there more than once, in it or elsewhere."""
    places: dict[tuple[str, ...], list[tuple[str, int]]] = {}
    for name, lines in files.items():
        for start in range(len(lines) - WINDOW + 1):
            places.setdefault(tuple(lines[start : start + WINDOW]), []).append((name, start))
    copied = {(n, s + k) for found in places.values() if len(found) > 1 for n, s in found for k in range(WINDOW)}
    return {name: sum(of == name for of, _ in copied) for name in files}


def test_hardly_a_line_is_a_copy():
    files = {path.name: lines_of(path) for path in FOLDER.glob("*.py")}
    found = duplicated(files)
    assert sum(found.values()) <= 0.03 * sum(map(len, files.values())), {n: k for n, k in found.items() if k}


def test_copies_are_found():
    one = [f"line {n}" for n in range(10)]
    assert duplicated({"a": one, "b": ["x", *one[2:8], "y"], "c": one[:5]}) == {"a": 6, "b": 6, "c": 0}


def test_files_are_short():
    sizes = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in FOLDER.glob("[!_]*.py")}
    assert max(sizes.values()) <= 150
