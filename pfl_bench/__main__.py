"""``python -m pfl_bench`` and ``pfl-bench``."""

import sys


def main() -> None:
    """Run the command line. Exit status: 0 all well, 1 some runs failed, 2 a wrong request, 130 interrupted."""
    from pfl_bench.cli.app import run_command_line

    sys.exit(run_command_line(sys.argv[1:]))


if __name__ == "__main__":
    main()
