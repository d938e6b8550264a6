from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
import toy

from fmnist_jax import data
from fmnist_jax.data import FASHION_MNIST, Dataset, device
from fmnist_jax.errors import ConfigError
from fmnist_jax.train.executor import Programs
from fmnist_jax.train.interrupts import Interrupted, Interrupts
from fmnist_jax.train.network import Member
from fmnist_jax.train.population import Outcome, Population
from fmnist_jax.train.run import member_of

EXECUTORS = ("vmap", "threads")
PADDED_SIZE = 4
TIMINGS = {"examples_per_second", "train_seconds", "eval_seconds"}
FIGURES = {"epoch", "step", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "learning_rate"}
TESTED = {"test_loss", "test_accuracy"}
SPLITS = (toy.split(toy.TRAIN), toy.split(11, seed=2), toy.split(toy.TEST, seed=1))
DATASET = Dataset(FASHION_MNIST, *SPLITS, "made up", {})
# What compiles fastest; the rates by which members differ.
CONFIG = toy.toy_config(model__name="linear", optimizer__name="sgd")
RATES = (0.1, 0.03, 0.01, 0.003)
TEN_RATES = tuple(0.1 / 2**n for n in range(10))


def _members(rates=RATES) -> list[Member]:
    return [Member(jnp.uint32(seed), {"learning_rate": jnp.float32(rate)}) for seed, rate in enumerate(rates)]


def _population(executor: str, **options) -> Population:
    return Population(CONFIG, DATASET, executor=executor, **options)


def _trained(executor: str, members: list[Member], **options) -> Outcome:
    return _population(executor).train(members, padded_size=PADDED_SIZE, **options)


def _untimed(history: list[dict]) -> list[dict]:
    return [{key: value for key, value in record.items() if key not in TIMINGS} for record in history]


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_member_is_the_single_run(finished, finished_config, executor):
    alone = [json.loads(line) for line in (finished / "metrics.jsonl").read_text().splitlines()]
    member = member_of(finished_config)
    other = Member(jnp.uint32(7), member.hyperparameters | {"learning_rate": jnp.float32(0.1)})
    population = Population(finished_config, data.load(finished_config.data), executor=executor)
    outcome = population.train([other, member], score_test=True)
    assert [set(record) for record in outcome.histories[1]] == [FIGURES | TIMINGS, FIGURES | TIMINGS | TESTED]
    first, last = _untimed(outcome.histories[1])
    equal = dict if executor == "threads" else pytest.approx
    for record, expected in zip((first, last), alone, strict=True):
        assert record == equal({key: expected[key] for key in record})
    assert outcome.histories[0][1]["train_loss"] != pytest.approx(last["train_loss"], rel=1e-2)


@pytest.mark.smoke
@pytest.mark.parametrize("executor", EXECUTORS)
def test_what_comes_out_of_a_chunk(executor):
    epochs = []
    population = _population(executor)
    outcome = population.train(_members(), padded_size=PADDED_SIZE, on_epoch=epochs.append)
    assert epochs == [1, 2]
    assert [[record["step"] for record in history] for history in outcome.histories] == [[4, 8]] * 4
    assert {key for history in outcome.histories for record in history for key in record} == FIGURES | TIMINGS
    rates = [history[0]["learning_rate"] for history in outcome.histories]
    assert rates == pytest.approx(RATES)
    assert (outcome.executor, outcome.device) == (executor, jax.devices()[0].device_kind)
    for record, seconds in zip(outcome.histories[0], outcome.train_seconds, strict=True):
        assert record["examples_per_second"] == toy.TRAIN / seconds
    for seconds in (outcome.train_seconds, outcome.eval_seconds):
        assert len(seconds) == 2
        assert all(second > 0 for second in seconds)
    assert outcome.compile_seconds > 0
    assert population.train(_members()[2:], padded_size=PADDED_SIZE).compile_seconds == 0


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_members_numbers_do_not_depend_on_who_else_is_in_the_chunk(executor):
    together = list(map(_untimed, _trained(executor, _members(), score_test=True).histories))
    others = _trained(executor, _members()[3:0:-1], score_test=True).histories
    assert list(map(_untimed, others)) == together[3:0:-1]


