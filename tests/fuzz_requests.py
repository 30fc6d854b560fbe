"""Bad requests by the thousand: ``python -m tests.fuzz_requests --count 2000 --processes 200``.

Each case is one that is wrong for a known reason: options, ``--set`` values, suite files, names, addresses, the
maintainers' programs. Each must end within seconds with exit status 2 and one bounded line on stderr that begins with
``error: ``, and write no file. ``tests/test_fuzz_requests.py`` runs a fixed slice.
"""

import argparse
import collections
import contextlib
import importlib
import io
import os
import random
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

SECONDS, LONGEST = 20, 1300
"""What a refusal may take of a processor's time, and how long its line may be."""

ANALYSES = ("board", "claims", "clusters", "communication", "curves", "embeddings", "novel", "transfer")
MAINTAINERS = "pfl_bench.testing.vouch"
COMMANDS = ("tune", "estimate", "pages", "results merge", "results validate", *(f"analyse {name}" for name in ANALYSES))
"""What is asked for in words of its own, beside ``run``."""

SCENARIO = {
    "id": '"f-v1"', "dataset": '"synthetic:classes=3,n=180"', "partition": '{ rule = "classes", classes = 2 }',
    "clients": "6", "model": '"mlp"', "visits": "20", "local_steps": "10", "batch_size": "8", "eval_every": "5",
}  # fmt: skip

LONG = "x" * 10_000
NO_NUMBERS = ["true", '"5"', "[]", "{}", "[[1]]", '""', "nan", "inf", "-inf", "[1]", '"\u0661"']
NO_COUNTS = [*NO_NUMBERS, "0", "-1", "2.5", "2.0", "1e3", str(10**20), "9" * 400, "-9"]
NO_NAMES = [
    "",
    " ",
    LONG,
    "\N{BELL}",
    "ab\u202ecd",
    "\x1b[31mred",
    "a/b",
    "../a",
    "fedavg;",
    "\uff46edavg",
    "[",
    "*?",
    "'\"",
    "NUL",
]


@dataclass(frozen=True)
class Case:
    """A wrong request: the program's words, files to write first, and what kind of mistake it is."""

    kind: str
    words: tuple[str, ...]
    files: tuple[tuple[str, str | bytes], ...] = ()
    program: str = "pfl_bench"


def _mutated(name: str, rng: random.Random) -> str:
    """The name with a letter added, lost or changed."""
    place = rng.randrange(len(name))
    return name[:place] + rng.choice(["q", "", "Q", "é", " q", "--"]) + "z" + name[place + 1 :]


