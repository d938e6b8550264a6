from __future__ import annotations

import hashlib
import http.server
import logging
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fmnist_jax.data import download
from fmnist_jax.data.download import Remote, registered
from fmnist_jax.data.http_stream import Limits
from fmnist_jax.data.published import PUBLISHED, cache_folder, cached
from fmnist_jax.data.raw_files import IDX_FILES
from fmnist_jax.errors import DataError

CONTENTS = {name: name.encode() * 5_000 for name in IDX_FILES}  # five to eight chunks each
FAST = Limits(timeout=0.3)


class Server(http.server.ThreadingHTTPServer):
    """Serves `CONTENTS`, and under other folders whatever can go wrong."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[str] = []
        self.closing = threading.Event()

    def remotes(self, folder: str = "") -> dict[str, Remote]:
        return {
            name: Remote(self.url(folder, name), len(content), hashlib.sha256(content).hexdigest())
            for name, content in CONTENTS.items()
        }

    def url(self, folder: str, name: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{folder}{'/' * bool(folder)}{name}.gz"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.requests.append(self.path)
        folder, name = self.path.removesuffix(".gz").rsplit("/", 1)
        getattr(self, folder.strip("/") or "good")(CONTENTS[name])

    def log_message(self, *args: object) -> None:
        pass

    def good(self, content: bytes, length: int | None = None) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(length or len(content)))
        self.end_headers()
        self.wfile.write(content)

    def other(self, content: bytes) -> None:
        self.good(content[::-1])

    def long(self, content: bytes) -> None:
        self.good(content + b"more")

    def login(self, content: bytes) -> None:
        self.good(b"<html>Please log in to this network.</html>")

    def cut(self, content: bytes) -> None:
        self.good(content[:20_000], len(content))

    def stall(self, content: bytes) -> None:
        self.cut(content)
        self.server.closing.wait()

    def silent(self, content: bytes) -> None:
        self.server.closing.wait()

    def drip(self, content: bytes) -> None:
        self.good(b"", len(content))
        while not self.server.closing.wait(0.1):
            self.wfile.write(b"x")

    def slow(self, content: bytes) -> None:
        self.good(b"", len(content))
        for start in range(0, len(content), 10_000):
            self.server.closing.wait(0.1)
            self.wfile.write(content[start : start + 10_000])

    def missing(self, content: bytes) -> None:
        self.send_error(404)

    def broken(self, content: bytes) -> None:
        self.send_error(503)

    def garbage(self, content: bytes) -> None:
        self.wfile.write(b"\x00\x01\x02 no HTTP\r\n\r\n")

    def loop(self, content: bytes) -> None:
        self.send_response(302)
        self.send_header("Location", self.path)
        self.end_headers()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.closing.set()
        server.shutdown()
        thread.join()


def files_in(cache: Path) -> list[Path]:
    return [path for path in cache.rglob("*") if path.is_file()]


def test_files_come_into_tfds_cache_under_its_names(server, tmp_path):
    found = download.fetch(tmp_path, server.remotes())
    assert {name: path.read_bytes() for name, path in found.items()} == CONTENTS
    assert {path.parent for path in found.values()} == {tmp_path / "fashion_mnist"}
    assert not list(tmp_path.rglob("*.tmp.*"))
    assert cached(tmp_path) == found


def test_another_data_set_has_a_folder_of_its_own_in_the_cache(server, tmp_path, capsys):
    found = download.fetch(tmp_path, server.remotes(), published=PUBLISHED["mnist"])
    assert cached(tmp_path, "mnist") == found
    assert cached(tmp_path) is None
    assert capsys.readouterr().err.startswith("downloading MNIST, 0.5 MB")


def test_the_second_time_needs_no_network(server, tmp_path):
    first = download.fetch(tmp_path, server.remotes())
    server.requests.clear()
    assert download.fetch(tmp_path, server.remotes()) == first
    assert server.requests == []


def test_a_file_that_was_deleted_is_downloaded_again(server, tmp_path):
    first = download.fetch(tmp_path, server.remotes())
    next(iter(first.values())).unlink()
    server.requests.clear()
    assert cached(tmp_path) is None
    assert download.fetch(tmp_path, server.remotes()) == first
    assert len(server.requests) == 1


def test_a_line_is_printed_for_the_download(server, tmp_path, capsys):
    download.fetch(tmp_path, server.remotes())
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"downloading Fashion-MNIST, 0.5 MB, into {tmp_path}\n"


def test_tfds_log_messages_are_silenced(server, tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        download.fetch(tmp_path, server.remotes())
    assert caplog.text == ""


def test_a_slow_server_is_read_as_long_as_it_sends(server, tmp_path):
    started, limits = time.monotonic(), Limits(timeout=0.5)
    remote = {"slow": server.remotes("slow")[min(CONTENTS)]}
    assert download.fetch(tmp_path, remote, limits)["slow"].read_bytes() == CONTENTS[min(CONTENTS)]
    assert time.monotonic() - started > 2 * limits.timeout


@pytest.mark.parametrize(
    ("folder", "problem"),
    [
        ("missing", "the server answers 404 Not Found"),
        ("broken", "the server answers 503 Service Unavailable"),
        ("loop", "the server answers 302"),
        ("garbage", "cannot be downloaded"),
        ("other", "its SHA-256 is [0-9a-f]{64}, expected [0-9a-f]{64}"),
        ("long", "more of its 110,000 bytes came"),
        ("cut", "only 20,000 of its 110,000 bytes came"),
        ("login", "only 43 of its 110,000 bytes came"),
        ("stall", "no answer within seconds"),
        ("silent", "no answer within seconds"),
        ("drip", "no answer within 0.6 seconds"),
    ],
)
def test_a_failed_download_is_an_error_within_seconds_and_leaves_nothing(server, tmp_path, folder, problem):
    started = time.monotonic()
    with pytest.raises(DataError, match=problem) as raised:
        download.fetch(tmp_path, server.remotes(folder), FAST)
    assert time.monotonic() - started < 3
    assert server.url(folder, min(CONTENTS)) in str(raised.value)
    assert "\n" not in str(raised.value)
    assert len(server.requests) <= (1 if folder != "loop" else 20)
    assert files_in(tmp_path) == []
    assert not list(tmp_path.rglob("*.tmp.*"))


def test_no_server_is_an_error_and_prints_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        remote = Remote(f"http://127.0.0.1:{free.getsockname()[1]}/file.gz", 1, "")
        with pytest.raises(DataError, match=r"file\.gz cannot be downloaded: Connection refused"):
            download.fetch(tmp_path, {"file": remote}, FAST)
    assert capsys.readouterr() == ("", "")


def test_a_dns_server_that_does_not_answer_is_not_waited_for(tmp_path, monkeypatch):
    released = threading.Event()

    def look_up(*args: object, **kwargs: object) -> None:
        released.wait()
        raise socket.gaierror("released")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    for proxy in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(proxy, raising=False)
    try:
        with pytest.raises(DataError, match=r"no answer within 0\.6 seconds"):
            download.fetch(tmp_path, {"file": Remote("http://example.invalid/file.gz", 1, "")}, FAST)
    finally:
        released.set()


def test_the_deadline_ends_a_slow_download(server, tmp_path):
    limits = Limits(FAST.timeout, time.monotonic() + 0.3)
    with pytest.raises(DataError, match="too slow"):
        download.fetch(tmp_path, server.remotes("slow"), limits)
    assert files_in(tmp_path) == []


def test_complete_files_stay(server, tmp_path):
    first, *rest = sorted(CONTENTS)
    remotes = {name: server.remotes("" if name == first else "cut")[name] for name in CONTENTS}
    with pytest.raises(DataError, match=f"{rest[0]}.gz cannot be downloaded"):
        download.fetch(tmp_path, remotes, FAST)
    assert [path.read_bytes() for path in files_in(tmp_path) if path.suffix == ".gz"] == [CONTENTS[first]]
    assert cached(tmp_path) is None
    server.requests.clear()
    assert set(download.fetch(tmp_path, server.remotes())) == set(CONTENTS)
    assert len(server.requests) == len(rest)


def test_an_interrupt_leaves_nothing(server, tmp_path, monkeypatch):
    def interrupt(self: object, task: int, count: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("rich.progress.Progress.advance", interrupt)
    with pytest.raises(KeyboardInterrupt):
        download.fetch(tmp_path, server.remotes())
    assert files_in(tmp_path) == []


def test_a_cache_that_cannot_be_made_is_an_error(server, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"the download cache .*file/downloads cannot be used: .*Not a directory"):
        download.fetch(tmp_path / "file" / "downloads", server.remotes())


def test_damaged_metadata_in_the_cache_are_an_error(server, tmp_path):
    path = next(iter(download.fetch(tmp_path, server.remotes()).values()))
    path.unlink()
    path.with_name(path.name + ".INFO").write_text("no JSON")
    with pytest.raises(DataError, match=r"the download cache .* cannot be used"):
        download.fetch(tmp_path, server.remotes())


def test_the_cache_is_where_tfds_has_it(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    assert cache_folder() == tmp_path / "downloads"
    monkeypatch.delenv("TFDS_DATA_DIR")
    assert cache_folder() == Path.home() / "tensorflow_datasets" / "downloads"


def test_an_empty_cache_holds_nothing(tmp_path):
    assert cached(tmp_path) is None


@pytest.mark.parametrize(
    ("name", "size"), [("fashion_mnist", 30_878_645), ("mnist", 11_594_722), ("kmnist", 21_240_888)]
)
def test_tfds_has_registered_the_four_files(name, size):
    remotes = registered(name)
    assert set(remotes) == set(IDX_FILES)
    for name, remote in remotes.items():
        assert remote.url.endswith(f"/{name}.gz")
        assert len(remote.sha256) == 64
    assert sum(remote.size for remote in remotes.values()) == size
