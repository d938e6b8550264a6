"""The configs that come with the package, which are found by name from any folder."""

from __future__ import annotations

from pathlib import Path


def shipped() -> dict[str, Path]:
    """Returns the config files of the folder configs/ by name, such as `model3` or `records/fast_92`."""
    package = Path(__file__).parents[1]
    installed = package / "configs"  # beside the package in a checkout
    folder = installed if installed.is_dir() else package.parent / "configs"
    return {file.relative_to(folder).with_suffix("").as_posix(): file for file in sorted(folder.rglob("*.py"))}


def locate(path_or_name: str) -> Path:
    """Returns the path of a config file; a file of that path goes before a config of that name."""
    path = Path(path_or_name)
    return path if path.is_file() else shipped().get(path_or_name, path)
