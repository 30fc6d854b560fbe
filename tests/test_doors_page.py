"""The page ``docs/doors.md``: what it tells people to write and to run works as it stands there."""

import re
from pathlib import Path

from pfl_bench.data.doors import FORMATS

from .pages import run_shell

PAGE = Path(__file__).parent.parent / "docs" / "doors.md"
TEXT = PAGE.read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def test_the_commands_of_the_page_work_in_their_order(cli, tmp_path):
    said = []
    for language, text in BLOCKS:
        named = re.match(r"# (\S+)\n", text)
        if language == "csv":
            (tmp_path / named[1]).write_text(text.partition("\n")[2], encoding="utf-8")
        elif language == "python" and named:
            (tmp_path / named[1]).write_text(text, encoding="utf-8")
        if language == "sh":
            said += run_shell(text, cli, tmp_path)
    export, both, back, run, imported, table = said
    assert export.count("Written: ") == 1 and both.count("Written: ") == 2
    assert re.search("partition SHA-256 (\\w+)", export)[1] == re.search("partition SHA-256 (\\w+)", back)[1]
    assert "fedavg" in run and "fedavg 81.77" in imported and "FedSomething 90.11" in table
    assert {path.name for path in tmp_path.iterdir()} >= {"exported", "to_fl_bench", "back", "as_json", "from_json"}


def test_every_form_is_on_the_page():
    assert re.findall(r"^\| `([a-z][a-z-]+)` \|", TEXT, re.MULTILINE) == list(FORMATS)