def options(rng: random.Random) -> Case:
    """A value that an option of ``run`` does not take."""
    wrong = {
        "--seeds": ["٣", "²", "1-", "-", "3-1", "0-1000", "1e3", "0x1", "1;2", "0-999,1000-1999",
                    LONG, "1" * 10, "true"],
        "--workers": ["0", "-1", "1.5", str(10**20), "x", "٣x", "nan", LONG, "true", "[1]"],
        "--device": ["cpu:1", "cuda:", "cuda:-1", "cuda:٣", "cuda:1000", "gpu", "CUDA", "mps:0", "", " cpu", LONG,
                     "cuda:0,1"],
        "--budget-scale": ["1e308", "inf", "nan", "-1", "0", "1e-400", "1e-300", "x", "1,5", LONG, "1e12", "٣x",
                           "0x1p3", "-inf"],
        "--precision": ["fp16", "FP32", "", LONG, "bf16 ", "float32", "fp32,bf16"],
        "--executor": ["rai", "Serial", "", LONG, "ray,serial"],
        "--backend": ["lop", "", "VMAP", LONG, "loop,vmap"],
        "--state": ["dsk", "", "RAM", LONG, "memory,disk"],
        "--track": ["wandb", ",", "tensorbord", LONG, "mlflow;", "tensorboard,,"],
        "--address": ["a", ":1", "a:", "a:b", "a:٣", "a:²", "a:99999", "a:-1", "a:0", "..:1", "a..b:1", "é:1", "http://a:1",
                      "ray://", "ray://a", "[::1", "[::1]:x", f"{LONG}:1", f"{'a' * 64}:1", "a b:1", "127.0.0.1:1"],
        "--suite": [*NO_NAMES, "quik", "none.toml", ".toml", "~nobody_here/s.toml", "/dev/null.toml", "folder.toml"],
        "--scenarios": [*(n for n in NO_NAMES if n != "*?"), "digits", "a,,b", ","],
        "--methods": [*NO_NAMES, "fedavg,", ",", "fedavg fedper", "ALL", "all,fedavg", "fedavg,,local"],
        "--plugin": [LONG, "none.py", "folder.toml", "/dev/zero", "~nobody_here/p.py", "binary.py", ""],
        "--out": ["/proc/none", "/dev/null/x", "taken", "taken/x", LONG, "~nobody_here/x"],
    }  # fmt: skip
    option = rng.choice(list(wrong))
    value = rng.choice(wrong[option])
    if option in ("--methods", "--suite", "--executor", "--backend") and rng.random() < 0.5:
        value = _mutated({"--methods": "fedper", "--suite": "quick"}.get(option, "serial"), rng)
    files = (("folder.toml/x", ""), ("binary.py", b"\xff\xfe\x00"), ("taken", "a file"))
    executor = () if option in ("--executor", "--address") else ("--executor", "serial")
    return Case(f"option {option}", ("run", *executor, f"{option}={value}"), files)


def settings(rng: random.Random) -> Case:
    """A ``--set`` that names nothing, or gives a value of another type or out of range."""
    shapes = ["fedavg", "fedavg.lr", "fedavg.=1", ".lr=1", "=1", "fedavg.lr=", "", "fedavg lr=1", LONG, "fedavg.lr:1"]
    names = [f"{m}.{f}=1" for m in ("fedavgg", "", "FEDAVG", LONG) for f in ("lr", "x")]
    fields = [
        f"fedavg.{f}=1" for f in ("rl", "LR", "lr ", "lr.x", LONG, "\uff4cr", "cohorte", "__class__", "model_config")
    ]
    numbers = [f"fedavg.{f}={v}" for f in ("lr", "momentum", "weight_decay") for v in ("-1", *NO_NUMBERS, "[" * 9999)]
    counts = [f"fedavg.cohort={v}" for v in [*NO_COUNTS, "null", "[" * 9999, "9" * 5000]]
    choices = [f"per_fedavg.variant={v}" for v in ("exact", "1", "true", '"FO"', "null", LONG)]
    others = [f"{m}.lam={v}" for m in ("ditto", "pfedme") for v in (*NO_NUMBERS, "-1")]
    setting = rng.choice(rng.choice([shapes, names, fields, numbers, counts, choices, others]))
    methods = ("--methods", "fedavg,per_fedavg,ditto,pfedme")
    return Case("--set", ("run", "--executor", "serial", *methods, f"--set={setting}"))


def _toml(scenario: dict[str, str], head: str, tail: str) -> str:
    rows = "\n".join(f"{key} = {value}" for key, value in scenario.items())
    return f"{head}\n[[scenario]]\n{rows}\n{tail}\n"


