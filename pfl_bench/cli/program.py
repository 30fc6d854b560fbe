"""What carries the commands: errors as one line, and interruptions that pass the parser."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
import typer.core
import typer.main

from pfl_bench.commands import WRONG, exit_status, refuse
from pfl_bench.errors import RequestError

from .signals import ending
from .terminal import speak_plainly

NAMING = ("--suite", "--methods", "--method", "--scenarios", "--out")
"""Options by which some commands are told what others take as an argument."""


class _Interrupted(BaseException):
    """A KeyboardInterrupt on its way past the parser, which would keep nothing of it but status 130."""

    def __init__(self, interruption: KeyboardInterrupt) -> None:
        super().__init__(interruption)
        self.interruption = interruption


class _Heard:
    """Commands whose interruption, while arguments are read or work is done, passes the parser."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """Read the arguments."""
        with _carried():
            return super().make_context(*args, **kwargs)  # type: ignore[misc]

    def invoke(self, ctx: Any) -> Any:
        """Do the work."""
        with _carried():
            return super().invoke(ctx)  # type: ignore[misc]


class Commands(_Heard, typer.core.TyperGroup):
    """A program of several commands."""


@contextmanager
def _carried() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt as interruption:
        raise _Interrupted(interruption) from interruption


def run_program(program: typer.Typer, arguments: Sequence[str], name: str) -> int:
    """Execute one command and return its exit status; a wrong request, also in the parser's eyes, becomes one line on
    stderr and 2."""

    speak_plainly()

    def work() -> object:
        try:
            return _parse_and_run(program, arguments, name)
        except (_Interrupted, KeyboardInterrupt, typer.Abort) as error:
            own = error.interruption if isinstance(error, _Interrupted) else error
            status, line = ending(own if isinstance(own, KeyboardInterrupt) else KeyboardInterrupt())
            return refuse(line, status, kind="")

    return exit_status(work)


def _parse_and_run(program: typer.Typer, arguments: Sequence[str], name: str) -> object:
    try:
        Path.cwd()
    except FileNotFoundError as error:
        raise RequestError("the working directory is not there any more; change to one that is") from error
    try:
        command = typer.main.get_command(program)
        return command.main(args=list(arguments), prog_name=name, standalone_mode=False)
    except typer.Exit as stop:
        return stop.exit_code
    except Exception as error:
        if not hasattr(error, "format_message"):  # not a complaint of the command-line parser
            raise
        if message := error.format_message():
            raise RequestError(message + _meant(error)) from error
        return WRONG  # it has shown the help


def _meant(error: Any) -> str:
    """What would be right where a command was given an argument for an option, or an option for an argument."""
    context = getattr(error, "ctx", None)
    if context is None or isinstance(context.command, typer.core.TyperGroup):
        return ""
    command = context.command
    if "unexpected extra argument" in error.format_message():
        own = {name for each in command.params for name in each.opts}
        named = [name for name in NAMING if name in own]
        return f"; '{command.name}' is told by an option: {', '.join(named)}" if named else ""
    if getattr(error, "option_name", "") in NAMING:
        placed = [each.metavar or each.name.upper() for each in command.params if each.param_type_name == "argument"]
        return f"; '{command.name}' takes it without an option: {' '.join([command.name, *placed])}" if placed else ""
    return ""
