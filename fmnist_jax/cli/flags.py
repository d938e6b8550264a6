"""Defines the flags that scripts share, and says in one line what is wrong with a flag."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags
from absl.flags import FLAGS
from ml_collections import ConfigDict, config_flags

from fmnist_jax.config import schema as config_schema
from fmnist_jax.config.field import split_items
from fmnist_jax.config.python_file import read_config_file
from fmnist_jax.config.schema import SCHEMA, Schema
from fmnist_jax.config.shipped import locate
from fmnist_jax.errors import TYPE_NAMES, ConfigError, UserError, did_you_mean

USER_ERROR = 2

# --help then lists the flags defined here with those of the script.
flags.disclaim_key_flags()


def define_config(
    example: str = "model3", schema: Schema = SCHEMA, *, required: bool = True
) -> flags.FlagHolder[ConfigDict | None]:
    """Defines `--config`, the path or the name of a config, with an override `--config.key=value` for each of its keys.

    **Arguments:**

    - `example`: a config to name in messages.
    - `schema`: the config's.
    - `required`: whether it must be given.
    """
    config_flags.register_flag_parser_for_type(tuple, _TupleParser())
    # The parser locks the config; new keys can only be those of its open section.
    try:
        holder = config_flags.DEFINE_config_file(
            "config",
            None,
            f"Path or name of a config, e.g. {example}.",
            lock_config=False,
            accept_new_attributes=True,
        )
    except flags.CantOpenFlagFileError as error:  # already here, before anything is parsed
        sys.exit(report_error(str(error).removeprefix("ERROR:: ")))
    FLAGS["config"].parser = parser = _ConfigFileParser(example, schema)

    def check(config: ConfigDict | None) -> bool:
        if required and config is None:
            raise ConfigError(parser.missing)
        return True

    flags.register_validator("config", check)
    return holder


def config_file() -> Path:
    """Returns the path of the config that was given as `--config`."""
    return locate(config_flags.get_config_filename(FLAGS["config"]))


def define_config_path(name: str, help: str) -> flags.FlagHolder[str | None]:
    """Defines a flag that takes the path or the name of a config, and gives its path."""
    return flags.DEFINE(_ConfigPathParser(), name, None, help, serializer=flags.ArgumentSerializer())


def define_workdir(help: str, *, required: bool = True) -> flags.FlagHolder[str]:
    """Defines `--workdir`."""
    return define_folder("workdir", help, "the folder of the run", required=required)


def define_folder(name: str, help: str, meaning: str, *, required: bool = True) -> flags.FlagHolder[str]:
    """Defines a flag that takes the path of a folder; `meaning`: what it is, for the error where it is missing."""

    def check(folder: str) -> bool:
        if required and not folder:
            raise ConfigError(f"--{name} must be given: {meaning}")
        return True

    holder = flags.DEFINE(_FolderParser(), name, "", help, serializer=flags.ArgumentSerializer())
    flags.register_validator(name, check)
    return holder


def define_trained_run() -> tuple[flags.FlagHolder[str], flags.FlagHolder[str], flags.FlagHolder[str | None]]:
    """Defines `--workdir`, `--checkpoint` and, for its registrations only, `--config` of a script that reads a run."""
    return (
        define_workdir("Folder of the run."),
        flags.DEFINE_string("checkpoint", "last", "last, best (the highest validation accuracy) or an epoch."),
        define_config_path(
            "config", "File that registers the run's network or optimizer; by default the run's own config file."
        ),
    )


_PROCESS_FLAGS = ("coordinator_address", "num_processes", "process_id", "cluster_detection_method")


def define_processes() -> None:
    """Defines the flags of a script that several processes may run together, by JAX's names for them."""
    address, number, index, method = _PROCESS_FLAGS
    flags.DEFINE_string(address, None, "HOST:PORT of process 0, where several processes train together.")
    flags.DEFINE_integer(number, None, "How many processes train together.", lower_bound=1)
    flags.DEFINE_integer(index, None, "The number of this one, from 0 on.", lower_bound=0)
    flags.DEFINE_string(method, None, "Where JAX is to find these three: slurm, ompi, k8s, gcetpu, gketpu.")


def process_settings() -> dict[str, Any]:
    """Returns the values of those flags; none where the script does not have them."""
    return {name: FLAGS[name].value for name in _PROCESS_FLAGS if name in FLAGS}


def check_no_arguments(arguments: Sequence[str]) -> None:
    """Raises `UserError` where positional arguments were given to a script that takes none."""
    if arguments:
        raise UserError(f"{arguments[0]!r} is not a flag; flags begin with --, see --help")