def scenarios(rng: random.Random) -> Case:
    """A suite file whose scenario has a wrong, a missing or an unknown field."""
    texts = ["1", "true", "[1]", "{}", '""', '"nothing"', f'"{LONG}"', '"a\\u0000b"', "[]", '["mlp", 1]', "1979-05-27"]
    ids = ['"con"', '"nul.x"', '"com1"', '"a."', '"A"', f'"{"a" * 101}"', '"a b"', '"../a"', '""', "1", "true", '"é"']
    no_rules = ['"iid"', "{}", "[]", "{ rule = 1 }", "{ rule = true }", '{ rule = "iid", file = "p.npz" }',
                '{ rule = "iid", sha256 = "00" }', '{ file = "none.npz" }', '{ file = "" }', '{ file = "a\\u0000" }',
                '{ file = "none.npz", classes = 2 }', '{ rule = "class" }', '{ rule = "classes" }',
                '{ file = "~nobody_here/p.npz" }', f'{{ file = "{LONG}" }}', '{ rule = "iid", alpha = 1 }',
                *(f'{{ rule = "classes", classes = {v} }}' for v in (*NO_COUNTS, "4")),
                *(f'{{ rule = "dirichlet", alpha = {v} }}' for v in (*NO_NUMBERS, "-1", "0")),
                '{ rule = "classes", classes = 2, variant = "x" }',
                *(f'{{ rule = "iid", quantity = {q} }}' for q in ("1", "{}", "[]", '"power"', '{ law = "zipf" }',
                  '{ law = "dirichlet" }', '{ law = "power", exponent = 0 }', '{ law = "power", min_samples = 9999 }')),
                '{ rule = "pfllib_pat", classes = 9 }', '{ rule = "pfllib_dir", alpha = 0 }',
                '{ rule = "classes", classes = 2, clases = 2 }']  # fmt: skip
    data = [
        "n=²",
        "n=240,n=100",
        "n=-1",
        "n=0",
        "m=1",
        "n",
        "n=1e3",
        "n=٣",
        "classes=0",
        "n=99999999999",
        ",",
        "n=1,,",
        "=",
    ]
    sources = [f'"synthetic:{d}"' for d in data] + ['"npz:"', '"npz:none.npz"', '"npz:text.npz"', '"imagefolder:none"',
               '"npz:~nobody_here/a.npz"', f'"npz:{LONG}"', '"imagefolder:"',
               '"npz:a\\u0000b"', '"imagefolder:a\\u0000b"',
               f'"imagefolder:{LONG}"', '"synthetix"', '"synthetic "', '"npz:/dev/null"', '"mnist"', '"steps.csv"',
               '"csv:none.csv?label=y"', '"leaf:none?shape=8x8"', '"pfllib:none?kind=table"']  # fmt: skip
    wrong = {
        **dict.fromkeys(("clients", "visits", "local_steps", "batch_size", "eval_every", "adapt_every"), NO_COUNTS),
        "clients": [*NO_COUNTS, str(10**9), "37", "600"], "batch_size": [*NO_COUNTS, str(10**9)],
        "local_steps": [*NO_COUNTS, str(10**9)], "adapt_steps": [*NO_COUNTS, str(10**9)],
        "novel": [*NO_NUMBERS, "6", "-1", "2.0"], "budget_scale": [*NO_NUMBERS, "0", "-1", "1e308"],
        "enroll": ["1", "true", "[]", "{}", "{ steps = 1 }", "{ samples = [] }"],
        "id": ids, "dataset": [*texts[:-1], *sources], "partition": no_rules, "model": texts,
        "precision": texts, "batches": texts,
        "shift": [*(text for text in texts[:-1] if text != "[]"),  # which means none
                  "[{}]", "{ rule = \"noise\" }", "[{ rule = 1 }]", '[{ rule = "nose" }]',
                  *(f'[{{ rule = "noise", groups = {v} }}]' for v in (*NO_COUNTS, "7", '"all"')),
                  *(f'[{{ rule = "noise", level = {v} }}]' for v in (*NO_NUMBERS, "-1")),
                  '[{ rule = "noise", levels = [1.0] }]', '[{ rule = "noise", groups = "natural" }]',
                  '[{ rule = "rotation", angle = 1 }]', '[{ rule = "rotation", angles = [0] }]',
                  *(f'[{{ rule = "permutation", moved = {v} }}]' for v in ("1", "4", "true", "2.5"))],
        "availability": [*texts[:3], '"x"', "[]", "{ presnt = 0.5 }",
                         *(f"{{ present = {v} }}" for v in (*NO_NUMBERS, "-1", "0", "1.01")),
                         *(f"{{ present = 0.5, spread = {v} }}" for v in (*NO_NUMBERS, "-1", "1")),
                         *(f"{{ stragglers = {v} }}" for v in (*NO_NUMBERS, "-1", "2")),
                         *(f"{{ stragglers = 0.5, least_work = {v} }}" for v in (*NO_NUMBERS, "-1", "0", "2"))],
    }  # fmt: skip
    field = rng.choice(list(wrong))
    table = dict(SCENARIO)
    kind = rng.random()
    if kind < 0.12:
        field = rng.choice(list(table))
        value = table.pop(field)
        table |= {} if rng.random() < 0.5 else {_mutated(field, rng).replace(" ", "").replace("é", "e"): value}
        mistake = "missing or misspelt field"
    else:
        table[field] = rng.choice(wrong[field])
        mistake = f"field {field}"
        if field == "enroll" and rng.random() < 0.7:
            odd = rng.choice(
                [f"steps = {rng.choice(NO_COUNTS)}", f"samples = [{rng.choice(NO_COUNTS)}]", "samples = []", "step = 1"]
            )
            table |= {"novel": "2", "enroll": f"{{ {odd} }}"}
    text = _toml(table, 'name = "f"', "")
    return Case(f"suite: {mistake}", ("run", "--executor", "serial", "--suite", "f.toml"),
                (("f.toml", text), ("text.npz", "no archive")))  # fmt: skip


