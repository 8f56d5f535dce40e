"""Errors are counted as the paper counts them, ties and NaN included."""

import numpy as np
import pytest
from fake_run import FakeLoader, FakeLoss, FakeNet

from minigrad import training
from minigrad.training import Tally, TrainingError, softmax


def test_top_k_errors_against_a_stable_sort():
    rng = np.random.default_rng(3)
    logits = rng.integers(0, 4, (200, 9)).astype(np.float32)  # full of ties
    labels = rng.integers(0, 9, 200)
    order = np.argsort(-logits, axis=1, kind="stable")
    for k in (1, 2, 5, 9):
        wrong = [label not in row[:k] for row, label in zip(order, labels, strict=True)]
        assert training.top_k_errors(logits, labels, k) == (np.sum(order[:, 0] != labels), np.sum(wrong))


def test_top_k_errors_of_ties_few_classes_and_nan():
    equal = np.zeros((1, 8))
    assert training.top_k_errors(equal, np.array([0])) == (0, 0)
    assert training.top_k_errors(equal, np.array([4])) == (1, 0)
    assert training.top_k_errors(equal, np.array([5])) == (1, 1)
    assert training.top_k_errors(np.array([[1.0, 2.0, 3.0]]), np.array([0])) == (1, 0)
    assert training.top_k_errors(np.full((2, 8), np.nan), np.array([0, 3])) == (2, 2)


def test_evaluate_weighs_images_not_batches():
    net, loss = FakeNet(), FakeLoss()
    batches = list(FakeLoader(3).batches(0))
    x, labels = (np.concatenate(part) for part in zip(*batches, strict=True))
    measured = training.evaluate(net, loss, batches)
    logits = net.eval().forward(x)
    wanted = Tally()
    wanted.add(loss.forward(logits, labels), logits, labels)
    assert measured == pytest.approx(wanted.means(), rel=1e-5)
    assert net.step == 0 and not net.training
    assert measured[2] <= measured[1]


def test_evaluate_without_images_is_an_error():
    with pytest.raises(TrainingError, match="no image"):
        training.evaluate(FakeNet(), FakeLoss(), [])


def test_a_constant_added_to_the_logits_changes_no_probability():
    logits = np.random.default_rng(0).normal(size=(5, 7))
    np.testing.assert_allclose(softmax(logits + 1000), softmax(logits))
    assert np.isfinite(softmax(np.array([[1e30, -1e30]]))).all()
