"""Compiles the programs of a run and of populations for a target, and says what they cost."""

from __future__ import annotations

import contextlib
import itertools
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.stages import Compiled
from ml_collections import ConfigDict

from fmnist_jax.benchmark.aot.targets import Chip, Target
from fmnist_jax.benchmark.checks import check_names, check_sizes
from fmnist_jax.benchmark.problem import TEST_EXAMPLES, TRAIN_EXAMPLES
from fmnist_jax.config.schema import CONV_ALGORITHMS, PRECISIONS
from fmnist_jax.data import FASHION_MNIST
from fmnist_jax.data.device import DeviceSplit
from fmnist_jax.errors import ConfigError
from fmnist_jax.ops.conv_algorithm import portable
from fmnist_jax.runtime import memory
from fmnist_jax.train.executor import Programs, with_sharding
from fmnist_jax.train.run import make_run, member_of
from fmnist_jax.train.sharded import shard_batches, shard_members

PROGRAMS = ("epoch", "step", "evaluate")
_COLLECTIVES = re.compile(
    r" (all-gather|all-reduce|all-to-all|collective-broadcast|collective-permute|reduce-scatter|ragged-all-to-all)"
    r"(?:-start)?\("
)
_COSTS = ("flops", "bytes", "images_per_second", "bound", "memory_bytes", "member_bytes", "members_fit", "collectives")


class Variant(NamedTuple):
    """A way to run a config.

    **Attributes:**

    - `members`: trained at once by each device: 1 for a single run, on one device; more for a population, so many on
      each of the target's devices.
    - `precision`, `algorithm`: as `config.precision` and `config.model.conv_algorithm`.
    """

    members: int
    precision: str
    algorithm: str


def variants(
    config: ConfigDict, members: Sequence[str], precisions: Sequence[str], algorithms: Sequence[str], target: Target
) -> list[Variant]:
    """Returns each combination; without precisions or algorithms, of the config's.

    On an accelerator the algorithm `auto` is `xla`, as `fmnist_jax.ops.conv_algorithm` has it.

    **Raises:** `ConfigError`, naming the flag, for what is none.
    """
    if not members:
        raise ConfigError("--members must be numbers of members, as in 1,64")
    check_sizes("members", "numbers of members, as in 1,64", members)
    check_names("precision", precisions, PRECISIONS)
    check_names("algorithm", algorithms, CONV_ALGORITHMS)
    auto = "auto" if target.chip is None else "xla"
    chosen = [auto if each == "auto" else each for each in algorithms or [config.model.conv_algorithm]]
    combinations = itertools.product(map(int, members), precisions or [config.precision], chosen)
    return [Variant(*each) for each in dict.fromkeys(combinations)]


def measure(config: ConfigDict, target: Target, variant: Variant, program: str) -> dict[str, Any]:
    """Compiles a program for Fashion-MNIST; returns what it costs each device, ready for JSON.

    - `program`: of `PROGRAMS`; a step is an epoch of one batch. `members`, `precision`, `algorithm`: the variant.
    - `devices`: how many the program is for.
    - `compile_seconds`: tracing and lowering included. `compile_cpu_seconds`: CPU time over all threads, which other
      processes of the machine change less.
    - `error`: why it does not compile, else `None`. With one, what follows is `None`.
    - `flops`, `bytes`: arithmetic and memory traffic of all members, as the compiler counts them: a loop's body once,
      so of `evaluate` they are one batch's. `None` where it does not count.
    - `memory_bytes`: of all that the program needs while it runs; `member_bytes`: of each member, so without the data;
      `members_fit`: how many would fit beside the whole data set.
    - `images_per_second`: by the roofline, over all members; `bound`: by `"flops"` or `"bytes"`. `None` for an epoch.
    - `collectives`: name -> number of operations in which devices communicate.
    """
    row: dict[str, Any] = {"program": program, **variant._asdict()}
    row["devices"] = 1 if variant.members == 1 else len(target.devices)
    seconds = _stopwatch()
    try:
        compiled, split = _compile(config, target, variant, program)
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        return {**row, **seconds(), "error": "out of memory", **dict.fromkeys(_COSTS)}
    row |= {**seconds(), "error": None}
    batch = {"epoch": None, "step": config.train.batch_size, "evaluate": config.train.eval_batch_size}[program]
    counted, needed = _counted(compiled, variant, target.chip, batch), _memory(compiled, split, variant, target.chip)
    return {**row, **counted, **needed, "collectives": Counter(_COLLECTIVES.findall(compiled.as_text() or ""))}


