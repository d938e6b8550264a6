from __future__ import annotations

import contextlib
import functools
import hashlib
import http.server
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import ml_collections
import numpy as np
import pytest
from idx_files import lookalike, write

from fmnist_jax import data
from fmnist_jax.config import schema as config
from fmnist_jax.data import download, kaggle_csv, raw_files
from fmnist_jax.data.published import PUBLISHED, TEST_LABELS, TRAIN_LABELS, cached
from fmnist_jax.data.sources import DATASETS
from fmnist_jax.errors import ConfigError, DataError

REAL = os.environ.get("FMNIST_DATA_DIR")
FETCH = download.fetch
FIVE = np.arange(5, dtype=np.uint8)
CACHED = "fashion-mnist_{}CHECKSUM.gz"


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No folder named by the environment, an empty cache, and no network."""
    monkeypatch.delenv("FMNIST_DATA_DIR", raising=False)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    monkeypatch.setattr(download, "fetch", refuse)


def refuse(*args: object, **kwargs: object) -> None:
    raise DataError("train-images-idx3-ubyte.gz cannot be downloaded: Network is unreachable")


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("original")
    for name, array in lookalike().items():
        write(folder / f"{name}.gz", array)
    return folder


@pytest.fixture
def accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, array in lookalike().items():
        monkeypatch.setitem(PUBLISHED["fashion_mnist"].sha256, name, raw_files.idx_digest(array))


@pytest.fixture
def csv_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "csv"
    folder.mkdir()
    header = "label," + ",".join(f"pixel{i}" for i in range(1, 785))
    for name, count in ((kaggle_csv.TRAIN, 20), (kaggle_csv.TEST, 10)):
        rows = [",".join([str(i % 10), *["0"] * 783, str(count)]) for i in range(count)]
        (folder / name).write_text("\n".join([header, *rows, ""]))
    return folder


@pytest.fixture
def cache(original: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "tfds" / "downloads" / "fashion_mnist"
    folder.mkdir(parents=True)
    for name in lookalike():
        shutil.copy(original / f"{name}.gz", folder / CACHED.format(name))
    return folder


def settings(**values: Any) -> ml_collections.ConfigDict:
    section = config.default_config().data
    section.update(values)
    return section


@pytest.mark.usefixtures("accepted")
def test_the_folder_of_the_config_is_read(original):
    dataset = data.load(settings(dir=str(original)))
    assert dataset.name == "fashion_mnist"
    assert dataset.origin == str(original)
    assert dataset.digests == PUBLISHED["fashion_mnist"].sha256
    assert not dataset.synthetic
    assert dataset.validation_is_test
    assert (len(dataset.train), len(dataset.test)) == (60_000, 10_000)


@pytest.mark.usefixtures("accepted")
def test_the_folder_of_the_environment_is_read_where_the_config_names_none(original, monkeypatch):
    monkeypatch.setenv("FMNIST_DATA_DIR", str(original))
    assert data.load(settings()).origin == str(original)
    with pytest.raises(DataError, match="the data folder /none cannot be read"):
        data.load(settings(dir="/none"))


@pytest.mark.usefixtures("accepted")
def test_a_tilde_is_the_home_folder(original, monkeypatch):
    monkeypatch.setenv("HOME", str(original.parent))
    assert data.load(settings(dir=f"~/{original.name}")).origin == str(original)


def test_the_home_folder_of_nobody_is_an_error():
    with pytest.raises(DataError, match="the data folder ~nobody-of-that-name/data cannot be read"):
        data.load(settings(dir="~nobody-of-that-name/data"))


@pytest.mark.usefixtures("accepted")
def test_validation_images_come_from_training_and_are_the_same_each_time(original):
    dataset = data.load(settings(dir=str(original), val_examples=5_000))
    assert (len(dataset.train), len(dataset.val), len(dataset.test)) == (55_000, 5_000, 10_000)
    assert not dataset.validation_is_test
    again = data.load(settings(dir=str(original), val_examples=5_000))
    assert (dataset.val.labels == again.val.labels).all()
    share = np.bincount(lookalike()[TRAIN_LABELS]) / 12
    assert (np.abs(np.bincount(dataset.val.labels) - share) < 1).all()


@pytest.mark.usefixtures("accepted")
def test_more_validation_images_than_there_are_is_an_error(original):
    with pytest.raises(DataError, match=r"--config.data.val_examples .* at most 59999"):
        data.load(settings(dir=str(original), val_examples=60_000))


def test_a_folder_without_the_files_is_an_error_with_a_hint(tmp_path):
    hint = "set --config.data.dir or FMNIST_DATA_DIR .* unset both to download .* --config.data.name=synthetic"
    with pytest.raises(DataError, match=hint):
        data.load(settings(dir=str(tmp_path)))


def test_no_network_is_an_error_with_a_hint():
    with pytest.raises(
        DataError, match=r"Network is unreachable; set --config.data.dir .*--config.data.name=synthetic"
    ):
        data.load(settings())


def test_a_tfds_that_cannot_be_imported_is_an_error_with_a_hint(monkeypatch):
    monkeypatch.setitem(sys.modules, "fmnist_jax.data.download", None)
    monkeypatch.delattr("fmnist_jax.data.download")
    message = r"tensorflow-datasets, which downloads Fashion-MNIST, cannot be used \(.*\); set --config.data.dir"
    with pytest.raises(DataError, match=message):
        data.load(settings())


@pytest.mark.usefixtures("accepted")
@pytest.mark.parametrize("name", ["fashion_mnist", "auto"])
def test_the_cache_is_read_without_network(cache, name):
    dataset = data.load(settings(name=name))
    assert dataset.name == "fashion_mnist"
    assert dataset.origin == str(cache.parent)


@pytest.mark.usefixtures("accepted")
@pytest.mark.parametrize("name", ["fashion_mnist", "auto"])
def test_a_damaged_cache_is_an_error_with_a_hint(cache, name):
    path = cache / CACHED.format(TEST_LABELS)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError, match=f"{path} is damaged.*; delete that file to have it downloaded again"):
        data.load(settings(name=name))


@pytest.mark.usefixtures("accepted")
@pytest.mark.parametrize("name", ["fashion_mnist", "auto"])
def test_missing_files_are_downloaded(cache, name, monkeypatch):
    missing = cache / CACHED.format(TEST_LABELS)
    missing.unlink()

    def fetch(folder: Path, limits: object, published: object) -> dict[str, Path]:
        write(missing, lookalike()[TEST_LABELS])
        return cached(folder)

    monkeypatch.setattr(download, "fetch", fetch)
    assert data.load(settings(name=name)).name == "fashion_mnist"


def test_csv(csv_folder):
    dataset = data.load(settings(name="csv", dir=str(csv_folder), val_examples=10))
    assert dataset.name == "csv"
    assert set(dataset.digests) == {kaggle_csv.TRAIN, kaggle_csv.TEST}
    assert [len(part) for part in (dataset.train, dataset.val, dataset.test)] == [10, 10, 10]
    assert dataset.train.images[0, 27, 27] == dataset.val.images[0, 27, 27] == 20
    assert dataset.test.images[0, 27, 27] == 10
    assert not dataset.synthetic


def test_csv_and_idx_read_a_zip_archive(csv_folder, tmp_path):
    digests = data.load(settings(name="csv", dir=str(csv_folder))).digests
    for name in raw_files.IDX_FILES:
        write(csv_folder / name, np.arange(5 * 4, dtype=np.uint8).reshape(5, 2, 2) if "images" in name else FIVE)
    archive = Path(shutil.make_archive(str(tmp_path / "only" / "archive"), "zip", csv_folder))
    for folder in (archive, archive.parent):
        found = data.load(settings(name="csv", dir=str(folder)))
        assert (found.digests, found.origin) == (digests, str(folder))
        assert data.load(settings(name="idx", dir=str(folder))).train.images[1].tolist() == [[4, 5], [6, 7]]


def test_auto_takes_the_csv_files_of_a_zip_archive_without_the_original_ones(csv_folder, tmp_path):
    archive = shutil.make_archive(str(tmp_path / "only" / "archive"), "zip", csv_folder)
    assert data.load(settings(name="auto", dir=archive)).name == "csv"


def test_csv_without_a_folder_is_an_error_with_a_hint():
    with pytest.raises(DataError, match=r"csv needs --config.data.dir or FMNIST_DATA_DIR: .*fashion-mnist_train.csv"):
        data.load(settings(name="csv"))


def test_csv_without_a_file_is_an_error_with_a_hint(csv_folder):
    (csv_folder / kaggle_csv.TEST).unlink()
    with pytest.raises(DataError, match=r"lacks fashion-mnist_test.csv\[.gz\] \(it holds .*\); set --config.data.dir"):
        data.load(settings(name="csv", dir=str(csv_folder)))


def test_synthetic_is_built_in_and_needs_no_folder(monkeypatch):
    monkeypatch.setenv("FMNIST_DATA_DIR", "/none")
    dataset = data.load(settings(name="synthetic"))
    assert dataset.synthetic
    assert dataset.origin == "built in"
    assert dataset.digests["train-images"] == raw_files.idx_digest(dataset.train.images)
    # Of the whole set: results on it can only be compared while it stays the same, byte for byte.
    assert dataset.digests == {
        "train-images": "e12e2444cd890f40dd07f827d4f9dcee190aec2a4af64818300b69edbcb4061c",
        "train-labels": "9eddce779882038d65f4680d9bc9c30a75968faf36bd7c6022c239bbc04504a0",
        "test-images": "072e57757a6cb13843134913a07604f3d53b275123d3506f4b34d677ed062a8d",
        "test-labels": "bb73b148f986f4ed623afe626724e2441ca9f6e878c689026864d19284a7c449",
    }


@pytest.mark.usefixtures("accepted")
def test_auto_takes_the_real_one_from_a_folder(original, capsys):
    assert data.load(settings(name="auto", dir=str(original))).name == "fashion_mnist"
    assert capsys.readouterr().err == ""


def test_auto_takes_the_csv_files_of_a_folder_without_the_original_ones(csv_folder):
    section = settings(name="auto", dir=str(csv_folder))
    assert data.load(section).name == "csv"
    (csv_folder / f"{TEST_LABELS}.gz").touch()
    with pytest.raises(DataError, match=r"lacks train-images"):
        data.load(section)


def test_auto_takes_the_synthetic_set_with_a_warning_where_the_real_one_is_unavailable(capsys):
    dataset = data.load(settings(name="auto"))
    assert dataset.synthetic
    (line,) = capsys.readouterr().err.splitlines()
    for words in ("SYNTHETIC", "Network is unreachable", "--config.data.dir", "FMNIST_DATA_DIR"):
        assert words in line


@pytest.mark.usefixtures("accepted")
@pytest.mark.parametrize("damage", ["cut", "missing", "other", "no folder"])
def test_auto_never_replaces_a_damaged_folder(original, tmp_path, damage, monkeypatch):
    folder = shutil.copytree(original, tmp_path / "damaged")
    path = folder / f"{TRAIN_LABELS}.gz"
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-1])
    elif damage == "missing":
        path.unlink()
    elif damage == "other":
        write(path, np.zeros(60_000, np.uint8))
    else:
        shutil.rmtree(folder)
    for name in ("fashion_mnist", "auto"):
        with pytest.raises(DataError, match=str(folder)):
            data.load(settings(name=name, dir=str(folder)))
        monkeypatch.setenv("FMNIST_DATA_DIR", str(folder))
        with pytest.raises(DataError, match=str(folder)):
            data.load(settings(name=name))
        monkeypatch.delenv("FMNIST_DATA_DIR")


def test_an_unknown_name_is_an_error_with_the_nearest():
    section = settings(name="fashion-mnist")
    with pytest.raises(ConfigError, match="did you mean 'fashion_mnist'"):
        data.load(section)


def test_each_built_in_name_is_loaded_or_says_what_is_missing(tmp_path, monkeypatch):
    empty = data.Split(np.zeros((0, 28, 28), np.uint8), np.zeros(0, np.uint8))
    monkeypatch.setattr("fmnist_jax.data.synthetic.generate", lambda: (empty, empty))
    for name in DATASETS.names():
        with pytest.raises(DataError, match=r"validation examples|cannot be read"):
            data.load(settings(name=name, dir=str(tmp_path / "none"), val_examples=10**6))


def test_importing_the_room_imports_neither_jax_nor_tfds():
    check = "import sys, fmnist_jax.data; sys.exit(any(m in sys.modules for m in ('jax', 'tensorflow_datasets')))"
    environment = {**os.environ, "PYTHONPATH": str(Path(data.__file__).parents[2])}
    assert subprocess.run([sys.executable, "-c", check], env=environment, check=False).returncode == 0


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@contextlib.contextmanager
def serving(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Serves the files of a folder, to which TFDS's registered addresses then lead."""
    registered = download.registered
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        address = f"http://127.0.0.1:{server.server_port}"
        here = {name: replace(file, url=f"{address}/{name}.gz") for name, file in registered("fashion_mnist").items()}
        monkeypatch.setattr(
            download,
            "registered",
            lambda data: {name: replace(file, url=here[name].url) for name, file in registered(data).items()},
        )
        monkeypatch.setattr(download, "fetch", FETCH)
        yield
        server.shutdown()
        thread.join()


