"""The numerical gradient: known functions, Taylor's error, t restored bit for bit; and inputs without kinks."""

import numpy as np
import pytest
from gradcheck_layers import rng
from numpy.lib.stride_tricks import sliding_window_view

from minigrad.gradcheck import kink_free, numerical_gradient


def test_the_gradient_of_a_known_function():
    t, dy = kink_free((3, 4), rng()), rng(1).standard_normal((3, 4))
    np.testing.assert_allclose(numerical_gradient(np.sin, t, dy), dy * np.cos(t), rtol=1e-9)
    np.testing.assert_allclose(numerical_gradient(lambda t: (t**3).sum(), t), 3 * t**2, rtol=1e-7)
    assert numerical_gradient(lambda t: t * t, np.array(3.0), 1.0) == pytest.approx(6)


def test_the_error_grows_with_h_as_taylor_says():
    t = np.array([1.0])
    errors = [abs(numerical_gradient(lambda t: np.exp(t).sum(), t, h=h)[0] - np.e) for h in (1e-2, 1e-3, 1e-13)]
    assert errors[0] == pytest.approx(np.e / 6 * 1e-4, rel=1e-3) and errors[1] == pytest.approx(np.e / 6 * 1e-6, rel=1e-2)
    assert errors[2] > 1e-4


def test_t_itself_is_handed_in_and_restored_bit_for_bit():
    t = np.array([[0.1, -0.0, 1e300, 5e-324], [1 / 3, np.pi, -1e-17, 7.0]])[:, ::-1]
    before, seen = t.tobytes(), []
    numerical_gradient(lambda v: seen.append(v is t) or 0.0, t)
    assert all(seen) and len(seen) == 2 * t.size and t.tobytes() == before
    with pytest.raises(ZeroDivisionError):
        numerical_gradient(lambda v: 1 // 0, t)
    assert t.tobytes() == before


def test_a_function_may_use_its_buffer_again():
    buffer = np.empty(3)
    t = np.array([1.0, 2.0, 3.0])
    np.testing.assert_allclose(numerical_gradient(lambda t: np.multiply(t, t, out=buffer), t, np.ones(3)), 2 * t, rtol=1e-9)


def test_differences_want_float64_and_a_dy_that_fits():
    with pytest.raises(TypeError, match="float64.*float32"):
        numerical_gradient(np.sin, np.ones(3, np.float32), np.ones(3))
    with pytest.raises(TypeError, match="float64.*list"):
        numerical_gradient(np.sin, [1.0], np.ones(1))
    for dy in (None, np.ones(4)):
        with pytest.raises(ValueError, match=r"\(3,\).*(\(\)|\(4,\))"):
            numerical_gradient(np.sin, np.ones(3), dy)


@pytest.mark.parametrize("shape", [(1,), (2,), (7,), (3, 7, 6, 2), (600,)])
@pytest.mark.parametrize("low, high", [(-2.0, 2.0), (0.0, 1.0), (-1.0, 3.0), (-3.0, 0.5), (5.0, 6.0)])
def test_kink_free_numbers_keep_apart_and_away_from_0(shape, low, high):
    x = kink_free(shape, rng(3), low, high)
    gap = (high - low) / x.size
    assert x.shape == shape and low <= x.min() and x.max() <= high
    assert (np.diff(np.sort(x, axis=None)) >= gap).all() and abs(x).min() >= gap / 4


def test_kink_free_needs_a_range():
    with pytest.raises(ValueError, match="low.*high.*1, 1"):
        kink_free((3,), rng(), 1, 1)


def test_torch_computes_the_same_gradients():
    torch = pytest.importorskip("torch")
    x, dy = kink_free((3, 7, 6, 2), rng()), rng(1).standard_normal((3, 3, 3, 5))
    W, b = rng(2).standard_normal((3, 3, 2, 5)), rng(3).standard_normal(5)
    tensors = [torch.tensor(a, requires_grad=True) for a in (x, W, b)]
    images, kernel = tensors[0].permute(0, 3, 1, 2), tensors[1].permute(3, 2, 0, 1)
    padded = torch.nn.functional.pad(images, (1, 1, 1, 0))
    y = torch.nn.functional.conv2d(torch.tanh(padded), kernel, tensors[2], stride=2).permute(0, 2, 3, 1)
    (y * torch.tensor(dy)).sum().backward()

    def forward(_):
        padded = np.pad(np.tanh(x), ((0, 0), (1, 0), (1, 1), (0, 0)))
        return np.tensordot(sliding_window_view(padded, (3, 3), axis=(1, 2))[:, ::2, ::2].transpose(0, 1, 2, 4, 5, 3), W, 3) + b

    for t, tensor in zip((x, W, b), tensors, strict=True):
        np.testing.assert_allclose(numerical_gradient(forward, t, dy), tensor.grad.numpy(), rtol=1e-7, atol=1e-8)
