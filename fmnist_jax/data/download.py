"""Fetches Fashion-MNIST through TFDS's download manager: its registered addresses and checksums, its cache.

TensorFlow is not needed, and TFDS is imported only where something is to be downloaded: that takes a while.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

from fmnist_jax.data.fashion_mnist import SHA256
from fmnist_jax.data.files import expanded
from fmnist_jax.data.http_stream import Limits
from fmnist_jax.errors import DataError

if TYPE_CHECKING:
    from fmnist_jax.data.tfds_manager import Remote


def cache_folder() -> Path:
    """Returns TFDS's folder of downloads: `$TFDS_DATA_DIR/downloads`, else `~/tensorflow_datasets/downloads`."""
    return expanded(os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets") / "downloads"


def cached(cache: Path) -> dict[str, Path] | None:
    """Returns where Fashion-MNIST's files are in `cache`, name without `.gz` -> path; `None` unless all are there.

    TFDS names them `<address><checksum>.gz`. They are not verified.
    """
    found = {name: sorted((cache / "fashion_mnist").glob(f"*{name}*.gz")) for name in SHA256}
    return {name: paths[0] for name, paths in found.items()} if all(found.values()) else None


def fetch(cache: Path, remotes: Mapping[str, Remote] | None = None, limits: Limits | None = None) -> dict[str, Path]:
    """Returns where the files are in `cache`, name -> path, having downloaded and verified those that were not there.

    Raises `DataError`, within seconds, where the network, the server, a checksum or the cache is at fault; a file that
    was complete by then stays in the cache, nothing else does.

    **Arguments:**

    - `cache`: TFDS's folder of downloads, see `cache_folder`.
    - `remotes`: the files, name -> file; `None` for those of Fashion-MNIST as TFDS has registered them.
    - `limits`: how long it may take.
    """
    try:
        from fmnist_jax.data import tfds_manager

        remotes = tfds_manager.registered() if remotes is None else remotes
    except (ImportError, AttributeError) as error:  # TFDS hides errors of its own import: then names are missing
        raise DataError(f"tensorflow-datasets, which downloads Fashion-MNIST, cannot be used ({error})") from None
    try:
        with _progress(cache, sum(remote.size for remote in remotes.values())) as advance:
            return tfds_manager.download(remotes, cache, limits or Limits(), advance)
    except (OSError, ValueError) as error:  # TFDS raises the latter where its notes beside a file are damaged
        raise DataError(f"the download cache {cache} cannot be used: {error}") from None


@contextmanager
def _progress(cache: Path, size: int) -> Iterator[Callable[[int], None]]:
    """Says on stderr what is downloaded, once something comes, and, on a terminal, how far it is.

    Yields the function to call with each number of bytes that came.
    """
    console = Console(stderr=True, soft_wrap=True)
    columns = (BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=size)

        def advance(count: int) -> None:
            if not progress.tasks[task].completed:
                console.print(f"downloading Fashion-MNIST, {size / 1e6:.1f} MB, into {cache}", markup=False)
            progress.advance(task, count)

        yield advance
