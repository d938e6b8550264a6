from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
import toy
from flax import nnx

from fmnist_jax import data, export_network, models, ops
from fmnist_jax.data import FASHION_MNIST, Description
from fmnist_jax.errors import ConfigError, UserError, WorkdirError
from fmnist_jax.train.checkpoints import Checkpoints
from fmnist_jax.train.evaluation import load_trained
from fmnist_jax.train.export import PLATFORMS, export
from fmnist_jax.train.loop import train
from fmnist_jax.train.run import make_run, member_of
from fmnist_jax.train.weights import gather

SIZES = (1, 7, toy.EVAL_BATCH)
COLOURED = Description("coloured", ("a", "b", "c"), (9, 8, 3))


@models.register("toy-conv", "a convolution of ours - batch normalisation - one of Flax's - dropout - dense")
class Convolutional(nnx.Module):
    def __init__(self, *, algorithm: str = "xla", image_shape: tuple[int, int, int], num_classes: int, rngs: nnx.Rngs):
        self.algorithm = algorithm
        self.kernel = nnx.Param(jnp.sin(jnp.arange(9.0 * image_shape[-1] * 8)).reshape(3, 3, image_shape[-1], 8))
        self.norm = nnx.BatchNorm(8, rngs=rngs)
        self.conv = nnx.Conv(8, 8, (3, 3), rngs=rngs)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)
        self.logits = nnx.Linear(8, num_classes, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = nnx.relu(self.norm(ops.conv2d(x[:, ::4, ::4], self.kernel[...], padding="SAME", algorithm=self.algorithm)))
        return self.logits(self.dropout(nnx.relu(self.conv(x)).mean((1, 2))))


@models.register("one-by-one", "toy, written for batches of a known size")
class OneByOne(toy.Toy):
    def __call__(self, x: jax.Array, *, train: bool = False, rngs: nnx.Rngs | None = None) -> jax.Array:
        return jnp.concatenate([super(OneByOne, self).__call__(image[None], train=train, rngs=rngs) for image in x])


def _images(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (number, 28, 28), np.uint8)


def _loaded(folder: Path):
    """Returns an export as a function of images, from its files."""
    artifact = jax.export.deserialize(bytearray((folder / "network.jax").read_bytes()))
    with np.load(folder / "weights.npz") as file:
        weights = dict(file)
    call = jax.jit(artifact.call)
    return lambda images: np.asarray(call(weights, images))


def _changed(run: Path, folder: Path, old: str, new: str) -> Path:
    """Returns a copy of a run with another text in its config."""
    copy = shutil.copytree(run, folder)
    text = (copy / "config.json").read_text()
    assert text.count(old) == 1
    (copy / "config.json").write_text(text.replace(old, new))
    return copy


@pytest.fixture(scope="module")
def runs(toy_data, finished, tmp_path_factory) -> dict[str, Path]:
    """The workdirs of runs with XLA's convolutions."""
    folder = tmp_path_factory.mktemp("runs")
    changes = {"model__name": "toy-conv", "train__ema_decay": 0.5, "train__statistics_batches": 2}
    given = {"model__conv_algorithm": "xla", "data__val_examples": 11, "train__epochs": 1}
    train(toy.toy_config(toy_data, **given, **changes), folder / "averaged")
    views = _changed(finished, folder / "views", '"tta": "none"', '"tta": "flip+translate"')
    return {"dense": finished, "averaged": folder / "averaged", "views": views}


@pytest.mark.parametrize("name", ["dense", "averaged", "views"])
def test_an_export_predicts_what_the_run_predicts_bit_for_bit(name, runs, tmp_path):
    export_network(runs[name], tmp_path)
    predict, trained = _loaded(tmp_path), load_trained(runs[name])
    for size in SIZES:
        probabilities = predict(_images(size))
        assert probabilities.shape == (size, 10)
        assert (probabilities == trained.predict(_images(size))).all()
    # These the run predicts in several batches.
    np.testing.assert_allclose(predict(_images(23)), trained.predict(_images(23)), rtol=1e-5)


def test_with_a_faster_algorithm_the_predictions_are_the_same_up_to_rounding(runs, tmp_path):
    old = '"name": "toy-conv",\n    "options": {}'
    run = _changed(runs["averaged"], tmp_path / "run", old, old.replace("{}", '{"algorithm": "winograd"}'))
    export_network(run, tmp_path / "exported")
    found, expected = _loaded(tmp_path / "exported")(_images(7)), load_trained(run).predict(_images(7))
    assert (found != expected).any()
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def _exported(name: str, description: Description = FASHION_MNIST, **changes) -> jax.export.Exported:
    """The artifact of a network with weights of zero."""
    config = toy.toy_config(model__name=name, **changes)
    if name == "toy-conv":
        config.model.options.algorithm = "auto"  # as of a network that calls our convolution with its defaults
    run = make_run(config, 100, description)
    shapes = jax.eval_shape(lambda member: run.evaluated(run.init(member)), member_of(config))
    evaluated = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)
    return export(run, gather(*evaluated), evaluated, description.image_shape)


BUILT_IN = [name for name in models.names() if models.registry.MODELS.is_built_in(name)]


