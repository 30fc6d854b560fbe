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
        try:
            from pfl_bench.cli.app import run_command_line
        except ModuleNotFoundError as error:
            if error.name is None or error.name.partition(".")[0] == "pfl_bench":
                raise
            print(_not_installed(error.name), file=sys.stderr)
            return 2
        return run_command_line(sys.argv[1:])

    signals.run_to_the_end(program)


def _not_installed(module: str) -> str:
    return (
        f"error: {module} is not installed for {sys.executable}: `make run` makes an environment in .venv "
        "(source .venv/bin/activate), and pip install -e . in the project's folder installs what is needed"
    )


if __name__ == "__main__":
    main()