def suites(rng: random.Random) -> Case:
    """A suite file that is wrong outside its scenario, or no TOML at all."""
    names = ["1", "true", '""', '"con"', '"NUL.txt"', '"a."', f'"{"a" * 300}"', '"a/b"', '"é"', '"../a"', '" "', "[]"]
    heads = [f"name = {name}" for name in names]
    heads += [
        f'name = "f"\nmethods = {v}' for v in ("1", "true", "[]", "[1]", '["fedavgg"]', '""', '"fedavg,"', "{}", '"x"')
    ]
    heads += [
        f'name = "f"\nseeds = {v}' for v in ("true", '"3-1"', "[]", '["0"]', "[true]", "1.5", "-1", '"٣"', "[-1]", "{}")
    ]
    heads += [f'name = "f"\n{key} = 1' for key in ("sedes", "scenarios", "variants", "hyperparameters", LONG)]
    tables = [
        "5",
        "[1]",
        "{}",
        "{ lr = 0.1 }",
        "[]",
        "[[]]",
        '"x"',
        "[{ lr = true }]",
        '[{ lr = "5" }]',
        "[{ rl = 1 }]",
    ]
    tails = [f"[variants]\nfedavg = {v}" for v in tables] + ["variants = { fedavg = [] }", "[variants]\nfedavgg = [{}]"]
    tails += [
        f"[hyperparameters]\nfedavg = {v}" for v in ("5", "[1]", '"x"', "{ lr = true }", '{ lr = "5" }', "{ rl = 1 }")
    ]
    tails += [f"[hyperparameters]\nfedavg = {{ cohort = {v} }}" for v in NO_COUNTS]
    tails += [f'[hyperparameters_at."{g}"]\nfedavg = {{ lr = 1 }}' for g in ("g*", "", "[", LONG)]
    tails += [
        '[hyperparameters_at]\n"f-*" = 3',
        '[hyperparameters_at."f-*"]\nfedavg = 3',
        "[hyperparameters]\nnope = {}",
    ]
    tails += [f'[seeds_at]\n"f-*" = {v}' for v in ("true", "[]", '"3-1"', "{}", "-1", '"٣"')]
    tails += ['[seeds_at]\n"g*" = 3', "[seeds_at]\n" + '"f-*" = [1, "2"]']
    tails += [f"[search_space]\nfedavg = {v}" for v in ("5", "{}", "{ lr = 0.1 }", "{ lr = [] }", "[1]")]
    broken = [b"", b"\xff\xfe", b"name = ", b"name = 1\nname = 2", b"x = " + b"[" * 9999, b"x = " + b"9" * 5000,
              b'name = "f"\nscenario = [1]', b'name = "f"\nscenario = 5', b'name = "f"\nscenario = []',
              b'name = "f"\nscenario = [[]]', b'name = "f"\nscenario = [{}]', b'name = "f"\n[scenario]\nid = "a"',
              "\ufeffname = ".encode(), 'name = "f"'.encode("utf-16"), b"\x00", b"a" * 5_000_000]  # fmt: skip
    kind = rng.choice(["head", "tail", "no TOML"])
    if kind == "head":
        text: str | bytes = _toml(SCENARIO, rng.choice(heads), "")
    elif kind == "tail":
        text = _toml(SCENARIO, 'name = "f"', rng.choice(tails))
    else:
        text = rng.choice(broken)
    return Case(f"suite: {kind}", ("run", "--executor", "serial", "--suite", "f.toml"), (("f.toml", text),))