@pytest.mark.skipif(not REAL, reason="needs the real data set: set FMNIST_DATA_DIR")
def test_the_real_one_comes_through_tfds_registered_checksums(monkeypatch):
    with serving(Path(REAL), monkeypatch):
        dataset = data.load(settings())
    assert len(dataset.train) == 60_000
    assert data.load(settings(name="auto")).digests == dataset.digests
    assert "tensorflow" not in sys.modules


@pytest.mark.parametrize("name", ["mnist", "kmnist"])
def test_the_others_come_through_tfds_registered_checksums(name, original, monkeypatch):
    with serving(original, monkeypatch), pytest.raises(DataError, match=r"is not the registered file|bytes came"):
        data.load(settings(name=name))


@pytest.mark.parametrize("name", ["mnist", "kmnist"])
def test_the_others_are_downloaded_into_the_cache_and_read_from_it(name, original, monkeypatch):
    source, remotes = PUBLISHED[name], {}
    for file, array in lookalike().items():
        content = (original / f"{file}.gz").read_bytes()
        packed = hashlib.sha256(content).hexdigest()
        remotes[file] = download.Remote("", len(content), packed)
        monkeypatch.setitem(source.sha256, file, packed if source.packed else raw_files.idx_digest(array))
    monkeypatch.setattr(download, "registered", lambda _: remotes)
    with serving(original, monkeypatch):
        dataset = data.load(settings(name=name, val_examples=1000))
    assert (dataset.name, len(dataset.train), len(dataset.val)) == (name, 59_000, 1_000)
    assert data.load(settings(name=name)).digests == dataset.digests


