"""A short page per method, made from its file: ``pfl-bench pages docs/methods``.

What is sent is measured (one round on the conformance kit's tiny scenario), and what pins the definition is found in
the tests, so a page cannot claim what the code does not do.
"""

import inspect
from collections.abc import Iterator
from pathlib import Path

from pfl_bench.engine.method import Method
from pfl_bench.errors import RequestError
from pfl_bench.registry import METHODS
from pfl_bench.spec.run import make_config
from pfl_bench.spec.suite import builtin_suites

from .method_figures import figures_section
from .method_index import first_words, index, measure, pins

HOOKS = {
    "global_params": "global",
    "client_params": "received",
    "adapt": "adapted",
    "enroll": "a new client",
    "client_vectors": "what the server knows of a client",
    "client_clusters": "the cluster of a client",
}


def page(name: str, tests: Path) -> str:
    """Markdown: paper, definition, what is evaluated when, traffic, hyper-parameters, published figures,
    and the tests that pin it."""
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
    family = METHODS.entry(name).info.get("family", "")
    lines += [
        f"Family: {family}. " * bool(family)
        + f"Clients per round: {config.cohort}. Official moment: **{cls.moment}**.",
        "",
    ]
    lines += ["## What is evaluated, and when", ""]
    lines += [f"- {what}: {first_words(getattr(cls, hook))}" for hook, what in HOOKS.items() if cls.defines(hook)]
    if not cls.defines("enroll"):
        lines.append("- a new client: the method has no rule for it")
    moved = measure(name)
    lines += ["", "## What is sent, and what is kept", ""]
    lines += [f"Per client visit, in multiples of the client model: {moved.down:.4g} down, {moved.up:.4g} up.", ""]
    lines += [f"Between visits: {moved.own:.4g} per client, {moved.shared:.4g} for all together.", ""]
    lines += [f"(Measured in one round with an MLP of {moved.size} weights.)", ""]
    lines += ["## Hyper-parameters", "", "| field | default | meaning |", "|---|---|---|"]
    for field, info in cls.Config.model_fields.items():
        lines.append(f"| {field} | {getattr(config, field)} | {info.description or ''} |")
    if chosen := list(choices(name)):
        lines += ["", "What the suites set instead:", "", "| suite | values |", "|---|---|"]
        lines += [f"| {suite} | {values} |" for suite, values in chosen]
    lines += ["", *figures_section(name), "## What pins it", ""]
    lines += [f"- `{where}`: {said}" for where, said in pins(name, tests)]
    lines += ["- every check of the conformance kit (`tests/methods/test_conformance.py`)", ""]
    return "\n".join(lines)


def choices(name: str) -> Iterator[tuple[str, str]]:
    """The values that built-in suites give a method, a line per suite: ``field = value``, and where, if not in all."""
    for suite in builtin_suites().values():
        everywhere = [("", suite.hyperparameters.get(name, {}))]
        everywhere += [(f"`{glob}`: ", by_method.get(name, {})) for glob, by_method in suite.hyperparameters_at.items()]
        everywhere += [("a variant: ", values) for values in suite.variants.get(name, ())]
        told = [
            where + ", ".join(f"{field} = {value}" for field, value in values.items())
            for where, values in everywhere
            if values
        ]
        if told:
            yield suite.name, "; ".join(told)


def write_pages(folder: Path, tests: Path = Path("tests")) -> None:
    """Write a page per registered method and an index. RequestError where the tests are not to be found."""
    if not (tests / "methods").is_dir():
        raise RequestError(f"{str(tests)!r} has no folder 'methods'; write the pages from the project's root")
    folder.mkdir(parents=True, exist_ok=True)
    for name in METHODS.names():
        (folder / f"{name}.md").write_text(page(name, tests), encoding="utf-8")
    (folder / "README.md").write_text(index(tests), encoding="utf-8")
