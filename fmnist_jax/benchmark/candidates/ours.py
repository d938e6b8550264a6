"""fmnist_jax: a single run by the programs of `scripts/train.py`, or a population by those of `scripts/compare.py`."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from fmnist_jax.benchmark.candidates import Go, Implementation, Unavailable, network_tasks, random_images
from fmnist_jax.benchmark.candidates.machine import on_jax
from fmnist_jax.benchmark.problem import EVAL_BATCH, Precision, Problem
from fmnist_jax.config.schema import default_config
from fmnist_jax.data import FASHION_MNIST, Dataset, Split
from fmnist_jax.models import count_parameters
from fmnist_jax.runtime import devices
from fmnist_jax.train.executor import MemberBatch
from fmnist_jax.train.population import Population
from fmnist_jax.train.run import make_run, member_of
from fmnist_jax.train.sharded import DataParallelRun


def make(problem: Problem, variant: str) -> Implementation:
    """Returns the implementation; `variant` is empty for a single run, or such as `"vmap 8"` or `"threads 8"`.

    That is a population of eight by that executor; every member has batches of its own.
    """
    devices.use_all_cores()
    set_precision(problem.precision)
    config = config_of(problem)
    executor, _, members = variant.partition(" ")
    alive = range(int(members or 1))

    def train(batches: int) -> Go:
        batch = _begin(config, executor, alive, batches * problem.batch_size, 1)
        return lambda: batch.train(alive).result()

    def evaluate(batches: int) -> Go:
        batch = _begin(config, executor, alive, problem.batch_size, batches * EVAL_BATCH)
        return lambda: batch.evaluate("val", alive).result()

    state = jax.eval_shape(make_run(config, problem.batch_size).init, member_of(config))
    return on_jax(network_tasks(train, evaluate, problem.batch_size, len(alive)), count_parameters(state.params))


def _begin(config: ConfigDict, executor: str, seeds: range, train: int, val: int) -> MemberBatch:
    """Returns the initialized members, with that many random examples; without an executor, a single run."""
    train_split, val_split = Split(*random_images(train)), Split(*random_images(val))
    dataset = Dataset(FASHION_MNIST, train_split, val_split, val_split, "in memory", {})
    if executor:
        members = [member_of(config)._replace(seed=jnp.uint32(seed)) for seed in seeds]
        return Population(config, dataset, executor=executor).begin(members)
    run = DataParallelRun(config, train, devices.for_training(config))
    return run.begin(dataset, run.programs.init()(run.member))


def config_of(problem: Problem) -> ConfigDict:
    """Returns the config of the run that is timed."""
    config = default_config()
    config.model.name = problem.network
    config.model.options.update(_options(problem))
    config.model.conv_algorithm = problem.algorithm
    config.precision = "bfloat16" if problem.precision == "bfloat16" else "float32"
    config.optimizer.name = problem.optimizer
    config.optimizer.learning_rate = problem.learning_rate
    config.train.batch_size = problem.batch_size
    config.train.eval_batch_size = EVAL_BATCH
    return config


def _options(problem: Problem) -> dict[str, object]:
    """The options that give our network the width of the problem."""
    first = problem.channels
    match problem.network:
        case "model3":
            return {"first": first, "third": 4 * first}
        case "speednet":
            return {"widths": (first, 2 * first, 4 * first)}
        case "resnet8":
            if first % 16:
                raise Unavailable(f"our resnet8 has multiples of 16 channels, not {first}")
            return {"width": first // 16}
    return {"first": first}


def set_precision(precision: Precision) -> None:
    """Sets the precision of this process's float32 products; `""` and `"bfloat16"` leave it to the backend.

    **Raises:** `Unavailable` for TF32 where the device has none; JAX would silently compute in float32.
    """
    device = jax.devices()[0]
    # NVIDIA's GPUs have TF32 from compute capability 8.0 on, no other device has it.
    major = str(getattr(device, "compute_capability", "")).partition(".")[0]
    if precision == "tf32" and not (major.isdecimal() and int(major) >= 8):
        raise Unavailable(f"{device.device_kind} has no TF32")
    if precision in ("float32", "tf32"):
        jax.config.update("jax_default_matmul_precision", {"tf32": "tensorfloat32"}.get(precision, precision))
