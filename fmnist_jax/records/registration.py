"""A record is registered by a commit, before the test set is scored for it."""

from __future__ import annotations

from pathlib import Path

from fmnist_jax.errors import ConfigError
from fmnist_jax.train.manifest import git

_MAX_LISTED = 3


def commit_of(root: Path, config_file: Path, results: Path, since: str | None = None) -> str:
    """Returns the commit that registers a record: where it began before, `since`, else the current one.

    **Arguments:**

    - `root`: the checkout that holds the package; `results`: its folder of results, where changes do not count.

    **Raises:** `ConfigError` where the config file or any change is not committed, or the config file or the package
    is another one than at `since`.
    """
    file = config_file.resolve()
    if not (file.is_relative_to(root) and git(root, "ls-files", "--", str(file))):
        raise ConfigError(
            f"{config_file} is not committed in {root}; a record is registered by a commit, before the test set is "
            "scored; try it out with --pilot"
        )
    elsewhere = "--", ".", f":(exclude){results.relative_to(root)}"
    changed = _files(root, "diff", "--name-only", "HEAD", *elsewhere)
    if changed := changed + _files(root, "ls-files", "--others", "--exclude-standard", *elsewhere):
        raise ConfigError(f"{_listed(changed)}: not committed; commit first, so that the commit gives a record's code")
    if since is None:
        return _files(root, "rev-parse", "HEAD")[0]
    if changed := _files(root, "diff", "--name-only", since, "HEAD", "--", "fmnist_jax", str(file)):
        raise ConfigError(
            f"{_listed(changed)}: changed since commit {since[:10]}, where the record began; check that one out to "
            "resume, or take another name"
        )
    return since


def _files(root: Path, *command: str) -> list[str]:
    """The lines that a git command prints."""
    printed = git(root, *command)
    if printed is None:
        raise ConfigError(f"git {command[0]} fails in {root}; a record needs a whole git checkout")
    return printed.splitlines()


def _listed(files: list[str]) -> str:
    more = f" and {len(files) - _MAX_LISTED} more" if len(files) > _MAX_LISTED else ""
    return f"{', '.join(files[:_MAX_LISTED])}{more}"
