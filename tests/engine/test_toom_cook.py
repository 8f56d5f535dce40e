"""Short convolutions against the plain sum, and what their points are chosen for."""

import numpy as np
import pytest

from minigrad.engine.toom_cook import in_parts, toom_cook
from minigrad.engine.winograd import ALGORITHMS, THREE


def plain(x, w):
    return np.array([x[i : i + len(w)] @ w for i in range(len(x) - len(w) + 1)])


@pytest.mark.parametrize(
    "short",
    [*ALGORITHMS.values(), toom_cook(1, 1, []), toom_cook(2, 3, [0, 1, -1]), toom_cook(4, 5, [0, 1, -1, 2, -2, "1/2", "-1/2"])]
    + [in_parts(toom_cook(2, 2, [0, 1]), toom_cook(2, 1, [3]), toom_cook(2, 3, [0, 1, -1]))],
)
def test_equals_the_plain_sum(rng, short):
    x, w = rng.standard_normal(short.pixels), rng.standard_normal(short.weights)
    np.testing.assert_allclose(short.A.T @ ((short.G @ w) * (short.B.T @ x)), plain(x, w), rtol=1e-12, atol=1e-12)
    assert short.pixels == short.outputs + short.weights - 1


def test_lavin_and_grays_matrices():
    """Section 4.1 of their paper, F(2, 3); a product's signs are theirs in other places."""
    short = toom_cook(2, 3, [0, 1, -1])
    np.testing.assert_array_equal(abs(short.G), [[1, 0, 0], [0.5] * 3, [0.5] * 3, [0, 0, 1]])
    np.testing.assert_array_equal(abs(short.B.T), [[1, 0, 1, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 1, 0, 1]])


def test_the_points_decide_the_rounding(rng):
    """The errors of float32 stand to each other as `amplification` says: pairs around 1 beat the usual points."""
    usual, x, w = toom_cook(3, 3, [0, 1, -1, 2]), rng.standard_normal((5, 4000)), rng.standard_normal((3, 4000))
    assert THREE.amplification() < 0.7 * usual.amplification()
    errors = []
    for short in (THREE, usual):
        A, B, G = (matrix.astype(np.float32) for matrix in (short.A, short.B, short.G))
        y = A.T @ ((G @ w.astype(np.float32)) * (B.T @ x.astype(np.float32)))
        errors.append(np.sqrt(np.mean((y - np.array([(x[i : i + 3] * w).sum(0) for i in range(3)])) ** 2)))
    assert errors[0] < 0.8 * errors[1]


@pytest.mark.parametrize("points", [[0, 1], [0, 1, -1, 2, -2], [0, 1, 1, 2]])
def test_a_wrong_number_of_points_is_refused(points):
    with pytest.raises(ValueError, match="3 outputs of 3 weights take 4 different points"):
        toom_cook(3, 3, points)
