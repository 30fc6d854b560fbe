"""For maintainers: which shipped sources are not in ``lineage.toml``; ``python -m pfl_bench.testing.vouch --accept``.

A change that leaves a method's numbers as they are is accepted here, after runs of before and after were compared bit
by bit. A change of its numbers raises the method's ``version`` instead, and starts its file's list anew.
"""

import sys
import tomllib
from importlib import resources
from pathlib import Path

from pfl_bench.commands import parser, run_parsed
from pfl_bench.results.lineage import is_vouched, vouched
from pfl_bench.running.sources import shipped_hashes


def missing() -> dict[str, str]:
    """Present hashes of shipped files that nobody has vouched for."""
    return {file: sha256 for file, sha256 in shipped_hashes().items() if not is_vouched(file, sha256)}


def accept(new: dict[str, str], path: Path) -> None:
    """Enter hashes into ``lineage.toml``."""
    text = path.read_text(encoding="utf-8")
    comment = text[: text.index("[files]")]
    files = {file: list(hashes) for file, hashes in tomllib.loads(text)["files"].items()}
    for file, sha256 in new.items():
        files.setdefault(file, []).append(sha256)
    lines = [f"{comment}[files]"]
    for file in sorted(files):
        lines += [f'"{file}" = [', *(f'    "{sha256}",' for sha256 in files[file]), "]"]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    vouched.cache_clear()


def report(accepting: bool) -> int:
    """Print what is missing; with ``accepting`` enter it. Status 1 if something is missing still."""
    new = missing()
    if accepting:
        accept(new, Path(str(resources.files("pfl_bench.results").joinpath("lineage.toml"))))
        new = missing()
    for file, sha256 in new.items():
        print(f"{file}: {sha256} is not in lineage.toml")
    return 1 if new else 0


def main(arguments: list[str]) -> int:
    """Run the command line and return the exit status."""
    asked = parser("pfl_bench.testing.vouch", __doc__)
    asked.add_argument("--accept", action="store_true", help="enter what is missing")
    return run_parsed(asked, arguments, lambda words: report(words.accept))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
