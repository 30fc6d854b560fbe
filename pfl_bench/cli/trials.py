"""What ``tune`` does once it is known what is asked: runs the trials, and says what was chosen."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pfl_bench import metrics
from pfl_bench.engine.stop import exit_status, name_of
from pfl_bench.running.executors.choice import choose_executor
from pfl_bench.running.reuse import Standing
from pfl_bench.running.tuning.trials import TRIALS_FILE, Trials, Tuned, plan_trials, tune, tuning_ledger
from pfl_bench.spec.options import Options
from pfl_bench.spec.run import RunSpec
from pfl_bench.spec.scenario import Scenario
from pfl_bench.spec.suite import Suite

from .progress import RunProgress
from .signals import named, patiently
from .terminal import make_console, say
from .told import say_failed, say_missing, say_standing


def run_trials(
    suite: Suite, scenario: Scenario, methods: Sequence[str], trials: int, seeds: Sequence[int], out: Path,
    executor: str, lockstep: int | None,
) -> int:  # fmt: skip
    """Run what the ledger does not have and print the choices as TOML. 0 if every trial is there, else 1."""
    planned = plan_trials(suite, scenario, methods, trials, seeds)
    console, ledger = make_console(), tuning_ledger(suite, out)

    def watch(runs: Sequence[RunSpec], standing: Standing) -> RunProgress:
        say_standing(console, standing, ledger)
        return RunProgress(console, runs, set(standing.reused))

    farewell = f"Stopped at once. What ended is kept in {ledger.folder}; the same command goes on from there."
    try:
        with patiently("Stopping: writing checkpoints. Once more stops at once.", farewell):
            tuned = tune(planned, ledger, choose_executor(executor), watch, Options(lockstep=lockstep))
    except KeyboardInterrupt as error:
        interruption = named(error)
        with suppress(OSError):  # the terminal may be gone
            kept = f"what ended is kept in {ledger.folder}; the same command goes on from there."
            say(console, f"{name_of(interruption)}: {kept}")
        return exit_status(interruption)
    at = ", ".join(map(str, seeds))
    print(f"[hyperparameters]  # {scenario.id}, validation {metrics.named(scenario.primary).heading} at seeds {at}")
    for line in chosen(planned, tuned):
        print(line)
    say(console, f"Written: {ledger.folder / TRIALS_FILE}")
    say_failed(console, tuned.failed, ledger)
    say_missing(console, tuned.absent, ledger)
    return 1 if tuned.failed or tuned.absent else 0


def chosen(planned: Sequence[Trials], tuned: Tuned) -> list[str]:
    """A line of TOML per method, or a comment that nothing can be chosen."""
    lines = []
    for method in (trials.method for trials in planned):
        if choice := tuned.choices.get(method):
            pairs = ", ".join(f"{name} = {value}" for name, value in choice.values.items())
            lines.append(f"{method} = {{ {pairs} }}  # {choice.validation_accuracy:.2f} % on validation")
        else:
            lines.append(f"# {method}: no point of its grid was finished, with a score, at every seed")
    return lines
