"""``python -m pfl_bench`` and ``pfl-bench``."""

import os
import sys


def main() -> None:
    """Run the command line.

    Exit status: 0 all that was asked for is there, 1 some of it failed or is missing, 2 a wrong request; 130, 143 and
    129 ended by Ctrl-C, SIGTERM and SIGHUP. With ``--no-wait`` what other drivers are computing counts as there.
    """
    # as every worker has it: SciPy's BLAS on more threads takes longer for small matrices, and its sums depend on it
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from pfl_bench.cli import signals

    def program() -> int:
        from pfl_bench.cli.app import run_command_line

        return run_command_line(sys.argv[1:])

    signals.run_to_the_end(program)


if __name__ == "__main__":
    main()
