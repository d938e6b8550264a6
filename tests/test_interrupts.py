from __future__ import annotations

import os
import signal
import threading
import time

import jax.numpy as jnp
import pytest

from fmnist_jax.train.interrupts import Interrupted, Interrupts

SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]


class _Computing:
    """An array that is ready after so many looks at it, at each of which `happening` is called."""

    def __init__(self, looks: int, happening=lambda: None):
        self.looks, self.happening = looks, happening

    def is_ready(self) -> bool:
        self.looks -= 1
        self.happening()
        return self.looks <= 0


def _send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.smoke
@pytest.mark.parametrize(("number", "_"), SIGNALS)
def test_the_first_signal_is_held_back_and_explained(number, _, capsys):
    with Interrupts() as interrupts:
        assert interrupts.received is None
        _send(number)
        assert interrupts.received == number
        interrupts.wait([_Computing(looks=3), jnp.ones(3)])  # goes on to the end of the epoch
    name = signal.Signals(number).name
    assert capsys.readouterr().err == f"{name}: stopping after this epoch; once more to stop at once and lose it\n"


@pytest.mark.parametrize(("number", "exit_code"), SIGNALS)
def test_the_second_signal_ends_the_waiting_at_once(number, exit_code, capsys):
    never = _Computing(looks=10**9, happening=lambda: _send(number))
    with pytest.raises(Interrupted, match="stopped at once") as stop, Interrupts() as interrupts:
        interrupts.wait(never)
    assert (stop.value.exit_code, stop.value.immediate) == (exit_code, True)
    assert capsys.readouterr().err.count("\n") == 1


def test_where_no_epoch_is_to_be_finished_the_first_signal_ends_the_waiting(capsys):
    never = _Computing(looks=10**9, happening=lambda: _send(signal.SIGTERM))
    with pytest.raises(Interrupted, match="stopped at once") as stop, Interrupts(finish_epoch=False) as interrupts:
        interrupts.wait(never)
    assert (stop.value.exit_code, stop.value.signal_number, stop.value.immediate) == (143, signal.SIGTERM, True)
    assert capsys.readouterr().err == ""


def test_asked_between_computations_it_tells_of_a_signal():
    with Interrupts() as interrupts:
        interrupts.check()
        _send(signal.SIGINT)
        with pytest.raises(Interrupted, match="stopped") as stop:
            interrupts.check()
    assert (stop.value.exit_code, stop.value.immediate) == (130, False)


def test_without_signals_it_waits_until_all_is_computed():
    arrays = [_Computing(looks=4), _Computing(looks=2)]
    with Interrupts() as interrupts:
        interrupts.wait({"a": arrays[0], "b": (arrays[1], jnp.ones(2))}, poll=0)
    assert all(array.looks <= 0 for array in arrays)
    assert interrupts.received is None


def test_handlers_are_put_back():
    def handler(number, frame):
        raise AssertionError

    before = signal.signal(signal.SIGTERM, handler)
    try:
        with Interrupts():
            assert signal.getsignal(signal.SIGTERM) != handler
        assert signal.getsignal(signal.SIGTERM) is handler
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGTERM, before)


def test_nobody_else_is_told_of_a_signal_that_it_holds_back():
    receiver, sender = os.pipe()
    os.set_blocking(receiver, False)
    os.set_blocking(sender, False)
    before = signal.set_wakeup_fd(sender)
    try:
        with Interrupts(finish_epoch=False) as interrupts:
            _send(signal.SIGTERM)
            assert interrupts.received == signal.SIGTERM
        with pytest.raises(BlockingIOError):
            os.read(receiver, 1)
        assert signal.set_wakeup_fd(sender) == sender
    finally:
        signal.set_wakeup_fd(before)
        os.close(receiver)
        os.close(sender)


def test_a_signal_while_it_is_entered_or_left_finds_the_handler_before(monkeypatch):
    found, exchange = [], signal.set_wakeup_fd

    def with_a_signal(fd):
        _send(signal.SIGTERM)
        return exchange(fd)

    monkeypatch.setattr(signal, "set_wakeup_fd", with_a_signal)
    before = signal.signal(signal.SIGTERM, lambda number, frame: found.append(number))
    try:
        with Interrupts() as interrupts:
            assert found == [signal.SIGTERM]
        assert (found, interrupts.received) == ([signal.SIGTERM] * 2, None)
    finally:
        signal.signal(signal.SIGTERM, before)


def test_outside_the_main_thread_it_only_waits():
    found = []

    def work():
        with Interrupts() as interrupts:
            found.append(signal.getsignal(signal.SIGTERM))
            interrupts.wait(_Computing(looks=2))
            found.append(interrupts.received)

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [before, None]


def test_waiting_leaves_room_for_signals():
    """A signal is noticed within milliseconds, however long the computation takes."""
    timer = threading.Timer(0.05, lambda: [_send(signal.SIGTERM), time.sleep(0.02), _send(signal.SIGTERM)])
    started = time.monotonic()
    with Interrupts() as interrupts:
        timer.start()
        with pytest.raises(Interrupted):
            interrupts.wait(_Computing(looks=10**9))
        timer.join()
    assert time.monotonic() - started < 5
