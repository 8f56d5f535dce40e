"""Ctrl-C and SIGTERM stop a run between two steps."""

import signal
import threading

import pytest
from fake_run import Run, send, timeless

from minigrad.training import Interrupted, load_checkpoint


def test_a_signal_while_validating_does_not_train_the_epoch_again(tmp_path):
    rows = Run(tmp_path / "whole").train(epochs=1)
    run = Run(tmp_path / "parts")
    run.val_loader.signal_at = (0, 1)
    with pytest.raises(Interrupted):
        run.train(epochs=1)
    again = Run(tmp_path / "parts")
    assert timeless(again.train(epochs=1, checkpoint=load_checkpoint(tmp_path / "parts"))) == timeless(rows)
    assert again.optimizer.steps == 0


def test_a_signal_while_waiting_for_a_batch_starts_no_other_step(tmp_path):
    run = Run(tmp_path)
    run.train_loader.signal_at = (1, 2)
    with pytest.raises(Interrupted):
        run.train()
    assert run.optimizer.steps == 7
    assert load_checkpoint(tmp_path).metadata["batch"] == 2


def test_signal_handlers_are_put_back(tmp_path):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(Interrupted):
        Run(tmp_path, send(signal.SIGTERM, 2)).train()
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_second_ctrl_c_interrupts_at_once(tmp_path):
    def twice(step):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    run = Run(tmp_path, twice)
    with pytest.raises(KeyboardInterrupt):
        run.train()
    assert run.optimizer.steps == 1
    assert not (tmp_path / "checkpoint.safetensors").exists()


def test_training_works_outside_the_main_thread(tmp_path):
    rows = []
    thread = threading.Thread(target=lambda: rows.extend(Run(tmp_path).train(epochs=1)))
    thread.start()
    thread.join()
    assert len(rows) == 1


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="SIGHUP is POSIX's")
def test_a_terminal_that_is_closed_stops_and_saves(tmp_path):
    with pytest.raises(Interrupted):
        Run(tmp_path, send(signal.SIGHUP, 2)).train()
    assert load_checkpoint(tmp_path).metadata["batch"] == 2
    old = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as under nohup
    try:
        assert len(Run(tmp_path / "nohup", send(signal.SIGHUP, 2)).train(epochs=1)) == 1
    finally:
        signal.signal(signal.SIGHUP, old)
