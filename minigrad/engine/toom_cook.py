"""Short convolutions in fewer multiplications, by the points of Toom and Cook: the matrices that engine/winograd.py works with.

m outputs of a kernel of r weights, y[i] = x[i] w[0] + ... + x[i + r - 1] w[r - 1], take m r multiplications, or only n = m + r - 1:

    y = A' ((G w) * (B' x))     x: n pixels, w: r weights, y: m outputs, *: number by number, ': the transpose

Where the matrices come from: a polynomial of degree r - 1 with the coefficients w times one of degree m - 1 with the coefficients v is one
of degree n - 1, and n of its values determine it. Each value is the product of two values, which is one multiplication; the value "at
infinity" is the highest coefficient. So with E_k, which turns k coefficients into values at n points, the product's coefficients are
E_n^-1 ((E_r w) * (E_m v)). This is linear in v. Its transpose is the sum of products above: A = E_m, G = E_r, B = the transpose of E_n^-1.

Source: S. Winograd, "Arithmetic Complexity of Computations", 1980; for neural networks A. Lavin and S. Gray, "Fast Algorithms for
Convolutional Neural Networks", 2015 (arXiv:1509.09308), whose F(m, r) this is.

Any different points give the same numbers but for rounding, and there the points decide: a product's rounding error grows as the sizes of
its row of A, of G and its column of B do. The best points lie in pairs a, -a around 1; `amplification` measures them."""

from fractions import Fraction

import numpy as np


class Algorithm:
    """The matrices A (products, outputs), B (pixels, products) and G (products, weights) of a short convolution, float64."""

    def __init__(self, A, B, G):
        self.A, self.B, self.G = A, B, G
        (self.products, self.outputs), (self.pixels, _), (_, self.weights) = A.shape, B.shape, G.shape

    def amplification(self):
        """The rounding errors of y, dx and dW, compared with those of the plain sum: the square root of the sum of squares of all paths."""
        squares = (self.A**2).sum(1) * (self.B**2).sum(0) * (self.G**2).sum(1)
        return (squares.sum() / (self.outputs * self.weights)) ** 0.5


def toom_cook(m, r, points):
    """F(m, r) from m + r - 2 different finite points (numbers or texts such as "2/5"), and infinity."""
    points = [Fraction(p) for p in points]
    n = len(points) + 1
    if n != m + r - 1 or len(set(points)) != len(points):
        raise ValueError(f"toom_cook: {m} outputs of {r} weights take {m + r - 2} different points, not {points}")
    A, B, G = np.zeros((n, m)), np.zeros((n, n)), np.zeros((n, r))
    for k, p in enumerate(points):
        others = points[:k] + points[k + 1 :]  # E_n^-1 is Lagrange's: a polynomial that is 1 at p and 0 at the others
        denominator = np.prod([p - q for q in others])
        A[k] = [p**i for i in range(m)]
        G[k] = [p**j / denominator for j in range(r)]
        B[: n - 1, k] = with_roots(others)
    A[-1, -1] = G[-1, -1] = 1
    B[:, -1] = with_roots(points)
    return Algorithm(A, B, G)


def with_roots(roots):
    """The coefficients of the polynomial (t - root) ... of all roots, the constant one first."""
    coefficients = [Fraction(1)]
    for root in roots:
        coefficients = [a - root * b for a, b in zip([0, *coefficients], [*coefficients, 0], strict=True)]
    return coefficients


def in_parts(*parts):
    """A long kernel as shorter ones side by side, each with the algorithm of its part of the weights; what they make is added up. More
    multiplications than one algorithm for all weights, but fewer points, and so far smaller errors."""
    m = parts[0].outputs
    weights, products = sum(part.weights for part in parts), sum(part.products for part in parts)
    A, B, G = np.zeros((products, m)), np.zeros((m + weights - 1, products)), np.zeros((products, weights))
    w = p = 0
    for part in parts:
        its_weights, its_products = slice(w, w + part.weights), slice(p, p + part.products)
        A[its_products] = part.A
        B[w : w + part.pixels, its_products] = part.B
        G[its_products, its_weights] = part.G
        w, p = its_weights.stop, its_products.stop
    return Algorithm(A, B, G)
