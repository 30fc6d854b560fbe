"""Whether this process was asked to stop.

A signal concerns the whole process, and so does this: whoever hears one calls ``ask``; the simulator looks at the end
of every round, leaves a checkpoint and ends; executors start nothing more; and who waits for results gets ``Stopped``.
"""

import signal


class Stopped(KeyboardInterrupt):
    """The work ended early because a signal, of this ``number``, asked for it."""

    def __init__(self, number: int = signal.SIGINT) -> None:
        super().__init__(number)
        self.number = number


_asked: list[int] = []


def ask(number: int = signal.SIGINT) -> None:
    """Ask this process to stop, because of a signal; the first one counts."""
    _asked.append(number)


def asked() -> bool:
    """Whether somebody did."""
    return bool(_asked)


def forget() -> None:
    """Take it back: what comes next is another piece of work."""
    _asked.clear()


def raise_if_asked() -> None:
    """Stopped if somebody asked."""
    if _asked:
        raise Stopped(_asked[0])


def hear(*numbers: int) -> None:
    """Let these signals ask. For worker processes; the program itself does more (``pfl_bench.cli.signals``)."""
    for number in numbers:
        signal.signal(number, lambda number, _: ask(number))


def exit_status(interruption: KeyboardInterrupt) -> int:
    """What a shell expects of a program that a signal ended: 130 for Ctrl-C, 143 for SIGTERM, 129 for SIGHUP."""
    return 128 + (interruption.number if isinstance(interruption, Stopped) else signal.SIGINT)


def name_of(interruption: KeyboardInterrupt) -> str:
    """What happened, in words."""
    number = exit_status(interruption) - 128
    return "Interrupted" if number == signal.SIGINT else f"Stopped by {signal.Signals(number).name}"
