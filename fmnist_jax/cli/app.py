"""Runs a script's `main` and turns how it ended into an exit code.

0: done. 2: the user's error, one line on stderr. 130, 143: stopped by SIGINT, SIGTERM. 141: the reader of the output
has gone.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from absl import app, logging
from absl import flags as absl_flags

from fmnist_jax.cli import flags
from fmnist_jax.cli.signals import exit_on_signals
from fmnist_jax.errors import UserError

USER_ERROR = 2


def run(main: Callable[[Sequence[str]], None]) -> NoReturn:
    """Parses the flags, calls `main(arguments)` and exits; never returns."""
    exit_on_signals()
    app.run(lambda argv: _call(main, argv[1:]), flags_parser=_parse)
    raise AssertionError("app.run returned")


def _parse(argv: Sequence[str]) -> list[str]:
    try:
        return flags.parse(argv)
    except UserError as error:
        _fail(str(error))


def _call(main: Callable[[Sequence[str]], None], arguments: Sequence[str]) -> None:
    # Imported late, for a quick --help.
    import jax

    from fmnist_jax.runtime import compiler
    from fmnist_jax.runtime.devices import use_all_cores
    from fmnist_jax.train.interrupts import Interrupted

    if not absl_flags.FLAGS["verbosity"].present:
        _quiet()
    compiler.enable_cache()
    use_all_cores()
    try:
        main(arguments)
        sys.stdout.flush()
    except UserError as error:
        _fail(str(error))
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        _fail(f"out of memory ({error}); compute less at once, as with a smaller --config.train.batch_size")
    except Interrupted as stop:
        print(f"{stop}; run the same command again to resume", file=sys.stderr)
        _stop(stop.exit_code, immediate=stop.immediate)
    except BrokenPipeError:
        # The reader of the output, such as `head`, has ended: print nothing more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)


def _quiet() -> None:
    """Silences the libraries' own log messages."""
    logging.set_verbosity(logging.WARNING)
    # Orbax, which logs through absl, also logs the tracebacks of errors that it raises.
    logging.get_absl_logger().setLevel("CRITICAL")


def _stop(exit_code: int, *, immediate: bool) -> NoReturn:
    if immediate:
        # An ordinary exit waits for the computation that is still running.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(exit_code)
    sys.exit(exit_code)


def _fail(message: str) -> NoReturn:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(USER_ERROR)
