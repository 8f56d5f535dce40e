"""Inputs are what their names say."""

import numpy as np

from minigrad.coursework.cases import Case
from minigrad.coursework.judge.inputs import INPUTS, x_of


def test_inputs_are_what_they_are_called():
    rng = np.random.default_rng(0)
    for name, function in INPUTS.items():
        x = function((3, 4, 5), rng)
        assert x.shape == (3, 4, 5) and x.dtype == np.float64, name
    assert (INPUTS["kinks"]((3, 5), rng) == 0).sum() == 2
    assert len(np.unique(INPUTS["ties"]((4, 5), rng))) < 12
    gaps = np.diff(np.sort(INPUTS["near_ties"]((4, 5), rng), axis=None))
    assert ((gaps > 5e-10) & (gaps < 2e-9)).sum() == 10
    assert x_of(Case("", ((1.0, 2.0),), inputs="numbers"), 0).shape == (1, 2)
