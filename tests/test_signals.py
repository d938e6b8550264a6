"""Scripts end at once at a signal, whatever they are doing."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

START = """
import os, signal, time
from fmnist_jax.cli.signals import exit_on_signals
exit_on_signals()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    "then",
    [
        "os.kill(os.getpid(), {0}); time.sleep(60)",
        # Whoever takes over is not asked, as it came before.
        "os.kill(os.getpid(), {0}); signal.signal({0}, lambda number, frame: None); time.sleep(60)",
        # Blocked in the main thread, as while something is compiled, a signal comes to another thread.
        "signal.pthread_sigmask(signal.SIG_BLOCK, [{0}]); os.kill(os.getpid(), {0}); time.sleep(60)",
    ],
)
def test_a_signal_ends_the_process_with_one_line(number, then):
    code = START + then.format(int(number))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout) == (128 + number, "")
    assert done.stderr == f"{number.name}: stopped; run the same command again\n"
