"""A sum of which one term is left: `dx[window] = ...` and `dx[index] += ...` keep what is last written to a pixel, in whatever order the
windows come. So the sign of that mistake is that every pixel has what one of its windows gives."""

import numpy as np


def by_window(backward, dy, N):
    """What each place of the window alone contributes to dx, by backward of a dy that is 0 elsewhere; dx is the sum over the first axis.

    dy: (N, OH, OW, C), or patches (N * OH * OW, K * K * C)."""
    terms, places = [], dy.size // (N * dy.shape[-1])
    for place in range(places):
        alone = np.zeros_like(dy)
        alone.reshape(N, places, -1)[:, place] = dy.reshape(N, places, -1)[:, place]
        terms.append(backward(alone))
    return np.array(terms)


def overwritten(yours, terms):
    """Whether dx, yours, has at every pixel one of the terms in place of their sum, also where two of them meet that both stand elsewhere.
    A window that gives a pixel nothing may have written 0 to it."""
    right = terms.sum(axis=0)
    if not isinstance(yours, np.ndarray) or yours.shape != right.shape:
        return False
    tolerance = 1e-9 * abs(right).max(initial=0)
    wrong, same = abs(yours - right) > tolerance, abs(terms - yours) <= tolerance
    present = (same & (terms != 0)).reshape(len(terms), -1).any(axis=1)
    meeting = (terms[present] != 0).sum(axis=0) > 1
    return bool(same.any(axis=0).all() and (wrong & meeting & (yours != 0)).any())
