"""What a run shows while it lasts."""

import io

import pytest
from fake_run import Run

from minigrad.training import progress
from minigrad.training.progress import rate


def test_a_terminal_sees_a_bar(tmp_path):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    run = Run(tmp_path)
    run.out = Terminal()
    run.train(epochs=1)
    text = run.out.getvalue()
    assert "epoch 1/1" in text and "left |" in text and "validating" in text
    assert text.rstrip().endswith("left")


@pytest.mark.parametrize("speed, text", [(12345.6, "12,346"), (99.94, "99.9"), (0.1234, "0.123"), (100, "100")])
def test_speeds_have_three_figures_and_no_exponent(speed, text):
    assert rate(speed) == text


def test_without_a_terminal_lines_come_when_they_are_due(tmp_path, monkeypatch):
    monkeypatch.setattr(progress, "FIRST", 0)
    monkeypatch.setattr(progress, "PAUSE", 1000)
    run = Run(tmp_path)
    run.train(epochs=2)
    first, *rest = run.out.getvalue().splitlines()
    assert first.startswith("epoch 1/2, batch 1/") and "loss" in first and first.endswith("images/s")
    assert not any("batch" in line for line in rest)
    monkeypatch.setattr(progress, "PAUSE", 0)
    run = Run(tmp_path / "more")
    run.train(epochs=1)
    *lines, _ = run.out.getvalue().splitlines()
    training, validation = lines[: len(run.train_loader)], lines[len(run.train_loader) :]
    assert [f"batch {i + 1}/" in line for i, line in enumerate(training)] == [True] * len(run.train_loader)
    batches = len(run.val_loader)
    assert validation == [f"epoch 1/1: validating, batch {i + 1}/{batches}" for i in range(batches)]
