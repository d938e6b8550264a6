"""Runs a command's `main` and turns how it ended into an exit code, also at a signal that asks to stop.

0: done. 2: the user's error, one line on stderr. 128 + its number: stopped by a signal, so 130 by SIGINT. 141: the
reader of the output has gone.
"""

from __future__ import annotations

import functools
import io
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from types import FrameType
from typing import NoReturn, TypeAlias

from absl import app, logging
from absl import flags as absl_flags

from fmnist_jax.cli import flags
from fmnist_jax.errors import UserError
from fmnist_jax.runtime.signals import stop_signals

_ending = threading.Lock()


Main: TypeAlias = Callable[[Sequence[str]], None]


def run(main: Main, argv: list[str] | None = None, *, needs_jax: bool = True) -> NoReturn:
    """Parses the flags in `argv`, by default `sys.argv`, calls `main(arguments)` and exits; never returns.

    **Arguments:**

    - `needs_jax`: whether to set JAX up, which takes a second.
    """
    _use_utf8()
    _prepare_output()
    exit_on_signals()
    call = functools.partial(_call_with_jax, main) if needs_jax else main
    app.run(lambda argv: _call(call, argv[1:]), argv, flags_parser=_parse)
    raise AssertionError("app.run returned")


def _use_utf8() -> None:
    """Starts this process anew in Python's UTF-8 mode where the locale's paths have another encoding, such as ASCII.

    Orbax and TensorStore take paths as UTF-8, whatever the locale.
    """
    if sys.getfilesystemencoding() != "utf-8":
        os.environ["PYTHONUTF8"] = "1"  # also for its children
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])


def _prepare_output() -> None:
    """Makes writing never fail for want of a stream, an encoding or a screen."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:  # closed by the shell: the next file opened would take its number
            setattr(sys, name, os.fdopen(os.dup2(os.open(os.devnull, os.O_WRONLY), number), "w"))
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    os.environ["MPLBACKEND"] = "agg"  # plots are files; a notebook's own backend may not be installed here


def _parse(argv: Sequence[str]) -> list[str]:
    try:
        return flags.parse(argv)
    except UserError as error:
        _fail(str(error))


def _call(main: Main, arguments: Sequence[str]) -> None:
    try:
        main(arguments)
        sys.stdout.flush()
    except UserError as error:
        _fail(str(error))
    except BrokenPipeError:
        # The reader of the output, such as `head`, has ended: print nothing more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)


def _call_with_jax(main: Main, arguments: Sequence[str]) -> None:
    # Imported late, for a quick --help.
    from fmnist_jax.runtime import compiler, environment, processes
    from fmnist_jax.runtime.devices import use_all_cores
    from fmnist_jax.train.interrupts import Interrupted

    if not absl_flags.FLAGS["verbosity"].present:
        logging.set_verbosity(logging.WARNING)
        # Orbax, which logs through absl, also logs the tracebacks of errors that it raises.
        logging.get_absl_logger().setLevel("CRITICAL")
    compiler.enable_cache()
    use_all_cores()
    try:
        if settings := flags.process_settings():
            processes.initialize(**settings)
        environment.check()
        _call_within_memory(main, arguments)
        processes.finish()
    except Interrupted as stop:
        print(f"{stop}; run the same command again to resume", file=sys.stderr, flush=True)
        if stop.immediate:
            sys.stdout.flush()
            processes.end_all(stop.exit_code, str(stop))
            os._exit(stop.exit_code)  # an ordinary exit waits for the computation that is still running
        processes.finish()
        sys.exit(stop.exit_code)
    except Exception as error:
        if processes.connected():
            _end_all(error)
        raise


def _call_within_memory(main: Main, arguments: Sequence[str]) -> None:
    import jax

    try:
        main(arguments)
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        problem = f"out of memory ({error}); compute less at once, as with a smaller --config.train.batch_size"
        raise UserError(problem) from None


def _end_all(error: Exception) -> NoReturn:
    """Says what is wrong and ends this process and the others, which would wait for it forever."""
    from fmnist_jax.runtime import processes

    code, message = 1, f"{type(error).__name__}: {error}"
    if isinstance(error, UserError):
        code, message = flags.report_error(str(error)), str(error)
    elif processes.is_lost_contact(error):
        flags.report_error(f"another process has ended ({error}); start all of them again to resume")
        os._exit(code)  # the rest find it out for themselves
    else:
        traceback.print_exception(error)
    processes.end_all(code, message)
    os._exit(code)


def _fail(message: str) -> NoReturn:
    sys.exit(flags.report_error(message))


def exit_on_signals() -> None:
    """Makes each signal that asks to stop end this process with exit code 128 + its number and a line on stderr.

    There is no clean-up: files are written atomically. Code that has more to lose installs its own handlers meanwhile.
    """
    for number in stop_signals():
        signal.signal(number, _end)
    # Python runs handlers between two bytecode instructions, so not during a compilation or a computation; and a
    # library may swallow an exception raised by a handler. Hence a thread that listens.
    receiver, sender = os.pipe()
    os.set_blocking(sender, False)
    signal.set_wakeup_fd(sender, warn_on_full_buffer=False)
    threading.Thread(target=_listen, args=(receiver,), daemon=True).start()


def _listen(receiver: int) -> None:
    while numbers := os.read(receiver, 1):
        if signal.getsignal(numbers[0]) is _end:
            _end(numbers[0], None)


def _end(number: int, frame: FrameType | None) -> None:
    del frame
    if _ending.acquire(blocking=False):  # the main thread and the listening one may both get here: print once
        os.write(2, f"{signal.Signals(number).name}: stopped; run the same command again\n".encode())
        os._exit(128 + number)