def commands(rng: random.Random) -> Case:
    """Another command with words that it does not take."""
    bad = rng.choice([*(n for n in NO_NAMES if n), "quik", "--nonsense", "none"])
    lines = [
        (bad,), ("list",), ("list", bad), ("list", "methods", "methods"), ("check",), ("check", bad),
        ("check", "--model", bad),
        ("check", "fedavg", "--model", "mlp"), ("check", "fedavg,"), ("check", "fedavg", "--data", "digits"),
        ("check", "--model", "mlp", "--data", bad), ("leaderboard", "--suite", bad), ("leaderboard", "--format", bad),
        ("leaderboard", "--format", ""), ("leaderboard", "--format", "csv,"), ("compare",), ("compare", "a"),
        ("compare", bad, bad), ("compare", "a", "b", "c"), ("data",), ("data", bad), ("data", "verify"),
        ("data", "verify", bad), ("data", "prepare", bad), ("data", "verify", "mnist"), ("run", bad),
        ("run", "--seeds"),
        ("run", "--workers"), ("--nonsense",), ("run", "--fresh=1"),
        ("run", "--in-process"), ("data", "verify", "npz:none.npz"),
        ("data", "export"), ("data", "export", bad), ("data", "export", "--suite", bad), ("data", "import"),
        ("data", "export", "digits-classes2-n20-v2", "--to", bad), ("data", "import", "pfllib", bad, "--out", "new"),
        ("data", "export", "digits-classes2-n20-v2", "--seeds", bad), ("data", "import", bad, ".", "--out", "new"),
        ("results",), ("results", bad), ("results", "import"), ("results", "import", bad),
        ("site", bad), ("site", "--docs", bad), ("site", "--out", "/proc/none"), ("site", "none", "none"),
        ("site", "--nope"),
        ("results", "import", "none.csv", "--suite", bad), ("results", "import", "none.h5", "--scenario", bad),
    ]  # fmt: skip
    words = rng.choice(lines)
    if words in (("data",), ("results",)):  # which show their help
        words = (*words, "nonsense")
    name = (
        words[0] if words[0] in ("list", "check", "leaderboard", "compare", "data", "results", "run", "site") else "?"
    )
    return Case(f"command {name}", words)