def test_members_stopped_early_are_the_beginning_of_those_trained_to_the_end():
    whole, stopped = (_trained("threads", _members(), stop_after=epochs).histories for epochs in (0, 1))
    assert list(map(_untimed, stopped)) == [_untimed(history)[:1] for history in whole]


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_member_that_diverges_fails_alone(executor):
    good = list(map(_untimed, _trained(executor, _members(), score_test=True).histories))
    epochs = []
    members = _members((*RATES[:2], 1e38, RATES[3]))
    outcome = _trained(executor, members, score_test=True, on_epoch=epochs.append)
    assert [_untimed(outcome.histories[index]) for index in (0, 1, 3)] == [*good[:2], good[3]]
    (failed,) = outcome.histories[2]
    assert (failed["epoch"], failed["val_loss"]) == (1, None)
    assert (failed["test_loss"], failed["test_accuracy"]) == (None, None)
    assert epochs == [1, 2]


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_chunk_of_which_all_diverged_is_over(executor):
    epochs = []
    outcome = _trained(executor, _members((1e38, 2e38)), score_test=True, on_epoch=epochs.append)
    assert epochs == [1]
    assert len(outcome.train_seconds) == len(outcome.eval_seconds) == 1
    assert [history[-1]["test_accuracy"] for history in outcome.histories] == [None, None]


def test_members_are_sharded_over_all_devices():
    """Ten members on eight devices: two places on each, six of them filled up."""
    code = """
import json, jax, test_population as tests
population = tests._population("vmap")
outcome = population.train(tests._members(tests.TEN_RATES), score_test=True)
print(json.dumps([outcome.histories, outcome.device, population.chunks(10)]))
"""
    environment = os.environ | {
        "XLA_FLAGS": "--xla_force_host_platform_device_count=8",
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parent.parent)]),
    }
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    histories, kind, chunks = json.loads(done.stdout)
    assert (kind, chunks) == ("8 x cpu", [10])
    alone = _population("threads").train(_members(TEN_RATES), score_test=True)
    for ours, expected in zip(map(_untimed, histories), map(_untimed, alone.histories), strict=True):
        assert ours == [pytest.approx(record) for record in expected]


def test_one_program_serves_all_members_and_touches_the_host_only_for_counts():
    chunk = _population("vmap").begin(_members(), padded_size=PADDED_SIZE)
    chunk.prepare(["val"])
    with jax.transfer_guard("disallow"):
        trained, scored = chunk.train(range(4)), chunk.evaluate("val", range(4))
        jax.block_until_ready(chunk.state)
    assert [int(sums.examples) for sums in trained.result().values()] == [toy.TRAIN] * 4
    assert [int(sums.examples) for sums in scored.result().values()] == [11] * 4
    analysis = chunk._programs.epoch(chunk._data["train"]).memory_analysis()
    state = sum(leaf.nbytes for leaf in jax.tree.leaves(chunk.state))
    assert analysis.alias_size_in_bytes == state  # it is donated


@pytest.mark.parametrize("executor", EXECUTORS)
def test_chunks_are_equal_but_for_the_last(executor):
    population = _population(executor, max_concurrent=PADDED_SIZE)
    assert population.chunks(10) == [4, 4, 2]
    assert population.chunks(8) == [4, 4]
    assert population.chunks(4) == [4]


def test_chunks_fit_the_memory_and_fill_it():
    def largest(budget: int) -> int:
        return max(_population("vmap", budget_bytes=budget).chunks(16))

    def needed(members: int) -> int:
        """What a program takes, by the compiler's own account: all its arguments with the data, and what it makes."""
        chunk = _population("vmap").begin(_members((0.1,) * members))
        analysis = chunk._programs.epoch(chunk._data["train"]).memory_analysis()
        scored = (11 + toy.TEST) * (28 * 28 + 4)
        made = analysis.output_size_in_bytes - analysis.alias_size_in_bytes + analysis.temp_size_in_bytes
        return analysis.argument_size_in_bytes + made + scored

    assert _population("vmap").chunks(16) == [16]
    budget = needed(PADDED_SIZE)
    size = largest(budget)
    assert needed(size) <= budget
    # For less than a chunk more: 16 members make 4 chunks of 4, or 6 of 3.
    assert size in (PADDED_SIZE, PADDED_SIZE - 1)
    assert largest(budget - (needed(size) - needed(1))) == 1


