import os

import pytest

from pfl_bench.errors import RequestError
from pfl_bench.files import LONGEST_NAME, check_name, expanded, read_text


@pytest.mark.parametrize("name", ["con", "NUL", "aux.txt", "com1", "Lpt9.x", "a.", "a ", "x" * (LONGEST_NAME + 1)])
def test_names_that_some_file_system_does_not_take(name):
    with pytest.raises(RequestError, match="^method name 'x*") as caught:
        check_name(name, "method name")
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize("name", ["fedavg", "console", "con-s0-1", "a.b", "com", "com10", "x" * LONGEST_NAME])
def test_names_that_all_take(name):
    check_name(name, "method name")


def test_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert expanded("~/x") == tmp_path / "x"
    assert str(expanded("a/~b")) == os.path.join("a", "~b")  # noqa: PTH118
    with pytest.raises(RequestError, match="'~nobody_here/x': there is no such home folder"):
        expanded("~nobody_here/x")


def test_text_with_and_without_a_byte_order_mark(tmp_path):
    for content in (b"\xef\xbb\xbfname = 1", b"name = 1"):
        (tmp_path / "t").write_bytes(content)
        assert read_text(tmp_path / "t", "file") == "name = 1"


def test_what_is_no_text_is_one_line(tmp_path):
    (tmp_path / "latin").write_bytes(b"caf\xe9")
    (tmp_path / "big").write_bytes(b"a" * (2**22 + 1))
    os.mkfifo(tmp_path / "pipe")
    cases = {"latin": r"not UTF-8 \(byte 0xe9 at position 3\)", "big": "4194305 bytes, more than", "pipe": "no file",
             "": "no file", "none": "there is no such file", "a\0b": "null byte"}  # fmt: skip
    for name, said in cases.items():
        with pytest.raises(RequestError, match=f"^suite file .* cannot be read: .*{said}") as caught:
            read_text(tmp_path / name, "suite file")
        assert "\n" not in str(caught.value)
