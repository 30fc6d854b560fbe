"""What a Python source imports, read from its text."""

import ast
from functools import cache


@cache
def imports_of(text: bytes) -> tuple[tuple[tuple[str, ...], int], ...]:
    """What a source imports, as ``a.b.c`` in parts and the number of dots in front; nothing where it is no Python.

    Kept by text: the methods of a suite share their helpers.
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return ()
    found: list[tuple[tuple[str, ...], int]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(tuple(alias.name.split(".")), 0) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = tuple(node.module.split(".")) if node.module else ()
            found += [((*module, alias.name), node.level) for alias in node.names]
        elif isinstance(node, ast.Call) and (name := _named_in_a_call(node)):
            bare = name.lstrip(".")
            found.append((tuple(bare.split(".")), len(name) - len(bare)))
    return tuple(found)


def _named_in_a_call(call: ast.Call) -> str:
    """The module in ``import_module("a.b")`` or ``__import__("a.b")``; "" if it is another call."""
    function = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    first = call.args[0] if call.args else None
    text = first.value if isinstance(first, ast.Constant) else None
    return text if function in ("import_module", "__import__") and isinstance(text, str) else ""
