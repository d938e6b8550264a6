"""Downloads published data sets with TFDS's download manager: its registered addresses and checksums, its cache.

TensorFlow is not needed. Importing TFDS takes seconds: import this module only to download.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds
from absl import logging
from promise import Promise
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn
from tensorflow_datasets.core.download import checksums, downloader

from fmnist_jax.data.dataset import FASHION_MNIST
from fmnist_jax.data.http_stream import Limits, chunks
from fmnist_jax.data.published import PUBLISHED, Published
from fmnist_jax.errors import DataError
from fmnist_jax.runtime.console import plain_console


@dataclasses.dataclass(frozen=True)
class Remote:
    """A file to download, with the size in bytes and the SHA-256 in hex of what the server sends."""

    url: str
    size: int
    sha256: str


def registered(name: str) -> dict[str, Remote]:
    """Returns the files of a data set as TFDS has registered them, by name without `.gz`."""
    infos = tfds.builder_cls(name).url_infos
    return {Path(url).stem: Remote(url, int(info.size), info.checksum) for url, info in infos.items()}


def fetch(
    cache: Path,
    remotes: Mapping[str, Remote] | None = None,
    limits: Limits | None = None,
    published: Published = PUBLISHED[FASHION_MNIST.name],
) -> dict[str, Path]:
    """Returns the paths of the files in `cache` by name, after downloading and verifying those that were missing.

    A complete file with the right checksum is moved into the cache atomically; nothing else stays.

    **Arguments:**

    - `cache`: TFDS's folder of downloads, see `published.cache_folder`.
    - `remotes`: the files by name; `None` for those of the data set as TFDS has registered them.
    - `limits`: how long it may take.
    - `published`: the data set.

    **Raises:** `DataError`, within seconds, where the network, the server, a checksum or the cache is at fault.
    """
    name = published.description.name
    remotes = registered(name) if remotes is None else remotes
    infos = {
        remote.url: checksums.UrlInfo(tfds.core.utils.Size(remote.size), remote.sha256, Path(remote.url).name)
        for remote in remotes.values()
    }
    try:
        with _progress(published.title, cache, sum(remote.size for remote in remotes.values())) as advance:
            manager = _Manager(_Transport(infos, limits or Limits(), advance), infos, cache, name)
            paths = manager.download({file: remote.url for file, remote in remotes.items()})
    except (OSError, ValueError) as error:  # TFDS raises ValueError where its metadata beside a file are damaged
        raise DataError(f"the download cache {cache} cannot be used: {error}") from None
    return {file: Path(path) for file, path in paths.items()}


class _Manager(tfds.download.DownloadManager):
    """TFDS's checksums and cache with a transport that cannot hang.

    TFDS's own transport has no timeout, retries a dead server for minutes, and leaves partial files behind.
    """

    def __init__(self, transport: _Transport, infos: Mapping[str, checksums.UrlInfo], cache: Path, name: str):
        super().__init__(download_dir=cache, url_infos=infos, dataset_name=name, force_checksums_validation=True)
        self._transport = transport

    @property
    def _downloader(self) -> _Transport:
        return self._transport


class _Transport:
    """The downloader interface that TFDS's `DownloadManager` calls: one file at a time, in the calling thread."""

    def __init__(self, infos: Mapping[str, checksums.UrlInfo], limits: Limits, advance: Callable[[int], None]):
        self._infos = infos
        self._limits = limits
        self._advance = advance
        self._folders: list[Path] = []

    @contextlib.contextmanager
    def tqdm(self) -> Iterator[None]:
        """Wraps all downloads: silences TFDS's log message per file, removes the temporary folders of failed ones."""
        verbosity = logging.get_verbosity()
        logging.set_verbosity(logging.ERROR)
        try:
            yield
        finally:
            logging.set_verbosity(verbosity)
            for folder in self._folders:
                shutil.rmtree(folder, ignore_errors=True)

    def increase_tqdm(self, url_info: checksums.UrlInfo) -> None:
        self._advance(int(url_info.size))

    def download(self, url: str, destination_path: Any, verify: bool = True) -> Promise:
        """Downloads `url` into the folder `destination_path`; the manager then moves it into the cache."""
        self._folders.append(Path(destination_path))
        info, digest = self._infos[url], hashlib.sha256()
        path = destination_path / info.filename
        with Path(path).open("wb") as file:
            for chunk in self._receive(url, int(info.size)):
                file.write(chunk)
                digest.update(chunk)
                self._advance(len(chunk))
        sha256 = digest.hexdigest()
        if sha256 != info.checksum:
            raise DataError(f"{url} is not the registered file: its SHA-256 is {sha256}, expected {info.checksum}")
        return Promise.resolve(downloader.DownloadResult(path, info))

    def _receive(self, url: str, size: int) -> Iterator[bytes]:
        received = 0
        try:
            for chunk in chunks(url, self._limits):
                received += len(chunk)
                if received > size:
                    break
                yield chunk
        except OSError as error:
            raise DataError(f"{url} cannot be downloaded: {error}") from None
        if received != size:
            found = f"only {received:,}" if received < size else "more"
            raise DataError(f"{url} cannot be downloaded: {found} of its {size:,} bytes came")


@contextlib.contextmanager
def _progress(title: str, cache: Path, size: int) -> Iterator[Callable[[int], None]]:
    """Prints a line on stderr when the first bytes arrive, and on a terminal shows a progress bar.

    Yields the function to call with the number of bytes of each chunk.
    """
    console = plain_console(sys.stderr)
    columns = (BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=size)

        def advance(count: int) -> None:
            if not progress.tasks[task].completed:
                console.print(f"downloading {title}, {size / 1e6:.1f} MB, into {cache}", markup=False)
            progress.advance(task, count)

        yield advance
