"""What every script shares: flags parsed, one library call, and how it ended turned into an exit code.

0: done. 2: the user's error, one line on stderr. 130, 143: stopped by SIGINT, SIGTERM. 141: nobody reads the output.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from absl import app, flags, logging
from ml_collections import ConfigDict, config_flags

from fmnist_jax.cli.signals import exit_on_signals
from fmnist_jax.config import schema as config_schema
from fmnist_jax.config.field import split_items
from fmnist_jax.config.python_file import read_config_file
from fmnist_jax.config.schema import SCHEMA, Schema
from fmnist_jax.errors import ConfigError, UserError, did_you_mean

USER_ERROR = 2

# So that --help counts the flags defined here among those of the script.
flags.disclaim_key_flags()


def run(main: Callable[[Sequence[str]], None]) -> NoReturn:
    """Parses the flags, calls `main(arguments)` and exits; never returns."""
    exit_on_signals()
    app.run(lambda argv: _guarded(main, argv[1:]), flags_parser=_parse)
    raise AssertionError("app.run returned")


def _parse(argv: Sequence[str]) -> list[str]:
    try:
        _check_keys(argv)
        return list(flags.FLAGS(list(argv)))
    except SystemExit:
        # --help printed the help; absl would exit with 1.
        sys.exit(0)
    except flags.UnrecognizedFlagError as error:
        _fail(_unknown(error.flagname))
    except flags.IllegalFlagValueError as error:
        _fail(_illegal(str(error)))
    except (flags.Error, UserError) as error:
        _fail(str(error))


def _check_keys(argv: Sequence[str]) -> None:
    """Raises `ConfigError` for an override of a key that is not in the schema; absl would not say which key it was."""
    for argument in argv[1:]:
        match = re.match(r"--?(?:no)?config\.([^=]+)", argument)
        if match and "config" in flags.FLAGS and match[1] not in _config_file().schema:
            near = did_you_mean(match[1], config_schema.settable(_config_file().schema))
            raise ConfigError(f"--config.{match[1]} is no key of the config{near}; --help lists them")


def _unknown(name: str) -> str:
    """The message for a flag that does not exist; the overrides do only once a config file is read."""
    schema = _config_file().schema if "config" in flags.FLAGS else {}
    if name.removeprefix("config.") in schema:
        return _config_file().missing
    keys = config_schema.settable(schema)
    meant = [f"; did you mean '--config.{key}'?" for key in keys if key.endswith(f".{name}")]
    near = meant[0] if meant else did_you_mean(name, flags.FLAGS)
    return f"--{name} is no flag{near}; --help lists them"


def _illegal(message: str) -> str:
    """What absl says of a value that a flag does not take, in terms of what it takes."""
    match = re.match(r"flag --(?P<name>[^=]+)=(?P<value>.*?): ", message, re.DOTALL)
    if not match or match["name"] not in flags.FLAGS:
        return message
    flag = flags.FLAGS[match["name"]]
    expected = "true or false" if flag.boolean else re.sub("^integer", "an integer", flag.parser.syntactic_help)
    return f"--{match['name']} must be {expected or flag.flag_type()}, not {match['value']!r}"


def _guarded(main: Callable[[Sequence[str]], None], arguments: Sequence[str]) -> None:
    # Imported late, for a quick --help.
    import jax

    from fmnist_jax.runtime import compilation_cache
    from fmnist_jax.runtime.devices import use_all_cores
    from fmnist_jax.train.interrupts import Interrupted

    if not flags.FLAGS["verbosity"].present:
        _quiet()
    compilation_cache.enable()
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
        # Whoever read the output has gone, as `head` does, and will read no word on it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)


def _quiet() -> None:
    """Keeps what the libraries report of themselves, absl's default, to themselves."""
    logging.set_verbosity(logging.WARNING)
    # Orbax, which reports through absl, logs the tracebacks of errors that it raises, too.
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


class _ConfigFile(flags.ArgumentParser):
    """Reads the config file itself: ml_collections hides where in the file an error is, or leaves it for later."""

    def __init__(self, example: str, schema: Schema):
        super().__init__()
        self.schema = schema
        self.missing = f"--config must be given, e.g. --config={example}"

    def parse(self, argument: str) -> ConfigDict:
        if not argument:
            raise ConfigError(self.missing)
        try:
            return read_config_file(Path(argument), self.schema)
        except ConfigError as error:
            raise ConfigError(f"--config: {error}") from None


class _Items(flags.ArgumentParser):
    """Reads a tuple from items with commas between them, as people type them, numbers as such."""

    syntactic_help = "a list with commas"

    def parse(self, argument: Any) -> tuple[Any, ...]:
        return argument if isinstance(argument, tuple) else tuple(map(_number_or_text, split_items(argument)))

    def flag_type(self) -> str:
        return "items with commas between them"


def _number_or_text(item: str) -> int | float | str:
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(item)
    return item


def define_config(example: str = "configs/model3.py", schema: Schema = SCHEMA) -> flags.FlagHolder:
    """Defines `--config`, the path of a config file, with an override `--config.key=value` for each of its keys.

    **Arguments:**

    - `example`: such a file, to be named in messages.
    - `schema`: of the config.
    """
    config_flags.register_flag_parser_for_type(tuple, _Items())
    holder = config_flags.DEFINE_config_file("config", None, f"The config file, e.g. {example}.")
    flags.FLAGS["config"].parser = _ConfigFile(example, schema)
    flags.register_validator("config", _given_config)
    return holder


def _config_file() -> _ConfigFile:
    parser = flags.FLAGS["config"].parser
    assert isinstance(parser, _ConfigFile)
    return parser


def define_workdir(meaning: str) -> flags.FlagHolder[str]:
    """Defines the required `--workdir`."""
    holder: flags.FlagHolder[str] = flags.DEFINE_string("workdir", "", meaning)
    flags.register_validator("workdir", _given_workdir)
    return holder


def _given_config(config: ConfigDict | None) -> bool:
    if config is None:
        raise ConfigError(_config_file().missing)
    return True


def _given_workdir(workdir: str) -> bool:
    if not workdir:
        raise ConfigError("--workdir must be given: the folder of the run")
    return True


def known_flags_only(arguments: Sequence[str]) -> None:
    """Raises `UserError` where a script that takes none was given positional arguments."""
    if arguments:
        raise UserError(f"{arguments[0]!r} is no flag; flags begin with --, see --help")