def programs(rng: random.Random) -> Case:
    """The maintainers' program, or a command of its own words, with words that it does not take."""
    program = rng.choice((*COMMANDS, MAINTAINERS))
    if program == "tune":
        lines = [(), ("quik",), ("quick", "--trials", rng.choice(["0", "x", "1.5", "٣x", str(10**20)])),
                 ("quick", "--seeds", rng.choice(["-1", "x", "0", "2-3", str(10**20)])), ("quick", "quik"),
                 ("quick", "--nope"),
                 ("quick", "--budget-scale", rng.choice(["1e308", "nan", "0", "x"])), ("quick", "--methods", "fedavgg"),
                 ("paper-table1", "--scenarios", "nothing"), ("quick", "--device", "gpu"),
                 ("quick", "--address", "a:1"), ("quick", "--executor", "rai"), ("quick", "--precision", "fp64"),
                 ("quick", "--out", "/proc/none"), ("none.toml",)]  # fmt: skip
    elif program == "estimate":
        lines = [
            ("--suite", "quik"),
            ("--methods", "fedavgg"),
            ("--seeds", "x"),
            ("--nope",),
            ("--workers", "0"),
            ("x",),
        ]
    elif program == "results merge":
        lines = [(), ("none",), ("none", "--into", "x"), ("--into", "x"), ("taken", "--into", "x"), ("a", "--int", "b")]
    elif program == MAINTAINERS:
        lines = [("x",), ("--accep",), ("--accept", "x"), ("--nope",), ("--accept=1",)]
    else:
        lines = [(), ("a", "b"), ("--nope",), ("--nope", "a"), ("none",), (LONG,), ("taken",), ("~nobody_here/x",)]
    words, files = rng.choice(lines), (("taken", "a file"),)
    if program == MAINTAINERS:
        return Case("program vouch", words, files, program)
    return Case(f"program {program}", (*program.split(), *words), files)


PLUGIN = """
from pathlib import Path
from typing import Any, Callable
from pydantic import SecretStr
from pfl_bench.api import MethodConfig, register_method
from pfl_bench.methods.fedavg import FedAvg
@register_method({name}, paper="none")
class Mine(FedAvg):
    class Config(FedAvg.Config):
        {field}
"""


def plugins(rng: random.Random) -> Case:
    """A plug-in that cannot be read or run, or registers what cannot be a method; or an option is wrong beside it."""
    names = ["con", "aux", "nul", "com1", "a" * 101, LONG, "", "A", "a.b", "fedavg", "a b", "é", "../a", "1"]
    fields = [
        "f: Callable = print", "f: Any = object()", "f: Any = float('nan')", "f: Any = {1: 2, (1, 2): 3}",
        "f: Any = (1, 2)", "f: SecretStr = SecretStr('x')", "f: Any = print", "f: object = type", "f: Any = {1}",
        "f: list[Any] = [print]", "f: str = '\\ud800'", "f: int = 1.5", "f: int = True", "f: bytes = b'\\xff'",
    ]  # fmt: skip
    broken: list[str | bytes] = [
        "def f(:", "1/0", "import nothing_like_it", "raise ValueError('a\\nb' * 9999)", b"\xff\xfe",
        "x = " + "(" * 500, "\x00", b"\xef\xbb\xbfdef f(:", "raise KeyError", "(" * 5000,
    ]  # fmt: skip
    made = [
        PLUGIN.format(name=repr(rng.choice(names)), field="pass"),
        PLUGIN.format(name="'mine'", field=rng.choice(fields)),
        rng.choice(broken),
    ]
    return Case(
        "plug-in",
        ("run", "--methods", "mine", "--executor", "serial", "--plugin", "p.py"),
        (("p.py", rng.choice(made)),),
    )


KINDS: dict[Callable[[random.Random], Case], int] = {
    options: 5, settings: 4, scenarios: 6, suites: 4, commands: 3, programs: 2, plugins: 1,
}  # fmt: skip
"""What is made up, and how often."""


def cases(count: int, seed: int) -> Iterator[Case]:
    """As many cases, the same for the same seed."""
    rng = random.Random(seed)
    for _ in range(count):
        yield rng.choices(list(KINDS), list(KINDS.values()))[0](rng)


def faults(status: int, said: str, printed: str, before: set[str], after: set[str]) -> list[str]:
    """What is not as it must be."""
    return [
        name
        for name, wrong in {
            f"status {status}": status != 2,
            "a traceback": "Traceback" in said + printed,
            "no line that begins with 'error: '": not said.startswith("error: "),
            "several lines": said.count("\n") != 1 or "\r" in said,
            "a line without end": len(said) > LONGEST,
            "control characters": not said.rstrip("\n").isprintable(),
            "a table on stdout": bool(printed.strip()),
            f"files: {sorted(after ^ before)[:3]}": before != after,
        }.items()
        if wrong
    ]


