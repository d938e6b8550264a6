from __future__ import annotations

import time

import event_files
import pytest

from fmnist_jax.train.tensorboard import Events


def test_numbers_are_written_at_their_step_under_a_group(tmp_path):
    with Events(tmp_path, 0) as events:
        events.write({"epoch": 1, "step": 4, "train_loss": 0.5, "val_loss": None, "examples_per_second": 7.0})
    assert event_files.read(tmp_path) == {"train/loss": {4: 0.5}, "examples/per_second": {4: 7.0}}


def test_epochs_can_be_seen_while_the_run_goes_on(tmp_path):
    with Events(tmp_path, 0) as events:
        for step in (4, 8):
            events.write({"epoch": step // 4, "step": step, "train_loss": 0.5})
        deadline = time.monotonic() + 20
        while event_files.read(tmp_path) != {"train/loss": {4: 0.5, 8: 0.5}}:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_a_run_resumed_within_a_second_adds_to_what_is_there(tmp_path):
    with Events(tmp_path, 0) as events:
        events.write({"epoch": 1, "step": 4, "train_loss": 0.5})
        events.write({"epoch": 2, "step": 8, "train_loss": 0.25})
    with Events(tmp_path, 4) as events:  # the second epoch had no checkpoint
        events.write({"epoch": 2, "step": 8, "train_loss": 0.125})
    assert event_files.read(tmp_path) == {"train/loss": pytest.approx({4: 0.5, 8: 0.125})}
