"""How the program ends when it is told to, step by step; each case in a process of its own, without torch."""

import os
import signal
import subprocess
import sys

import pytest

HEAD = """
import os, signal, sys, time
from pfl_bench.cli import signals
from pfl_bench.engine import stop
signals.PATIENCE_SECONDS = signals.ECHO_SECONDS = 0.2
signal.signal(signal.SIGINT, signal.default_int_handler)  # nohup and a shell's & make them ignored
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signals.install()

def wait(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.01)
"""
CASES = {
    "nothing is computed": ("""
try:
    os.kill(os.getpid(), signal.SIGHUP)
    wait(1)
except stop.Stopped as error:
    os.kill(os.getpid(), signal.SIGHUP)  # an echo
    signals.ignore()  # as run_to_the_end does: an interpreter that is slow to leave would be ended by the alarm
    sys.exit(stop.exit_status(error))
""", 129, ""),
    "asked, in time": ("""
with signals.patiently("stopping", "leaving"):
    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGINT)
    wait(0.1)
    assert stop.asked()
assert not stop.asked()
signals.ignore()
wait(0.5)
sys.exit(7)
""", 7, "stopping"),
    "asked, and too slow": ("""
with signals.patiently("stopping", "leaving"):
    os.kill(os.getpid(), signal.SIGTERM)
    try:
        wait(5)
    except KeyboardInterrupt as error:
        signals.ignore()
        sys.exit(stop.exit_status(error))
""", 143, "stopping"),
    "asked, and deaf": ("""
with signals.patiently("stopping", "leaving"):
    os.kill(os.getpid(), signal.SIGTERM)
    while True:
        try:
            wait(5)
        except KeyboardInterrupt:
            pass
""", 143, "stopping leaving"),
    "three times, for the impatient": ("""
signals.PATIENCE_SECONDS = 30
with signals.patiently("stopping", "leaving"):
    for _ in range(3):
        try:
            os.kill(os.getpid(), signal.SIGINT)
            wait(0.3)
        except KeyboardInterrupt:
            wait(0.3)
""", 130, "stopping leaving"),
    "another's exception": ("""
with signals.patiently("stopping", "leaving"):
    os.kill(os.getpid(), signal.SIGTERM)
    signals.ignore()
    sys.exit(stop.exit_status(signals.named(KeyboardInterrupt())))
""", 143, "stopping"),
    "a fork": ("""
child = os.fork()
if child == 0:
    wait(5)
    os._exit(0)
wait(0.1)
os.kill(child, signal.SIGTERM)
sys.exit(100 + os.WTERMSIG(os.waitpid(child, 0)[1]))
""", 115, ""),
}  # fmt: skip


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="no alarms here")
@pytest.mark.parametrize("case", CASES)
def test_each_step(case):
    program, status, said = CASES[case]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    done = subprocess.run(
        [sys.executable, "-c", HEAD + program], capture_output=True, text=True, timeout=60, env=environment
    )
    assert (done.returncode, " ".join((done.stdout + done.stderr).split())) == (status, said)


def test_a_signal_that_is_ignored_stays_ignored():
    program = HEAD.replace("signals.install()", "signal.signal(signal.SIGHUP, signal.SIG_IGN); signals.install()")
    ending = "os.kill(os.getpid(), signal.SIGHUP); sys.exit(3)"
    assert subprocess.run([sys.executable, "-c", program + ending], timeout=60).returncode == 3
