"""The console command `fmnist-jax COMMAND`; `scripts/COMMAND.py` is the same. Each runs a module of `cli.commands`."""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from fmnist_jax.errors import PROGRAM, did_you_mean


def main() -> NoReturn:
    """Runs the command that the command line names; never returns."""
    name, *arguments = sys.argv[1:] or [""]
    files = {file.stem: file for file in sorted(Path(__file__).with_name("commands").glob("[a-z]*.py"))}
    if name in ("--help", "-h"):
        print(f"usage: {PROGRAM} COMMAND [--flag=value ...]\n\n{table(files)}\n")
        print(f"{PROGRAM} COMMAND --help lists the flags of a command.")
        sys.exit(0)
    if name not in files:
        from fmnist_jax.cli.flags import report_error

        problem = f"{name!r} is not a command{did_you_mean(name, files)}" if name else "no command is given"
        sys.exit(report_error(f"{problem}; {PROGRAM} --help lists them"))
    _run(name, f"{PROGRAM} {name}", arguments)


def run_script(name: str) -> NoReturn:
    """Runs a command as `python scripts/<name>.py`; never returns."""
    _run(name, f"python scripts/{name}.py", sys.argv[1:])


def table(files: dict[str, Path]) -> str:
    """Returns a line for each Python file: its name, and the first line of its docstring."""
    width = max(map(len, files))
    return "\n".join(f"  {name:{width}}  {_summary(file)}" for name, file in files.items())


def _summary(file: Path) -> str:
    return (ast.get_docstring(ast.parse(file.read_bytes())) or "").partition("\n")[0]


def _run(name: str, usage: str, arguments: Sequence[str]) -> NoReturn:
    # Imported late, for a quick list of the commands.
    from absl.flags import FLAGS

    from fmnist_jax.cli import app

    command = importlib.import_module(f"fmnist_jax.cli.commands.{name}")
    # absl's --help shows the docstring of `__main__` and the flags that belong to it.
    sys.modules["__main__"].__doc__ = (command.__doc__ or "").replace(f"{PROGRAM} {name}", usage)
    for flag in FLAGS.get_key_flags_for_module(command.__name__):
        FLAGS.register_key_flag_for_module(sys.argv[0], flag)
    app.run(command.main, [sys.argv[0], *arguments], needs_jax=getattr(command, "NEEDS_JAX", True))
