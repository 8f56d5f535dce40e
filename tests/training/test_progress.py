"""What a run shows while it lasts."""

import io

import pytest
from fake_run import Run

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
