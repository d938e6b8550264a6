"""The signals that ask a process to stop: Ctrl-C, a scheduler's or a supervisor's, a closed terminal's."""

from __future__ import annotations

import signal

# Slurm sends SIGUSR1 before a job's time is up, where `sbatch --signal=USR1@60` asks for it.
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1")


def stop_signals() -> tuple[signal.Signals, ...]:
    """Returns those that this system has and that are not ignored, as under `nohup` or in a script's background."""
    found = (getattr(signal, name) for name in _NAMES if hasattr(signal, name))
    return tuple(number for number in found if signal.getsignal(number) is not signal.SIG_IGN)
