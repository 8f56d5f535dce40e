"""Warnings before the first step: of a signal that has died out, of inputs on another scale."""

import numpy as np
import pytest
from fake_run import FakeLoader, Run

from minigrad import training
from minigrad.training import load_checkpoint


def test_signal_diagnostic_tells_a_dead_start_from_a_live_one():
    spread = np.random.default_rng(0).normal(size=(64, 10)) + 7 * np.arange(10)  # classes differ, which means nothing
    assert training.signal_diagnostic(0.02 * spread) is None
    warning = training.signal_diagnostic(0.00006 * spread)
    assert "--init 2012" in warning and "2.30" in warning
    assert training.signal_diagnostic(spread[:1]) is None
    assert training.signal_diagnostic(np.full((3, 4), np.nan)) is not None


@pytest.mark.parametrize("init, std, warns", [("2012", 60, 0), ("2012", 1, 1), ("paper", 0.2, 1), ("he", 1, 0), ("he", 58, 1)])
def test_input_diagnostic(init, std, warns):
    x = np.random.default_rng(0).normal(0, std, (4, 9, 7, 3)).astype(np.float32)
    warning = training.input_diagnostic(x, init)
    assert bool(warning) == bool(warns)
    assert not warns or f"--init {init}" in warning


def test_warnings_come_before_the_first_step_and_only_once(tmp_path):
    run = Run(tmp_path, train_loader=FakeLoader(scale=1e-6))
    run.net.parameter.value *= np.float32(1e-6)
    run.train(epochs=1)
    lines = run.out.getvalue().splitlines()
    assert [line.split(":")[0] for line in lines] == ["Warning", "Warning", "epoch 1/1"]
    assert run.net.step == 5
    again = Run(tmp_path, train_loader=FakeLoader(scale=1e-6))
    again.train(epochs=2, checkpoint=load_checkpoint(tmp_path))
    assert "Warning" not in again.out.getvalue()
