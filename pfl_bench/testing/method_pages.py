"""A short page per method, made from its file: ``python -m pfl_bench.testing.method_pages docs/methods``.

What is sent is measured (one round on the conformance kit's tiny scenario), and what pins the definition is found in
the tests, so a page cannot claim what the code does not do.
"""

import ast
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

from pfl_bench.commands import folder_program
from pfl_bench.engine.method import Method
from pfl_bench.errors import RequestError
from pfl_bench.registry import METHODS
from pfl_bench.spec.run import make_config
from pfl_bench.spec.suite import builtin_suites

from .harness import Harness

HOOKS = {
    "global_params": "global",
    "client_params": "received",
    "adapt": "adapted",
    "enroll": "a new client",
    "client_vectors": "what the server knows of a client",
}


def page(name: str, tests: Path) -> str:
    """Markdown: paper, definition, what is evaluated when, traffic, hyper-parameters, and the tests that pin it."""
    cls: type[Method] = METHODS.get(name)
    config = make_config(name, {}, "page")
    lines = [
        f"# {name}",
        "",
        f"Paper: {METHODS.entry(name).info['paper']}.",
        "",
        inspect.cleandoc(cls.__doc__ or ""),
        "",
    ]
    lines += [f"Clients per round: {config.cohort}. Official moment: **{cls.moment}**.", ""]
    lines += ["## What is evaluated, and when", ""]
    lines += [f"- {what}: {_first(getattr(cls, hook))}" for hook, what in HOOKS.items() if cls.defines(hook)]
    if not cls.defines("enroll"):
        lines.append("- a new client: the method has no rule for it")
    down, up, size = traffic(name)
    lines += ["", "## What is sent", ""]
    lines += [f"Per client visit, in multiples of the client model: {down:.4g} down, {up:.4g} up.", ""]
    lines += [f"(Measured in the first round with an MLP of {size} weights.)", ""]
    lines += ["## Hyper-parameters", "", "| field | default | meaning |", "|---|---|---|"]
    for field, info in cls.Config.model_fields.items():
        lines.append(f"| {field} | {getattr(config, field)} | {info.description or ''} |")
    if chosen := list(choices(name)):
        lines += ["", "What the suites set instead:", "", "| suite | scenarios | values |", "|---|---|---|"]
        lines += [f"| {suite} | {where} | {values} |" for suite, where, values in chosen]
    lines += ["", "## What pins it", ""]
    lines += [f"- `{where}`: {said}" for where, said in pins(name, tests)]
    lines += ["- every check of the conformance kit (`tests/methods/test_conformance.py`)", ""]
    return "\n".join(lines)


def traffic(name: str) -> tuple[float, float, int]:
    """Floats down and up per client visit in the first round, as multiples of the client model; and its size."""
    harness = Harness(name)
    clients = min(harness.spec.config.cohort, harness.fed.clients)
    harness.round(*range(clients))
    per_visit = 4 * harness.group.model.size * clients
    return harness.costs.bytes_down / per_visit, harness.costs.bytes_up / per_visit, harness.group.model.size


def choices(name: str) -> Iterator[tuple[str, str, str]]:
    """The values that built-in suites give a method, as suite, scenarios and ``field = value``; one per variant."""
    for suite in builtin_suites().values():
        everywhere = [("all", suite.hyperparameters.get(name, {}))]
        everywhere += [(f"`{glob}`", by_method.get(name, {})) for glob, by_method in suite.hyperparameters_at.items()]
        everywhere += [("all, a variant", values) for values in suite.variants.get(name, ())]
        for where, values in everywhere:
            if values:
                yield suite.name, where, ", ".join(f"{field} = {value}" for field, value in values.items())


def pins(name: str, tests: Path) -> Iterator[tuple[str, str]]:
    """Tests in ``tests/methods`` that mention the method, with what they say they show."""
    for path in sorted(tests.glob("methods/test_*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if not isinstance(node, ast.FunctionDef) or not node.name.startswith("test_"):
                continue
            constants = {n.value for n in ast.walk(node) if isinstance(n, ast.Constant)}
            if name in constants:
                said = " ".join((ast.get_docstring(node) or "").split()) or node.name[5:].replace("_", " ")
                yield f"{path.relative_to(tests.parent)}::{node.name}", said.rstrip(".")


def _first(function: object) -> str:
    return " ".join(inspect.getdoc(function).split()) if inspect.getdoc(function) else ""  # type: ignore[union-attr]


def write_pages(folder: Path, tests: Path = Path("tests")) -> None:
    """Write a page per registered method and an index. RequestError where the tests are not to be found."""
    if not (tests / "methods").is_dir():
        raise RequestError(f"{str(tests)!r} has no folder 'methods'; write the pages from the project's root")
    folder.mkdir(parents=True, exist_ok=True)
    for name in METHODS.names():
        (folder / f"{name}.md").write_text(page(name, tests), encoding="utf-8")
    index = [f"- [{name}]({name}.md): {METHODS.entry(name).info['paper']}" for name in METHODS.names()]
    (folder / "README.md").write_text("# Methods\n\n" + "\n".join(index) + "\n", encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Run the command line and return the exit status."""
    name = "pfl_bench.testing.method_pages"
    return folder_program(name, __doc__, write_pages, arguments, "where the pages are to lie, such as docs/methods")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