@pytest.mark.parametrize("executor", EXECUTORS)
def test_too_little_memory_for_a_single_member_is_an_error_that_names_the_way_out(executor):
    with pytest.raises(
        ConfigError, match=r"one member takes 0\.\d+ MiB .* are 0\.0\d+ MiB; set a smaller --config\.train\.batch_size"
    ):
        _population(executor, budget_bytes=70_000).chunks(2)
    with pytest.raises(ConfigError, match="there are 0 MiB"):
        _population(executor, budget_bytes=10_000).chunks(2)  # too little for the data even


@pytest.mark.parametrize("executor", EXECUTORS)
def test_memory_exhausted_in_training_is_a_line_that_names_the_option(executor, monkeypatch):
    def exhausted(*arguments):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 1 bytes.")

    monkeypatch.setattr(Programs, "epoch", lambda *_: exhausted)
    with pytest.raises(ConfigError, match=r"set --config\.study\.members_at_once below 4 "):
        _trained(executor, _members())
    with pytest.raises(ConfigError, match=r"set a smaller --config\.train\.batch_size"):
        _trained(executor, _members()[:1])


def test_what_fails_in_a_thread_surfaces(monkeypatch):
    class Broken(Exception):
        pass

    def broken(*arguments):
        raise Broken

    monkeypatch.setattr(Programs, "epoch", lambda *_: broken)
    with pytest.raises(Broken):
        _trained("threads", _members())


@pytest.mark.parametrize("executor", EXECUTORS)
def test_on_epoch_may_stop_it(executor):
    class Stop(Exception):
        pass

    def stop(epoch: int):
        raise Stop

    before = threading.active_count()
    with pytest.raises(Stop):
        _trained(executor, _members(), on_epoch=stop)
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and "ThreadPool" in thread.name:
            thread.join(timeout=10)
    assert threading.active_count() <= before


@pytest.mark.parametrize("held_back", [False, True])
def test_a_signal_stops_within_an_epoch(monkeypatch, held_back):
    released = threading.Event()

    def lasting(*arguments):
        os.kill(os.getpid(), signal.SIGINT)
        released.wait(60)
        raise AssertionError

    monkeypatch.setattr(Programs, "epoch", lambda *_: lasting)
    try:
        if held_back:
            with Interrupts(finish_epoch=False) as interrupts, pytest.raises(Interrupted):
                _trained("threads", _members()[:1], interrupts=interrupts)
        else:
            with pytest.raises(KeyboardInterrupt):
                _trained("threads", _members()[:1])
        assert not released.is_set()
    finally:
        released.set()


def test_members_of_different_hyperparameters_cannot_be_one_population():
    members = _members()
    members[1].hyperparameters["weight_decay"] = jnp.float32(0.1)
    with pytest.raises(ValueError, match=r"need the same hyperparameters.*weight_decay"):
        _trained("threads", members)


def test_a_padded_size_below_the_members_is_refused():
    with pytest.raises(ValueError, match="4 members do not fit into padded_size=3"):
        _population("vmap").train(_members(), padded_size=3)


def test_on_a_cpu_members_go_side_by_side():
    population = Population(CONFIG, DATASET, devices=jax.devices("cpu"))
    assert population.executor == "threads"


@pytest.mark.parametrize("executor", EXECUTORS)
def test_populations_share_one_copy_of_the_data_on_the_device(monkeypatch, executor):
    put, copied = device.put, []

    def counting(split, sharding):
        copied.append(split)
        return put(split, sharding)

    monkeypatch.setattr(device, "put", counting)
    populations = [_population(executor), _population(executor)]
    for population in populations:
        population.train(_members()[:1])
    assert copied == [DATASET.train, DATASET.val]
    del population, populations
    gc.collect()
    assert not device._ON_DEVICE  # nor does it stay when nobody uses it
