"""A data set of one's own, that of docs/bring_your_own.md: trained, evaluated, predicted, reported."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from run_script import run_script

from fmnist_jax import data
from fmnist_jax.config.python_file import read_config_file, run_registrations
from fmnist_jax.data.images import read_images
from fmnist_jax.data.sources import DATASETS
from fmnist_jax.errors import ConfigError, DataError
from fmnist_jax.report import write_evaluation_report, write_run_report
from fmnist_jax.train.evaluation import evaluate, load_trained
from fmnist_jax.train.loop import train

PAGE = Path(__file__).parent.parent / "docs" / "bring_your_own.md"
CLASSES = ["top", "middle", "bottom"]


@pytest.fixture(autouse=True)
def forget(monkeypatch: pytest.MonkeyPatch):
    """Returns a function that forgets what config files registered."""
    built_in = {name: entry for name, entry in DATASETS.entries.items() if DATASETS.is_built_in(name)}

    def forget() -> None:
        monkeypatch.setattr(DATASETS, "entries", dict(built_in))

    forget()
    return forget


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    section = PAGE.read_text().split("## A data set\n")[1].split("\n## ")[0]
    (code,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    file = tmp_path / "mine.py"
    file.write_text(code)
    return file


def _config(config_file: Path):
    config = read_config_file(config_file)
    config.model.name = "flat"  # of `toy`
    config.train.update(epochs=3, batch_size=64, eval_batch_size=50)
    config.data.val_examples = 50
    return config


@pytest.fixture
def run(config_file: Path, tmp_path: Path) -> Path:
    train(_config(config_file), tmp_path / "run", config_file)
    return tmp_path / "run"


def test_it_is_trained_evaluated_and_reported(run, forget):
    summary = json.loads((run / "summary.json").read_text())
    assert (summary["data"], summary["train_examples"], summary["val_accuracy"]) == ("my_data", 450, 1.0)
    manifest = json.loads((run / "manifest.json").read_text())
    assert (manifest["data"]["class_names"], manifest["data"]["image_shape"]) == (CLASSES, [16, 20, 3])
    forget()  # evaluating runs the config file once more
    assert evaluate(run, "test")["accuracy"] == 1.0
    assert (run / "confusion_matrix.csv").read_text().splitlines()[0].split(",")[1:] == CLASSES
    forget()
    for page in (write_run_report(run), write_evaluation_report(run, "test")):
        assert all(name in page.read_text() for name in CLASSES)


def test_it_is_predicted_without_the_data_set(run, tmp_path, config_file, forget):
    forget()
    config_file.unlink()
    picture = np.zeros((32, 40, 3), np.uint8)
    picture[8:10] = 255
    Image.fromarray(picture).save(tmp_path / "one.png")
    trained = load_trained(run)
    assert trained.description == data.Description("my_data", tuple(CLASSES), (16, 20, 3))
    (row,) = trained.predict(read_images(tmp_path / "one.png", trained.description))
    assert CLASSES[row.argmax()] == "middle"


def test_evaluating_without_the_config_file_says_what_to_pass(run, config_file, forget):
    forget()
    moved = config_file.rename(config_file.with_name("moved.py"))
    with pytest.raises(ConfigError, match=r"data.name must be one of .*'my_data'.*mine.py.* is gone; pass --config"):
        evaluate(run, "test")
    assert evaluate(run, "test", config_file=moved)["accuracy"] == 1.0


def test_a_run_is_resumed_on_the_same_data_only(run, config_file, forget):
    text = config_file.read_text()
    for old, new, message in (
        ("default_rng(0)", "default_rng(1)", "of other content than my_data"),
        ('"bottom"', '"floor"', "began with other class names than my_data has now"),
    ):
        forget()
        config_file.write_text(text.replace(old, new))
        with pytest.raises(DataError, match=message):
            train(_config(config_file), run, config_file)


def test_a_network_made_for_other_images_is_refused_before_anything_is_written(config_file, tmp_path):
    config = _config(config_file)
    config.model.name = "model3"  # whose convolutions leave nothing of 16 pixels
    with pytest.raises(ConfigError, match="at least 18 pixels"):
        train(config, tmp_path / "small", config_file)
    assert not (tmp_path / "small").exists()


def test_registered_names_do_not_outlive_their_file(config_file):
    run_registrations(config_file)
    assert data.load(read_config_file(config_file).data).name == "my_data"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("images[np.arange(600), 4 * labels] = 255", "images = images / np.nan", "pixels that are not finite"),
        ("% 3", "% 4", "train has the label 3, but there are 3 class names"),
        (', "bottom")', ', "bottom", "left")', "there are 4 class names, but labels of 3 classes"),
        ("(images[:100], labels[:100])", "(images[:0], labels[:0])", "test is empty"),
        ("(images[:100], ", "(images[:100, :8], ", "the images of train are 16x20x3, those of test 8x20x3"),
        (
            "np.arange(600) % 3",
            "nosuch",
            "the loader of data set 'my_data' fails: NameError: name 'nosuch' is not defined",
        ),
    ],
)
def test_what_is_wrong_with_it_is_one_line_before_anything_is_written(config_file, tmp_path, old, new, message):
    text = config_file.read_text()
    assert old in text
    config_file.write_text(text.replace(old, new))
    ended = run_script("train", f"--config={config_file}", f"--workdir={tmp_path / 'run'}")
    assert (ended.code, ended.out) == (2, "")
    assert message in ended.err
    assert ended.err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_the_example_of_folders_of_pictures_trains(tmp_path):
    rng = np.random.default_rng(0)
    for split, count in (("train", 9), ("test", 4)):
        for name, level in (("dark", 40), ("light", 210)):
            folder = tmp_path / "pictures" / split / name
            folder.mkdir(parents=True)
            for i in range(count):
                Image.fromarray(rng.normal(level, 9, (20, 30, 3)).clip(0, 255).astype(np.uint8)).save(
                    folder / f"{i}.png"
                )
    flags = ["--config.train.batch_size=6", "--config.train.epochs=2", "--config.model.name=model1"]
    where = [f"--config.data.dir={tmp_path / 'pictures'}", f"--workdir={tmp_path / 'run'}"]
    ended = run_script("train", "--config=docs/examples/my_images.py", *where, *flags)
    assert (ended.code, ended.err) == (0, "")
    assert (tmp_path / "run" / "confusion_matrix.csv").read_text().splitlines()[0] == "true\\predicted,dark,light"
    predicted = run_script("predict", where[1], "--json", tmp_path / "pictures" / "test" / "light" / "0.png")
    assert (predicted.code, predicted.err) == (0, "")
    assert set(json.loads(predicted.out)["probabilities"]) == {"dark", "light"}
    assert run_script("evaluate", where[1]).code == 0
