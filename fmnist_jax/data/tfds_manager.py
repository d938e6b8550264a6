"""TFDS's download manager with a transport of ours. Imports TFDS: import this where a download is due, not before."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import tensorflow_datasets as tfds
from absl import logging
from promise import Promise
from tensorflow_datasets.core.download import checksums, downloader

from fmnist_jax.data.http_stream import Limits, chunks
from fmnist_jax.errors import DataError

_NAME = "fashion_mnist"


@dataclasses.dataclass(frozen=True)
class Remote:
    """A file to fetch.

    **Attributes:**

    - `url`: its address.
    - `size`, `sha256`: of the file as it is served, in bytes and in hex.
    """

    url: str
    size: int
    sha256: str


def registered() -> dict[str, Remote]:
    """Returns Fashion-MNIST's files as TFDS has registered them, name without `.gz` -> address, size and checksum."""
    infos = tfds.builder_cls(_NAME).url_infos
    return {Path(_file_name(url)).stem: Remote(url, int(info.size), info.checksum) for url, info in infos.items()}


def download(
    remotes: Mapping[str, Remote], cache: Path, limits: Limits, advance: Callable[[int], None]
) -> dict[str, Path]:
    """Returns where the files are in `cache`, name -> path, having fetched and verified those that were not there.

    A file gets its place in the cache, by a rename, when it is complete and its checksum right; nothing else stays.
    Raises `DataError` where the network, the server or a checksum, `OSError` where the cache is at fault.

    **Arguments:**

    - `remotes`: name -> file.
    - `cache`: TFDS's folder of downloads.
    - `limits`: see `Limits`.
    - `advance`: called with each number of bytes that has come, or was in the cache.
    """
    transport = _Transport(remotes.values(), limits, advance)
    try:
        with _quiet():
            manager = _Manager(transport, remotes.values(), cache)
            paths = manager.download({name: remote.url for name, remote in remotes.items()})
    finally:
        transport.clean_up()
    return {name: Path(path) for name, path in paths.items()}


class _Manager(tfds.download.DownloadManager):
    """TFDS's registry of checksums and its cache, on a transport that cannot hang.

    TFDS's own one has no time-out, retries a dead server for minutes, and leaves what it had when it failed.
    """

    def __init__(self, transport: _Transport, remotes: Iterable[Remote], cache: Path):
        infos = {remote.url: _url_info(remote) for remote in remotes}
        super().__init__(download_dir=cache, url_infos=infos, dataset_name=_NAME, force_checksums_validation=True)
        self._transport = transport

    @property
    def _downloader(self) -> _Transport:
        return self._transport


class _Transport:
    """What `DownloadManager` needs of a downloader: one file at a time, in the calling thread."""

    def __init__(self, remotes: Iterable[Remote], limits: Limits, advance: Callable[[int], None]):
        self._by_url = {remote.url: remote for remote in remotes}
        self._limits = limits
        self._advance = advance
        self._folders: list[Path] = []

    def tqdm(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def increase_tqdm(self, url_info: checksums.UrlInfo) -> None:
        self._advance(int(url_info.size))

    def download(self, url: str, destination_path: Any, verify: bool = True) -> Promise:
        """Fetches `url` into the folder `destination_path`, out of which the manager renames it."""
        self._folders.append(Path(destination_path))
        remote, path = self._by_url[url], destination_path / _file_name(url)
        sha256 = self._save(remote, Path(path))
        if sha256 != remote.sha256:
            raise DataError(f"{url} is not the registered file: its SHA-256 is {sha256}, expected {remote.sha256}")
        return Promise.resolve(downloader.DownloadResult(path, _url_info(remote)))

    def clean_up(self) -> None:
        """Removes the temporary folders of what failed; those of what succeeded are gone."""
        for folder in self._folders:
            shutil.rmtree(folder, ignore_errors=True)

    def _save(self, remote: Remote, path: Path) -> str:
        sha256 = hashlib.sha256()
        with path.open("wb") as file:
            for chunk in self._receive(remote):
                file.write(chunk)
                sha256.update(chunk)
                self._advance(len(chunk))
        return sha256.hexdigest()

    def _receive(self, remote: Remote) -> Iterator[bytes]:
        size = 0
        try:
            for chunk in chunks(remote.url, self._limits):
                size += len(chunk)
                if size > remote.size:
                    break
                yield chunk
        except OSError as error:
            raise DataError(f"{remote.url} cannot be downloaded: {error}") from None
        if size != remote.size:
            found = f"only {size:,}" if size < remote.size else "more"
            raise DataError(f"{remote.url} cannot be downloaded: {found} of its {remote.size:,} bytes came")


def _file_name(url: str) -> str:
    return Path(urlparse(url).path).name


def _url_info(remote: Remote) -> checksums.UrlInfo:
    return checksums.UrlInfo(tfds.core.utils.Size(remote.size), remote.sha256, _file_name(remote.url))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silences TFDS's notes on each file, which absl shows from within a program started by absl."""
    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
