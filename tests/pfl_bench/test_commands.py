import errno
import subprocess
import sys
from pathlib import Path

import pytest

import pfl_bench
from pfl_bench.commands import exit_status, parser, refuse, run_parsed
from pfl_bench.errors import RequestError


def raising(error: BaseException):
    def act():
        raise error

    return act


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (RequestError("no such\nthing"), 2, "error: no such thing\n"),
        (PermissionError(13, "denied"), 1, "error: PermissionError: [Errno 13] denied\n"),
        (OSError(errno.ENAMETOOLONG, "long"), 2, "error: OSError: [Errno 36] long\n"),
        (KeyboardInterrupt(), 130, ""),
        (BrokenPipeError(), 0, ""),
        (SystemExit(0), 1, "error: something that was loaded called exit(0)\n"),
    ],
)
def test_what_goes_wrong_is_a_line_and_a_status(error, status, said, capsys):
    assert exit_status(raising(error)) == status
    assert capsys.readouterr().err == said.replace("36", str(errno.ENAMETOOLONG))


def test_a_fault_of_our_own_keeps_its_traceback():
    with pytest.raises(KeyError):
        exit_status(raising(KeyError("x")))
    assert (exit_status(lambda: 1), exit_status(lambda: None), exit_status(lambda: "text")) == (1, 0, 0)


@pytest.mark.parametrize(
    "text", ["x" * 10_000, "x " * 10_000, "a" + "y" * 9_000 + " is wrong", "\x1b[31mred\u202e\udcff"]
)
def test_a_line_is_bounded_and_shows_no_control_character(text, capsys):
    assert refuse(text) == 2
    line = capsys.readouterr().err
    assert line.startswith("error: ") and len(line) < 1300 and line[:-1].isprintable()
    assert line.endswith(text[-5:].strip() + "\n") or "\\" in line


def test_an_option_is_not_abbreviated(capsys):
    asked = parser("pfl_bench.x", None)
    asked.add_argument("--accept", action="store_true")
    assert run_parsed(asked, ["--acc"], lambda words: 0) == 2
    assert run_parsed(asked, ["--accept"], lambda words: int(words.accept)) == 1
    assert run_parsed(asked, ["x"], lambda words: 0) == 2 and run_parsed(asked, ["--help"], lambda words: 1) == 0
    said = capsys.readouterr()
    assert "python -m pfl_bench.x" in said.out and said.err.count("error: ") == 2 == said.err.count("\n")


PACKAGE = Path(pfl_bench.__file__).parent
PROGRAMS = [
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
    for path in sorted(PACKAGE.rglob("*.py"))
    if "__main__" in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("module", PROGRAMS)
def test_a_program_that_is_asked_for_help_does_nothing_else(module, tmp_path):
    """Version 1's ``method_pages --help`` made a folder of that name."""
    asked = [sys.executable, "-m", module, "--help"]
    ended = subprocess.run(asked, cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 0 and "sage:" in ended.stdout, ended.stderr
    assert not list(tmp_path.iterdir())