def _stopwatch() -> Callable[[], dict[str, float]]:
    """Returns a function that returns the seconds since now."""
    clocks = {"compile_seconds": time.perf_counter, "compile_cpu_seconds": time.process_time}
    begun = {name: clock() for name, clock in clocks.items()}
    return lambda: {name: clock() - begun[name] for name, clock in clocks.items()}


def _compile(config: ConfigDict, target: Target, variant: Variant, program: str) -> tuple[Compiled, DeviceSplit]:
    """Returns the program that `train` or `compare` would run, and the shapes of its data."""
    config = config.copy_and_resolve_references()
    config.precision, config.model.conv_algorithm = variant.precision, variant.algorithm
    examples = TRAIN_EXAMPLES - config.data.val_examples
    examples = {"epoch": examples, "step": config.train.batch_size, "evaluate": TEST_EXAMPLES}[program]
    run, member = make_run(config, examples), jax.eval_shape(lambda: member_of(config))
    if variant.members == 1:
        run, sharded = shard_batches(run, target.devices[:1])
        replicated = sharded
    else:
        run, sharded, replicated = shard_members(run, target.devices)
        stacked = (variant.members * len(target.devices),)
        member = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(stacked, leaf.dtype), member)
    state, member = (with_sharding(tree, sharded) for tree in (jax.eval_shape(run.init, member), member))
    programs, split = Programs(run, state, member, target.compile), with_sharding(_split(examples), replicated)
    with portable() if variant.algorithm == "xla" else contextlib.nullcontext():
        return programs.evaluate(split) if program == "evaluate" else programs.epoch(split), split


def _split(examples: int) -> DeviceSplit:
    """The shapes of a split."""
    images, labels = (examples, *FASHION_MNIST.array_shape), (examples,)
    return jax.eval_shape(lambda: DeviceSplit(jnp.zeros(images, jnp.uint8), jnp.zeros(labels, jnp.int32)))


def _counted(compiled: Compiled, variant: Variant, chip: Chip | None, batch: int | None) -> dict[str, Any]:
    analysis: Any = compiled.cost_analysis() or {}
    found = {"flops": analysis.get("flops"), "bytes": analysis.get("bytes accessed")}
    if chip is None or batch is None or None in found.values():
        return {**found, "images_per_second": None, "bound": None}
    rates = {"flops": chip.flops_per_second[variant.precision], "bytes": chip.bytes_per_second}
    seconds = {key: value / rates[key] for key, value in found.items()}
    bound = max(seconds, key=lambda key: seconds[key])
    return {**found, "images_per_second": variant.members * batch / seconds[bound], "bound": bound}


def _memory(compiled: Compiled, split: DeviceSplit, variant: Variant, chip: Chip | None) -> dict[str, Any]:
    arguments: Any = compiled.memory_analysis()
    needed = memory.program_nbytes(compiled) + arguments.argument_size_in_bytes
    each = (needed - memory.tree_nbytes(split)) / variant.members
    data = memory.tree_nbytes(_split(TRAIN_EXAMPLES + TEST_EXAMPLES))
    fit = None if chip is None else int((memory.SHARE_OF_DEVICE * chip.memory_bytes - data) // each)
    return {"memory_bytes": needed, "member_bytes": each, "members_fit": fit}
