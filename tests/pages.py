"""Shell blocks of a page in docs/, run as a reader would."""

import runpy
import shlex
from pathlib import Path


def run_shell(text, cli, folder: Path) -> list[str]:
    """Run each line: ``pfl-bench ...`` or ``python -m pfl_bench ...`` by ``cli``, whose outputs are returned, or a
    program in ``folder``."""
    said = []
    for line in text.splitlines():
        program, *arguments = shlex.split(line)
        if program == "pfl-bench":
            program, arguments = "python", ["-m", "pfl_bench", *arguments]
        assert program == "python"
        if arguments[:2] == ["-m", "pfl_bench"]:
            status, out, error = cli(*arguments[2:])
            assert status == 0, error
            said.append(out)
        else:
            runpy.run_path(str(folder / arguments[0]))
    return said
