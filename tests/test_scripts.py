"""The scripts from end to end: what they write and print, signals to them, and what is resumed after a kill."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import shutil
import signal
import subprocess
from pathlib import Path

import idx_files
import numpy as np
import pytest
from kill_and_resume import differences
from PIL import Image
from run_script import run_script, start_script, train_arguments, write_data

from fmnist_jax.data import FASHION_MNIST
from fmnist_jax.data.synthetic import generate
from fmnist_jax.runtime.devices import cores

EPOCHS = 4
SETTINGS = {"train__epochs": EPOCHS, "train__score_test": True}
LINE = r"epoch {}/4  train loss \S+ accuracy \S+%  val loss \S+ accuracy \S+%  [\d,]+ examples/s  \S+ s  ETA \S+"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workdir of a run that a process of its own trained without a disturbance."""
    workdir = tmp_path_factory.mktemp("runs") / "trained"
    process = start_script("train", *train_arguments(workdir, data, **SETTINGS))
    out, err = process.communicate(timeout=300)
    assert (process.returncode, err) == (0, "")
    *_, announced, one, two, three, four, last = out.splitlines()
    assert announced == f"model1 (34,826 parameters), rmsprop, csv (400 training images), cpu; workdir {workdir}"
    for epoch, line in enumerate((one, two, three, four), start=1):
        assert re.fullmatch(LINE.format(epoch), line), line
    assert last == f"finished after epoch {EPOCHS}; report: {workdir}/report.html"
    return workdir


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def records(workdir: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def wait_for_line(process: subprocess.Popen[str], start: str) -> None:
    """Reads what `process` prints until a line begins with `start`."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(start):
            return
    pytest.fail(f"no line began with {start!r}: {process.communicate()}")


def end(process: subprocess.Popen[str]) -> tuple[int, list[str]]:
    """Waits for the end; returns the exit code and the lines on stderr."""
    _, err = process.communicate(timeout=120)
    return process.returncode, err.splitlines()


def test_a_run_leaves_what_is_promised(trained: Path):
    files = {"config.json", "manifest.json", "metrics.jsonl", "summary.json", "confusion_matrix.csv", "predictions.npz"}
    assert names(trained) == files | {"checkpoints", "tensorboard", "plots", "report.html", "report.md", ".lock"}
    assert {str(EPOCHS - 1), str(EPOCHS)} <= names(trained / "checkpoints")
    assert [record["epoch"] for record in records(trained)] == [1, 2, 3, 4]
    assert [record["step"] for record in records(trained)] == [7, 14, 21, 28]
    assert ["test_accuracy" in record for record in records(trained)] == [False, False, False, True]
    summary = json.loads((trained / "summary.json").read_text())
    assert summary["status"] == "finished"
    assert summary["test_accuracy"] == records(trained)[-1]["test_accuracy"]
    assert not summary["validation_is_test"]
    manifest = json.loads((trained / "manifest.json").read_text())
    assert manifest["command"].startswith("python scripts/train.py --workdir=")
    # A device for each core; batches of 64 are enough for two.
    assert (manifest["device"]["count"], manifest["batch_devices"]) == (cores(), min(cores(), 2))


def test_a_finished_run_is_left_as_it_is(trained: Path, data: Path):
    before = {path: path.read_bytes() for path in trained.rglob("*") if path.is_file()}
    ended = run_script("train", *train_arguments(trained, data, **SETTINGS))
    assert ended.out == f"finished after epoch {EPOCHS}; report: {trained}/report.html\n"
    assert (ended.code, ended.err) == (0, "")
    assert {path: path.read_bytes() for path in trained.rglob("*") if path.is_file()} == before


def test_a_run_stopped_by_signals_and_resumed_is_the_uninterrupted_one(trained: Path, data: Path, tmp_path: Path):
    arguments = train_arguments(tmp_path / "run", data, **SETTINGS)
    process = start_script("train", *arguments)
    wait_for_line(process, "epoch 1/")
    process.send_signal(signal.SIGINT)
    code, (notice, message) = end(process)
    assert code == 128 + signal.SIGINT
    assert notice == "SIGINT: stopping after this epoch; once more to stop at once and lose it"
    stopped = re.fullmatch(r"stopped after epoch (\d); run the same command again to resume", message)
    assert stopped, message
    assert len(records(tmp_path / "run")) == int(stopped[1])
    assert stopped[1] in names(tmp_path / "run" / "checkpoints")

    process = start_script("train", *arguments)
    wait_for_line(process, "model1 ")
    process.send_signal(signal.SIGTERM)
    code, lines = end(process)
    assert code == 128 + signal.SIGTERM
    assert lines[-1].endswith("run the same command again") or lines[-1].endswith(
        "run the same command again to resume"
    )

    ended = run_script("train", *arguments)
    assert (ended.code, ended.err) == (0, "")
    assert ", resumed after epoch " in ended.out
    assert differences(tmp_path / "run", trained) == []


def test_a_second_signal_stops_at_once_and_the_run_resumes(trained: Path, data: Path, tmp_path: Path):
    # Steps of one image: an epoch takes long enough for two signals.
    arguments = train_arguments(tmp_path, data, train__batch_size=1)
    process = start_script("train", *arguments)
    wait_for_line(process, "epoch 1/")
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    assert process.stderr.readline().startswith("SIGINT: stopping after this epoch")
    process.send_signal(signal.SIGINT)
    code, lines = end(process)
    assert code == 128 + signal.SIGINT
    assert lines == ["stopped at once, within an epoch; run the same command again to resume"]
    assert len(records(tmp_path)) == 1
    ended = run_script("train", *arguments)
    assert (ended.code, ended.err) == (0, "")
    assert ", resumed after epoch 1; " in ended.out


@pytest.mark.parametrize(
    ("script", "moment", "number"),
    [
        ("train", "jax", signal.SIGINT),
        ("predict", "config.json", signal.SIGTERM),
    ],
)
def test_a_signal_while_there_is_nothing_to_save(
    script: str, moment: str, number: signal.Signals, trained: Path, data: Path, tmp_path: Path
):
    garment = tmp_path / "garment.png"
    Image.linear_gradient("L").resize((28, 28)).save(garment)
    arguments = {
        "train": train_arguments(tmp_path / "run", data, **SETTINGS),
        "predict": [f"--workdir={trained}", garment],
    }
    process = start_script(script, *arguments[script], pause_at=moment)
    wait_for_line(process, "paused")
    process.send_signal(number)
    assert end(process) == (128 + number, [f"{number.name}: stopped; run the same command again"])


def test_a_run_that_cannot_write_its_checkpoints_resumes_where_it_can(trained: Path, data: Path, tmp_path: Path):
    arguments = train_arguments(tmp_path, data, **SETTINGS)
    ended = run_script("train", *arguments, largest_file=100_000)
    assert ended.code == 2
    assert ended.err == (
        f"error: a checkpoint cannot be written to {tmp_path}/checkpoints (File too large); make room there and "
        "run the same command again to resume\n"
    )
    ended = run_script("train", *arguments)
    assert ended.code == 0
    assert re.fullmatch(rf"warning: checkpoint {tmp_path}/checkpoints/\d is missing or incomplete\n", ended.err)
    assert differences(tmp_path, trained) == []


def test_a_damaged_checkpoint_is_one_line(trained: Path, tmp_path: Path):
    shutil.copytree(trained, tmp_path / "run")
    newest = tmp_path / "run" / "checkpoints" / str(EPOCHS)
    for path in (newest / "state" / "d").iterdir():
        path.write_bytes(path.read_bytes()[:100])
    ended = run_script("evaluate", f"--workdir={tmp_path}/run")
    assert (ended.code, ended.err) == (0, f"warning: checkpoint {newest} is damaged (ValueError)\n")


def test_nobody_reads_the_output(trained: Path):
    with start_script("evaluate", f"--workdir={trained}") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 128 + signal.SIGPIPE


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_evaluating_a_split(split: str, trained: Path):
    ended = run_script("evaluate", f"--workdir={trained}", f"--split={split}")
    assert (ended.code, ended.err) == (0, "")
    folder = trained / "evaluations" / split
    summary = json.loads((folder / "summary.json").read_text())
    assert names(folder) == {
        "summary.json",
        "confusion_matrix.csv",
        "predictions.npz",
        "plots",
        "report.html",
        "report.md",
    }
    assert summary["examples"] == {"train": 400, "val": 100, "test": 120}[split]
    assert summary["checkpoint_epoch"] == EPOCHS
    assert ended.out == (
        f"{split}: accuracy {summary['accuracy']:.2%}, loss {summary['loss']:.4f} on {summary['examples']} images, "
        f"after epoch {EPOCHS}; report: {folder}/report.html\n"
    )
    if split != "train":
        last = records(trained)[-1]
        assert (summary["loss"], summary["accuracy"]) == (last[f"{split}_loss"], last[f"{split}_accuracy"])


def test_looking_for_a_device_is_not_heard_of(trained: Path):
    process = start_script("evaluate", f"--workdir={trained}", jax_platforms="", xla_python_client_preallocate="false")
    assert end(process) == (0, [])


@pytest.fixture
def garments() -> np.ndarray:
    """`uint8[3, 28, 28]`."""
    return generate(train_examples=3, test_examples=1)[0].images


def test_predicting_pictures_arrays_and_idx_files_in_order(garments: np.ndarray, trained: Path, tmp_path: Path):
    Image.fromarray(garments[0]).save(tmp_path / "one.png")
    np.save(tmp_path / "two.npy", garments[1:])
    idx_files.write(tmp_path / "three-images-idx3-ubyte.gz", garments)
    files = [tmp_path / name for name in ("two.npy", "one.png", "three-images-idx3-ubyte.gz")]
    ended = run_script("predict", f"--workdir={trained}", *files)
    assert (ended.code, ended.err) == (0, "")
    lines = [line.split(": ") for line in ended.out.splitlines()]
    two, one, three = map(str, files)
    assert [name for name, _ in lines] == [f"{two}[0]", f"{two}[1]", one, f"{three}[0]", f"{three}[1]", f"{three}[2]"]
    answers = [answer for _, answer in lines]
    # The same garments in another order.
    assert answers[3:] == [answers[2], *answers[:2]]
    for answer in answers:
        classes, shares = zip(*(part.rsplit(" ", 1) for part in answer.split(", ")), strict=True)
        assert len(set(classes)) == 3
        assert set(classes) < set(FASHION_MNIST.class_names)
        numbers = [float(share.removesuffix("%")) for share in shares]
        assert numbers == sorted(numbers, reverse=True)


def test_predicting_a_folder_as_a_table_in_spite_of_bad_files(garments: np.ndarray, trained: Path, tmp_path: Path):
    for name, garment in zip(("b.png", "a.jpg"), garments, strict=False):
        Image.fromarray(garment).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "c.png").write_text("damaged")
    ended = run_script("predict", f"--workdir={trained}", "--csv", tmp_path, tmp_path / "gone.png")
    assert ended.code == 2
    damaged, gone = ended.err.splitlines()
    assert damaged.startswith(f"error: {tmp_path / 'c.png'} is not an image")
    assert gone.startswith(f"error: {tmp_path / 'gone.png'} cannot be read")
    rows = list(csv.DictReader(ended.out.splitlines()))
    assert [row["image"] for row in rows] == [str(tmp_path / "a.jpg"), str(tmp_path / "b.png")]
    for row in rows:
        shares = {name: float(row[name]) for name in FASHION_MNIST.class_names}
        assert sum(shares.values()) == pytest.approx(1, abs=1e-5)
        assert row["class"] == max(shares, key=shares.__getitem__)


def test_a_diverged_run_predicts_nothing(data: Path, garments: np.ndarray, tmp_path: Path):
    run, picture = tmp_path / "run", tmp_path / "one.png"
    Image.fromarray(garments[0]).save(picture)
    ended = run_script("train", *train_arguments(run, data, optimizer__learning_rate="1e30", train__epochs=1))
    assert (ended.code, ended.out.splitlines()[-1][:8]) == (0, "diverged")
    ended = run_script("predict", f"--workdir={run}", "--json", picture)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == f"error: the run in {run} diverged: it predicts nothing; take another --checkpoint\n"


def test_predicting_as_json(garments: np.ndarray, trained: Path, tmp_path: Path):
    Image.fromarray(garments[0]).save(tmp_path / "one.png")
    np.save(tmp_path / "two.npy", garments[:2])
    one, two = str(tmp_path / "one.png"), str(tmp_path / "two.npy")
    ended = run_script("predict", f"--workdir={trained}", "--json", one, two, one)
    assert (ended.code, ended.err) == (0, "")
    found = [json.loads(line) for line in ended.out.splitlines()]
    assert [answer["image"] for answer in found] == [one, f"{two}[0]", f"{two}[1]", one]
    for answer in found:
        assert set(answer["probabilities"]) == set(FASHION_MNIST.class_names)
        assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        assert answer["class"] == max(answer["probabilities"], key=answer["probabilities"].get)
    for same in (found[1], found[3]):
        assert same["probabilities"] == pytest.approx(found[0]["probabilities"], abs=1e-5)


PLUGIN = """
import jax
import optax
from flax import nnx

from fmnist_jax import Hyperparameter, Optimizer, default_config, register_model, register_optimizer


@register_model("mine", "every fourth pixel - dense 10")
class Mine(nnx.Module):
    def __init__(self, *, compute, rngs):
        self.logits = nnx.Linear(49, 10, rngs=rngs)

    def __call__(self, x, *, train=False, rngs=None):
        return self.logits(x[:, ::4, ::4].reshape(x.shape[0], -1))


def rule(rate, weight_decay):
    return optax.chain(weight_decay, optax.scale_by_sign(), optax.scale_by_learning_rate(rate))


register_optimizer("sign", Optimizer(rule, {"learning_rate": Hyperparameter(1e-3, low=1e-5, high=1e-1)}, "signs"))


def get_config():
    config = default_config()
    config.model.name, config.optimizer.name = "mine", "sign"
    config.train.epochs = 1
    return config
"""


@pytest.fixture(scope="module")
def plugged_in(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a config file that registers a network and an optimizer, and of the run that it trained."""
    folder = tmp_path_factory.mktemp("plugin")
    (folder / "mine.py").write_text(PLUGIN)
    arguments = train_arguments(folder / "run", data)
    arguments[1] = f"--config={folder / 'mine.py'}"
    ended = run_script("train", *arguments)
    assert (ended.code, ended.err) == (0, "")
    return folder


def test_what_a_config_file_registered_is_found_again(plugged_in: Path, garments: np.ndarray, tmp_path: Path):
    manifest = json.loads((plugged_in / "run" / "manifest.json").read_text())
    digest = hashlib.sha256(PLUGIN.encode()).hexdigest()
    assert manifest["config_file"] == {"path": str(plugged_in / "mine.py"), "sha256": digest}
    np.save(tmp_path / "garment.npy", garments[0])
    for script, arguments in (("evaluate", []), ("predict", [tmp_path / "garment.npy"])):
        ended = run_script(script, f"--workdir={plugged_in / 'run'}", *arguments)
        assert (ended.code, ended.err) == (0, "")


@pytest.mark.parametrize("change", ["gone", "changed", "not recorded"])
def test_a_config_file_that_is_not_found_again_is_named(
    change: str, plugged_in: Path, garments: np.ndarray, tmp_path: Path
):
    shutil.copytree(plugged_in / "run", tmp_path / "run")
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    recorded = tmp_path / "mine.py"
    manifest["config_file"] = {**manifest["config_file"], "path": str(recorded)} if change != "not recorded" else None
    (tmp_path / "run" / "manifest.json").write_text(json.dumps(manifest))
    if change == "changed":
        recorded.write_text(PLUGIN + "# changed\n")
    problem = {
        "gone": f"the run's config file {recorded}, which may register it, is gone; pass --config=FILE, its new path",
        "changed": f"the run's config file {recorded}, which may register it, has changed since the run began; "
        "pass --config=FILE, that file if it still registers the same",
        "not recorded": "pass --config=FILE, the file that registers it",
    }[change]
    np.save(tmp_path / "garment.npy", garments[0])
    for script, arguments in (("evaluate", []), ("predict", [tmp_path / "garment.npy"])):
        arguments = [f"--workdir={tmp_path / 'run'}", *arguments]
        ended = run_script(script, *arguments)
        assert (ended.code, ended.out) == (2, "")
        assert re.fullmatch(rf"error: config.model.name must be one of .*, not 'mine'; {problem}\n", ended.err)
        ended = run_script(script, f"--config={plugged_in / 'mine.py'}", *arguments)
        assert (ended.code, ended.err) == (0, "")


def test_a_checkpoint_is_chosen_by_a_flag(trained: Path, garments: np.ndarray, tmp_path: Path):
    np.save(tmp_path / "garment.npy", garments[0])
    ended = run_script(
        "predict", f"--workdir={trained}", "--json", f"--checkpoint={EPOCHS - 1}", tmp_path / "garment.npy"
    )
    assert (ended.code, ended.err) == (0, "")
    assert json.loads(ended.out)["checkpoint_epoch"] == EPOCHS - 1
    ended = run_script("evaluate", f"--workdir={trained}", f"--checkpoint={EPOCHS - 1}")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.endswith(
        f"after epoch {EPOCHS - 1}; report: {trained}/evaluations/test-epoch{EPOCHS - 1}/report.html\n"
    )
    ended = run_script("evaluate", f"--workdir={trained}", "--checkpoint=9")
    assert ended.code == 2
    assert re.fullmatch(r"error: --checkpoint must be best, last or an epoch of .*3, 4, not '9'\n", ended.err)


def test_a_run_is_exported(trained: Path, tmp_path: Path):
    ended = run_script("export", f"--workdir={trained}", f"--output={tmp_path}/exported", f"--checkpoint={EPOCHS - 1}")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == (
        f"exported after epoch {EPOCHS - 1}, for cpu, cuda, tpu, uint8[batch,28,28] to float32[batch,10]; "
        f"try it: python {tmp_path}/exported/load.py IMAGES.npy\n"
    )
    assert names(tmp_path / "exported") == {"network.jax", "weights.npz", "network.json", "load.py"}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "--output must be given: the folder to write to"),
        (["--output={folder}/new", "--checkpoint=9"], "--checkpoint must be best, last or an epoch of .*3, 4, not '9'"),
        (["--output={folder}/new", "more"], "'more' is not a flag; flags begin with --, see --help"),
    ],
)
def test_an_export_that_cannot_be_made_is_one_line(flags: list[str], message: str, trained: Path, tmp_path: Path):
    ended = run_script("export", f"--workdir={trained}", *(flag.format(folder=tmp_path) for flag in flags))
    assert ended.code == 2
    assert re.fullmatch(f"error: {message}\n", ended.err)
    assert list(tmp_path.iterdir()) == []
