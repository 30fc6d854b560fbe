"""``python -m pfl_bench`` and ``pfl-bench``."""

import sys


def main() -> None:
    """Run the command line.

    Exit status: 0 all that was asked for is there, 1 some of it failed, 2 a wrong request; 130, 143 and 129 ended by
    Ctrl-C, SIGTERM and SIGHUP.
    """
    from pfl_bench.cli import signals

    signals.install()
    try:
        from pfl_bench.cli.app import run_command_line

        status = run_command_line(sys.argv[1:])
    except KeyboardInterrupt as error:  # while the program is loaded
        status, line = signals.ending(error)
        signals.say(f"{line}\n".encode())
    signals.ignore()
    sys.exit(status)


if __name__ == "__main__":
    main()