@pytest.mark.usefixtures("accepted")
def test_the_variable_names_the_folder_of_another_set_only_where_it_holds_one(original, tmp_path, monkeypatch):
    for file, array in lookalike().items():
        monkeypatch.setitem(PUBLISHED["mnist"].sha256, file, raw_files.idx_digest(array))
    folder = shutil.copytree(original, tmp_path / "all")
    monkeypatch.setenv("FMNIST_DATA_DIR", str(folder))
    with pytest.raises(DataError, match="Network is unreachable"):
        data.load(settings(name="mnist"))
    shutil.copytree(original, folder / "MNIST" / "raw")
    assert data.load(settings(name="mnist")).origin == str(folder / "MNIST" / "raw")
    assert data.load(settings()).origin == str(folder)


def _small(examples: int, *shape: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(examples)
    images, labels = rng.integers(0, 256, (2, examples, *shape), np.uint8), np.arange(examples, dtype=np.uint8) % 3
    return dict(zip(raw_files.IDX_FILES, (images[0], labels, images[1], labels), strict=True))


@pytest.mark.parametrize("shape", [(5, 4), (5, 4, 3)])
def test_idx_reads_any_images_in_mnists_naming(tmp_path, shape):
    arrays = _small(6, *shape)
    (tmp_path / "raw").mkdir()
    for name, array in arrays.items():
        write(tmp_path / "raw" / name.replace("-idx", ".idx"), array)
    dataset = data.load(settings(name="idx", dir=str(tmp_path)))
    assert dataset.description == data.Description("idx", ("0", "1", "2"), (*shape, 1)[:3])
    assert (dataset.test.images == arrays["t10k-images-idx3-ubyte"]).all()
    names = ("cat", "dog", "owl")
    assert data.load(settings(name="idx", dir=str(tmp_path), class_names=names)).description.class_names == names
    with pytest.raises(DataError, match=rf"{tmp_path}/raw: train has the label 2, but there are 2 class names"):
        data.load(settings(name="idx", dir=str(tmp_path), class_names=names[:2]))


def test_npz_reads_kerass_arrays_from_a_file_or_the_only_one_in_a_folder(tmp_path):
    arrays = dict(zip(raw_files.NPZ_ARRAYS, _small(9, 4, 4, 3).values(), strict=True))
    arrays["y_train"] = arrays["y_train"].reshape(-1, 1).astype(np.int64)  # as Keras's cifar10 has them
    np.savez_compressed(tmp_path / "mine.npz", **arrays)
    for path in (tmp_path, tmp_path / "mine.npz"):
        dataset = data.load(settings(name="npz", dir=str(path)))
        assert dataset.description == data.Description("npz", ("0", "1", "2"), (4, 4, 3))
        assert (dataset.train.images == arrays["x_train"]).all()
    np.savez(tmp_path / "other.npz")
    with pytest.raises(DataError, match=r"holds 2 \.npz files; set --config\.data\.dir .* to the path of one"):
        data.load(settings(name="npz", dir=str(tmp_path)))


@pytest.mark.parametrize("name", ["idx", "npz"])
def test_files_of_ones_own_need_a_path(name):
    with pytest.raises(DataError, match=f"config.data.name={name} needs --config.data.dir"):
        data.load(settings(name=name))


def test_class_names_of_a_set_that_has_its_own_are_refused():
    with pytest.raises(ConfigError, match="class_names is for idx and npz; synthetic has names of its own"):
        data.load(settings(name="synthetic", class_names=("a", "b")))


@pytest.fixture
def mine(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(DATASETS, "entries", dict(DATASETS.entries))
    return "mine"


def test_a_data_set_of_ones_own_is_loaded_by_name(mine, tmp_path):
    seen = []

    def loader(folder: Path | None) -> data.Dataset:
        seen.append(folder)
        train, labels, test, _ = _small(9, 4, 6).values()
        return data.dataset_from_arrays((train, labels), (test, labels), class_names=("a", "b", "c"))

    data.register_dataset(mine, loader)
    dataset = data.load(settings(name=mine, val_examples=3))
    assert dataset.description == data.Description(mine, ("a", "b", "c"), (4, 6, 1))
    assert [len(split) for split in (dataset.train, dataset.val, dataset.test)] == [6, 3, 9]
    data.load(settings(name=mine, dir=str(tmp_path)))
    assert seen == [None, tmp_path]
    with pytest.raises(ConfigError, match="did you mean 'mine'"):
        data.load(settings(name="mime"))


def test_a_loader_that_fails_or_returns_something_else_is_named_in_one_line(mine):
    data.register_dataset(mine, lambda folder: {}["images\nof mine"])
    with pytest.raises(ConfigError, match="the loader of data set 'mine' fails: KeyError"):
        data.load(settings(name=mine))
    data.register_dataset(mine, lambda folder: (1, 2))
    with pytest.raises(ConfigError, match=r"'mine' must return what dataset_from_arrays\(...\) does, not tuple"):
        data.load(settings(name=mine))


def test_the_name_of_a_built_in_data_set_is_refused():
    with pytest.raises(ValueError, match="a data set is registered as 'mnist' already"):
        data.register_dataset("mnist", lambda folder: None)