def report_error(message: str) -> int:
    """Prints the user's error as one line on stderr; returns the exit code for it."""
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return USER_ERROR


def parse(argv: Sequence[str]) -> list[str]:
    """Parses the flags in `argv`; returns the script's name and the positional arguments.

    **Raises:** `UserError` where a flag is unknown, missing or has a wrong value.
    """
    try:
        _check_overrides(argv)
        return list(FLAGS(list(argv)))
    except SystemExit:
        # --help printed the help; absl would exit with 1.
        sys.exit(0)
    except flags.UnrecognizedFlagError as error:
        raise _unknown_flag(error.flagname) from None
    except flags.IllegalFlagValueError as error:
        raise UserError(_describe_illegal_value(str(error))) from None
    except flags.Error as error:
        raise UserError(str(error)) from None


def _check_overrides(argv: Sequence[str]) -> None:
    """Raises `ConfigError` for an override of a key that is not in the schema: absl's error would not name the key."""
    parser = _config_parser()
    for argument in argv[1:]:
        match = re.match(r"--?(?:no)?config\.([^=]*)", argument)
        if not match or not parser or match[1] in parser.schema:
            continue
        if not config_schema.is_option(match[1], parser.schema):
            raise config_schema.unknown_key(match[1], parser.schema, "--config.", "; --help lists them")


def _unknown_flag(name: str) -> UserError:
    """Returns the error for an unknown flag; overrides are known only once a config file has been read."""
    parser = _config_parser()
    key = name.removeprefix("config.")
    if parser and key in parser.schema:
        return ConfigError(parser.missing)
    matching = [each for each in config_schema.settable(parser.schema) if each.endswith(f".{name}")] if parser else []
    hint = "" if name != key else did_you_mean(name, FLAGS)
    if matching:
        hint = f"; did you mean '--config.{matching[0]}'?"
    return UserError(f"--{name} is not a flag{hint}; --help lists them")


def _describe_illegal_value(message: str) -> str:
    """Rewrites absl's message about a wrong value, to say what the flag takes."""
    match = re.match(r"flag --(?P<name>[^=]+)=(?P<value>.*?): ", message, re.DOTALL)
    if not match or match["name"] not in FLAGS:
        return message
    flag = FLAGS[match["name"]]
    expected = TYPE_NAMES[bool] if flag.boolean else re.sub("^integer", TYPE_NAMES[int], flag.parser.syntactic_help)
    return f"--{match['name']} must be {expected or flag.flag_type()}, not {match['value']!r}"


class _ConfigFileParser(flags.ArgumentParser):
    """Reads the config file itself: ml_collections hides where in the file an error is, or leaves it for later."""

    def __init__(self, example: str, schema: Schema):
        super().__init__()
        self.schema = schema
        self.missing = f"--config must be given, e.g. --config={example}"

    def parse(self, argument: str) -> ConfigDict:
        if not argument:
            raise ConfigError(self.missing)
        try:
            return read_config_file(locate(argument), self.schema)
        except ConfigError as error:
            raise ConfigError(f"--config: {error}") from None


def _config_parser() -> _ConfigFileParser | None:
    """Returns the parser of `--config`, or `None` where the script takes no config."""
    parser = FLAGS["config"].parser if "config" in FLAGS else None
    return parser if isinstance(parser, _ConfigFileParser) else None


class _ConfigPathParser(flags.ArgumentParser):
    """Parses the path or the name of a config into its path."""

    def parse(self, argument: str) -> str:
        return str(locate(argument))

    def flag_type(self) -> str:
        return "string"


class _FolderParser(flags.ArgumentParser):
    """Parses the path of a folder, `~` for the home folder, which no shell replaces after the `=` of a flag."""

    syntactic_help = "the path of a folder"

    def parse(self, argument: str) -> str:
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise UserError(f"the path {argument!r} is not valid Unicode, as checkpoints need; rename it") from None
        return os.path.expanduser(argument)  # noqa: PTH111 (Path.expanduser raises where there is no home folder)

    def flag_type(self) -> str:
        return "string"


class _TupleParser(flags.ArgumentParser):
    """Parses comma-separated items into a tuple; items that look like numbers become numbers."""

    syntactic_help = "a comma-separated list"

    def parse(self, argument: Any) -> tuple[Any, ...]:
        return argument if isinstance(argument, tuple) else tuple(map(_number_or_string, split_items(argument)))

    def flag_type(self) -> str:
        return "comma-separated items"


def _number_or_string(item: str) -> int | float | str:
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(item)
    return item
