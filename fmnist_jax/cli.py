"""What every script shares: flags parsed, one library call, and how it ended turned into an exit code.

0: done. 2: the user's error, one line on stderr. 130, 143: stopped by SIGINT, SIGTERM.
"""

from __future__ import annotations

import os
import re
import runpy
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from absl import app, flags, logging
from ml_collections import ConfigDict, config_flags

from fmnist_jax import config as config_schema
from fmnist_jax.errors import ConfigError, UserError, did_you_mean

USER_ERROR = 2


def run(main: Callable[[Sequence[str]], None]) -> NoReturn:
    """Parses the flags, calls `main(arguments)` and exits; never returns."""
    signal.signal(signal.SIGTERM, _terminate)
    app.run(lambda argv: _guarded(main, argv[1:]), flags_parser=_parse)
    raise AssertionError("app.run returned")


def _parse(argv: Sequence[str]) -> list[str]:
    try:
        _check_keys(argv)
        return list(flags.FLAGS(list(argv)))
    except SystemExit:
        # --help printed the help; absl would exit with 1.
        sys.exit(0)
    except flags.Error as error:
        _fail(str(error))
    # What ml_collections raises for an override that does not fit, or a config file whose code fails.
    except (ArithmeticError, AttributeError, ImportError, LookupError, NameError, OSError, SyntaxError) as error:
        _fail(f"the config cannot be read ({type(error).__name__}: {error})")
    except (TypeError, ValueError, UserError) as error:
        _fail(str(error))


def _check_keys(argv: Sequence[str]) -> None:
    """Raises `ConfigError` for an override of a key that is not in the schema; absl would not say which key it was."""
    for argument in argv[1:]:
        match = re.match(r"--?(?:no)?config\.([^=]+)", argument)
        if match and match[1] not in config_schema.SCHEMA:
            near = did_you_mean(match[1], config_schema.SCHEMA)
            raise ConfigError(f"--config.{match[1]} is no key of the config{near}; --help lists them")


def _guarded(main: Callable[[Sequence[str]], None], arguments: Sequence[str]) -> None:
    # Imported late, for a quick --help.
    from fmnist_jax.train.interrupts import Interrupted

    if not flags.FLAGS["verbosity"].present:
        # absl's default in a program is INFO: what the libraries report of themselves, no news to a user.
        logging.set_verbosity(logging.WARNING)
    try:
        main(arguments)
    except UserError as error:
        _fail(str(error))
    except Interrupted as stop:
        _stop(stop.exit_code, f"{stop}; run the same command again to resume", at_once=stop.at_once)
    except KeyboardInterrupt:
        _stop(128 + signal.SIGINT, "stopped")


def _fail(message: str) -> NoReturn:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(USER_ERROR)


def _stop(code: int, message: str, *, at_once: bool = False) -> NoReturn:
    print(message, file=sys.stderr)
    if at_once:
        # An ordinary exit waits for the computation that is still running.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _terminate(number: int, frame: object) -> NoReturn:
    del frame
    _stop(128 + number, "stopped")


def define_config() -> flags.FlagHolder:
    """Defines `--config`, the path of a config file, with an override `--config.key=value` for each of its keys."""
    holder = config_flags.DEFINE_config_file("config", None, "The config file, e.g. configs/model3.py.")
    flags.register_validator("config", _loaded)
    return holder


def define_workdir(meaning: str) -> flags.FlagHolder[str]:
    """Defines the required `--workdir`."""
    holder: flags.FlagHolder[str] = flags.DEFINE_string("workdir", "", meaning)
    flags.register_validator("workdir", _given)
    return holder


def _given(workdir: str) -> bool:
    if not workdir:
        raise ConfigError("--workdir must be given: the folder of the run")
    return True


def _loaded(config: Any) -> bool:
    if config is None:
        raise ConfigError("--config must be given, e.g. --config=configs/model3.py")
    try:
        # Where the file failed to load, ml_collections gives an object that raises whatever is asked of it.
        config.items()
    except OSError as error:
        raise ConfigError(f"--config: {error}") from None
    return True


def known_flags_only(arguments: Sequence[str]) -> None:
    """Raises `UserError` where a script that takes none was given positional arguments."""
    if arguments:
        raise UserError(f"{arguments[0]!r} is no flag; flags begin with --, see --help")


def read_config_file(path: Path) -> ConfigDict:
    """Returns what `get_config()` of a config file returns; raises `UserError` where there is no such file."""
    if not path.is_file():
        raise UserError(
            f"{path} is no config file; there are {', '.join(sorted(p.stem for p in path.parent.glob('*.py')))}"
        )
    return runpy.run_path(str(path))["get_config"]()
