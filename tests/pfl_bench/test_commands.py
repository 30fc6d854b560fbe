import errno

import pytest

from pfl_bench.commands import exit_status, folder_program, parser, refuse, run_parsed
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


def test_a_program_on_a_folder(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    seen: list = []

    def run(*words: str) -> int:
        return folder_program("pfl_bench.x", "What it does.", seen.append, words, "the folder")

    assert run("~/r") == 0 and seen == [tmp_path / "r"]
    assert run("--help") == 0 and "What it does." in capsys.readouterr().out and len(seen) == 1
    for words, said in {(): "arguments are required: folder", ("a", "b"): "unrecognized arguments: b"}.items():
        assert run(*words) == 2
        line = capsys.readouterr().err
        assert line.startswith("error: ") and said in line and line.count("\n") == 1 and "python -m pfl_bench.x" in line
    assert len(seen) == 1


def test_an_option_is_not_abbreviated(capsys):
    asked = parser("pfl_bench.x", None)
    asked.add_argument("--accept", action="store_true")
    assert run_parsed(asked, ["--acc"], lambda words: 0) == 2
    assert run_parsed(asked, ["--accept"], lambda words: int(words.accept)) == 1
