"""SoftmaxCrossEntropy: known numbers, central differences and labels that are none."""

import numpy as np
import pytest
from naive import numerical_gradients, relative_error

from minigrad import SoftmaxCrossEntropy


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_by_hand(dtype):
    loss = SoftmaxCrossEntropy()
    logits = np.log(np.array([[1, 2, 5], [2, 2, 4]], dtype))
    value = loss.forward(logits, np.array([2, 0]))
    assert isinstance(value, float)
    assert value == pytest.approx((np.log(8 / 5) + np.log(4)) / 2, rel=1e-6)
    dlogits = loss.backward()
    assert dlogits.dtype == dtype
    np.testing.assert_allclose(dlogits, [[1 / 16, 2 / 16, -3 / 16], [-3 / 8, 1 / 8, 2 / 8]], rtol=1e-6)


@pytest.mark.parametrize("classes", [2, 10, 1000])
def test_a_network_that_knows_nothing(classes):
    assert SoftmaxCrossEntropy().forward(np.zeros((3, classes), np.float32), np.arange(3) % classes) == pytest.approx(np.log(classes))


@pytest.mark.parametrize("N, classes", [(1, 2), (4, 7)])
def test_gradient(rng, N, classes):
    loss, logits, labels = SoftmaxCrossEntropy(), 3 * rng.standard_normal((N, classes)), rng.integers(0, classes, N)
    (expected,) = numerical_gradients(lambda: loss.forward(logits, labels), logits, [1.0])
    loss.forward(logits, labels)
    assert relative_error(loss.backward(), expected) < 1e-6
    np.testing.assert_allclose(loss.backward().sum(axis=1), 0, atol=1e-15)


def test_a_constant_added_to_an_images_logits_changes_nothing(rng):
    loss, logits, labels = SoftmaxCrossEntropy(), rng.standard_normal((3, 5)), np.array([0, 4, 2])
    value, dlogits = loss.forward(logits, labels), loss.backward()
    shifted = logits + np.array([[100], [-300], [5000]])
    assert loss.forward(shifted, labels) == pytest.approx(value, rel=1e-10)
    np.testing.assert_allclose(loss.backward(), dlogits, rtol=1e-10)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [1e4, 1e30])
def test_large_logits(dtype, scale):
    """Warnings are errors here: nothing overflows on the way."""
    loss = SoftmaxCrossEntropy()
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        value = loss.forward(np.array([[0, scale], [-scale, 0]], dtype), np.array([0, 1]))
        dlogits = loss.backward()
    assert value == pytest.approx(scale / 2, rel=1e-6)
    np.testing.assert_array_equal(dlogits, [[-0.5, 0.5], [0, 0]])


@pytest.mark.parametrize("label", [-1, 5, 1000])
def test_a_label_that_is_no_class_is_named(label):
    with pytest.raises(ValueError, match=rf"SoftmaxCrossEntropy.*{label}\b.*\b[45]\b"):
        SoftmaxCrossEntropy().forward(np.zeros((3, 5), np.float32), np.array([0, label, 4]))


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64])
def test_labels_of_any_integer_dtype(dtype):
    loss = SoftmaxCrossEntropy()
    assert loss.forward(np.eye(3, dtype=np.float32), np.arange(3).astype(dtype)) == pytest.approx(np.log(np.e + 2) - 1)


def test_labels_that_are_no_integers_are_refused():
    with pytest.raises(TypeError, match="SoftmaxCrossEntropy.*integers.*float64"):
        SoftmaxCrossEntropy().forward(np.zeros((2, 5), np.float32), np.array([0.0, 1.0]))


def test_integer_logits_are_refused():
    with pytest.raises(TypeError, match="SoftmaxCrossEntropy.*int64"):
        SoftmaxCrossEntropy().forward(np.zeros((2, 5), np.int64), np.array([0, 1]))


@pytest.mark.parametrize("logits, labels", [((3, 5), (2,)), ((3, 5), (3, 1)), ((5,), (5,)), ((1, 1, 5), (1,))])
def test_shapes_that_do_not_match_are_named(logits, labels):
    with pytest.raises(ValueError, match="SoftmaxCrossEntropy") as error:
        SoftmaxCrossEntropy().forward(np.zeros(logits, np.float32), np.zeros(labels, np.int64))
    assert str(logits) in str(error.value) and str(labels) in str(error.value)


def test_an_empty_batch_is_refused():
    with pytest.raises(ValueError, match="SoftmaxCrossEntropy.*0"):
        SoftmaxCrossEntropy().forward(np.zeros((0, 5), np.float32), np.zeros(0, np.int64))


def test_backward_before_forward():
    with pytest.raises(RuntimeError, match="SoftmaxCrossEntropy.*forward"):
        SoftmaxCrossEntropy().backward()


def test_backward_twice_gives_fresh_equal_arrays_and_inputs_are_left_alone(rng):
    loss, logits, labels = SoftmaxCrossEntropy(), rng.standard_normal((3, 5)), np.array([0, 4, 2])
    logits.flags.writeable = labels.flags.writeable = False
    before = logits.copy()
    loss.forward(logits, labels)
    first = loss.backward()
    expected = first.copy()
    first[...] = np.nan
    np.testing.assert_array_equal(loss.backward(), expected)
    np.testing.assert_array_equal(logits, before)
