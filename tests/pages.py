"""Shell blocks of a page in docs/, run as a reader would."""

import runpy
import shlex
from pathlib import Path


def run_shell(text, cli, folder: Path) -> list[str]:
    """Run each line: ``python -m pfl_bench ...`` by ``cli``, whose outputs are returned, or a program in ``folder``."""
    said = []
    for line in text.splitlines():
        program, *arguments = shlex.split(line)
        assert program == "python"
        if arguments[:2] == ["-m", "pfl_bench"]:
            status, out, error = cli(*arguments[2:])
            assert status == 0, error
            said.append(out)
        else:
            runpy.run_path(str(folder / arguments[0]))
    return said