@pytest.mark.parametrize("name", [*BUILT_IN, "toy-conv"])
def test_every_network_is_lowered_for_every_platform_with_xlas_convolutions(name):
    artifact = _exported(name)
    assert artifact.platforms == PLATFORMS == ("cpu", "cuda", "tpu")
    text = artifact.mlir_module()
    assert set(re.findall(r"custom_call @(\w+)", text)) <= {"shape_assertion"}  # none of one platform
    operations = re.findall(r"stablehlo\.(\w+)", text)
    assert "convolution" in operations
    assert not {"fft", "dynamic_slice", "dynamic_update_slice"} & set(operations)  # of transforms and of chunks


def test_images_may_have_any_shape_and_precision():
    artifact = _exported("toy-conv", COLOURED, precision="bfloat16")
    assert str(artifact.in_avals[-1].str_short()) == "uint8[batch,9,8,3]"
    assert str(artifact.out_avals[0].str_short()) == "float32[batch,3]"
    weights = jax.tree.map(lambda aval: np.zeros(aval.shape, aval.dtype), artifact.in_avals[:-1])
    names = dict(zip(sorted(_names(artifact)), weights, strict=True))
    found = jax.jit(artifact.call)(names, np.zeros((2, 9, 8, 3), np.uint8))
    np.testing.assert_allclose(found, 1 / 3, rtol=1e-6)


def _names(artifact: jax.export.Exported) -> list[str]:
    (weights, _), _ = jax.tree.unflatten(artifact.in_tree, range(len(artifact.in_avals)))
    return list(weights)


def test_what_lies_beside_the_artifact(finished, finished_config, tmp_path):
    about = export_network(finished, tmp_path / "new" / "folder", "best")
    folder = tmp_path / "new" / "folder"
    assert {path.name for path in folder.iterdir()} == {"network.jax", "weights.npz", "network.json", "load.py"}
    assert json.loads((folder / "network.json").read_text()) == json.loads(json.dumps(about))
    assert about["class_names"] == list(FASHION_MNIST.class_names)
    assert about["image_shape"] == [28, 28, 1]
    assert about["images"] == "uint8[batch,28,28]"
    assert about["platforms"] == ["cpu", "cuda", "tpu"]
    for name, digest in about["sha256"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    assert about["config"] == finished_config.to_dict()
    assert about["checkpoint_epoch"] == load_trained(finished, "best").checkpoint.epoch
    assert about["data"]["digests"] == dict(data.load(finished_config.data).digests)
    assert about["versions"]["jax"] == jax.__version__


def test_exporting_again_gives_the_same_files(finished, tmp_path):
    first, second, other = (export_network(finished, tmp_path, which) for which in ("last", "2", "1"))
    assert first == second
    assert first["sha256"]["weights.npz"] != other["sha256"]["weights.npz"]


BLOCKED = ("fmnist_jax", "flax", "optax", "orbax", "ml_collections", "absl")


def test_the_loader_needs_neither_this_package_nor_flax(finished, tmp_path):
    export_network(finished, tmp_path / "exported")
    images = _images(5)
    np.save(tmp_path / "images.npy", images)
    code = f"import sys, runpy; sys.modules |= dict.fromkeys({BLOCKED}); runpy.run_path('load.py', run_name='__main__')"
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [sys.executable, "-c", code, "../images.npy"]
    done = subprocess.run(
        command, cwd=tmp_path / "exported", env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    rows = load_trained(finished).predict(images)
    assert done.stdout.splitlines() == [f"{FASHION_MNIST.class_names[row.argmax()]} {row.max():.1%}" for row in rows]


def test_a_network_that_wants_to_know_the_size_of_the_batch_is_refused(finished, tmp_path):
    run = _changed(finished, tmp_path / "run", '"name": "toy"', '"name": "one-by-one"')
    with pytest.raises(ConfigError, match=r"model 'one-by-one' cannot be exported for batches of any size: .*test_exp"):
        export_network(run, tmp_path / "exported")
    assert not (tmp_path / "exported").exists()


def test_a_diverged_run_is_refused(finished, tmp_path):
    run = shutil.copytree(finished, tmp_path / "run")
    checkpoint = load_trained(run).checkpoint
    params = jax.tree.map(lambda leaf: leaf * jnp.nan, checkpoint.state.params)
    checkpoints = Checkpoints(run / "checkpoints", checkpoint.state, keep=3)
    checkpoints.resume_from(checkpoint)
    checkpoints.save(3, checkpoint.state._replace(params=params), [{"epoch": 3, "val_accuracy": 0.1}])
    checkpoints.close()
    with pytest.raises(WorkdirError, match=r"diverged: there is nothing to export; take another --checkpoint"):
        export_network(run, tmp_path / "exported")
    assert not (tmp_path / "exported").exists()
    assert export_network(run, tmp_path / "exported", "2")["checkpoint_epoch"] == 2


@pytest.mark.parametrize(
    ("workdir", "checkpoint", "message"),
    [
        ("{folder}/nosuch", "last", r"holds no run \(no config\.json\)"),
        ("{finished}", "9", r"--checkpoint must be best, last or an epoch of 1, 2, not '9'"),
    ],
)
def test_what_is_not_there_is_named_and_nothing_is_written(workdir, checkpoint, message, finished, tmp_path):
    with pytest.raises(UserError, match=message):
        export_network(workdir.format(folder=tmp_path, finished=finished), tmp_path / "exported", checkpoint)
    assert not (tmp_path / "exported").exists()


def test_a_folder_that_is_a_file_is_refused(finished, tmp_path):
    (tmp_path / "file").write_text("a file")
    with pytest.raises(WorkdirError, match=r"file/network\.json cannot be"):
        export_network(finished, tmp_path / "file")
    assert (tmp_path / "file").read_text() == "a file"