def _files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def _too_long(*_: object) -> None:
    raise TimeoutError(f"no answer in {SECONDS} s")


def call(case: Case) -> int:
    """The exit status of a case's program, called as its own module calls it."""
    if case.program == "pfl_bench":
        from pfl_bench.cli.app import run_command_line

        return run_command_line(case.words)
    return int(importlib.import_module(case.program).main(list(case.words)))


def load() -> None:
    """Import what is slow to import, so that no case is charged for it."""
    cli = ("run", "check", "tune", "estimate", "analyse", "pages", "results")
    for module in (*(f"pfl_bench.cli.{name}" for name in cli), MAINTAINERS):
        importlib.import_module(module)


def in_process(case: Case, folder: Path) -> list[str]:
    """Run a case in this process, in an empty folder."""
    out, err, status = io.StringIO(), io.StringIO(), -1
    with _written(case, folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        before = _files(folder)
        previous = signal.signal(signal.SIGPROF, _too_long)
        signal.setitimer(signal.ITIMER_PROF, SECONDS)  # of this process: the machine may have other work
        try:
            status = call(case)
        except BaseException as error:
            print(f"Traceback: {type(error).__name__}: {error}"[:300], file=err)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.signal(signal.SIGPROF, previous)
        found = faults(status, err.getvalue(), out.getvalue(), before, _files(folder))
    return [*found, err.getvalue()[:400]] if found else []


def as_process(case: Case, folder: Path) -> list[str]:
    """Run a case as a process of its own, in an empty folder."""
    with _written(case, folder):
        before = _files(folder)
        root = str(Path(__file__).parents[1])
        words = [sys.executable, "-m", case.program, *case.words]
        environment = {**os.environ, "PYTHONPATH": root, "PYTHONIOENCODING": "utf-8"}
        try:
            done = subprocess.run(words, capture_output=True, text=True, timeout=10 * SECONDS, env=environment)
        except subprocess.TimeoutExpired:
            return ["a hang"]
        found = faults(done.returncode, done.stderr, done.stdout, before, _files(folder))
        return [*found, done.stderr[-400:]] if found else []


@contextlib.contextmanager
def _written(case: Case, folder: Path) -> Iterator[None]:
    with tempfile.TemporaryDirectory(dir=folder) as place, contextlib.chdir(place):
        for name, content in case.files:
            Path(name).parent.mkdir(exist_ok=True)
            Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())
        yield


def main() -> int:
    """Run as many cases as asked for; print the counts by kind and every fault."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--count", type=int, default=1200, help="cases in this process")
    asked.add_argument("--processes", type=int, default=0, help="cases as processes of their own")
    asked.add_argument("--seed", type=int, default=0)
    words = asked.parse_args()
    os.environ["PFL_BENCH_DATA"] = "/nonexistent/pfl-bench-fuzz"
    os.environ["http_proxy"] = os.environ["https_proxy"] = "http://127.0.0.1:9"  # nothing is fetched
    counts: collections.Counter[str] = collections.Counter()
    wrong = 0
    load()
    with tempfile.TemporaryDirectory() as folder:
        for how, count in ((in_process, words.count), (as_process, words.processes)):
            for case in cases(count, words.seed + (how is as_process)):
                counts[f"{how.__name__}: {case.kind}"] += 1
                if found := how(case, Path(folder)):
                    wrong += 1
                    print(
                        "WRONG",
                        case.kind,
                        [word[:80] for word in case.words],
                        [c[-700:] for _, c in case.files[:1]],
                        found,
                    )
    for kind, count in sorted(counts.items()):
        print(f"{count:6} {kind}")
    print(f"{sum(counts.values())} cases, {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
