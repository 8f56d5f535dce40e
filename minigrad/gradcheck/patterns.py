"""How a gradient is wrong, where that is a simple pattern: a constant factor, another order of the elements, a simple place."""

import itertools

import numpy as np

from minigrad.gradcheck.comparison import first_index, largest


def pattern(name, a, n, wrong, kinks, draw):
    """What is certain about the wrong gradient of a tensor, in a sentence; or "".

    a, n: the analytic and the numerical gradient; wrong, kinks: boolean arrays; all of the shape of the tensor. draw: the `Draw`."""
    c = factor(a, n, kinks)
    if c is not None:
        return named_factor(c, name, a.shape, draw)
    return ("" if kinks.any() else rearrangement(a, n)) or location(name, wrong, (wrong | (n != 0)) & ~kinks, draw)


def factor(a, n, kinks):
    """c if a = c * n to 1e-6, or None. Kinks do not count."""
    a, n = a[~kinks], n[~kinks]
    if not n.any():
        return None
    c = float((a * n).sum() / (n * n).sum())
    return c if largest(a - c * n) <= 1e-6 * largest(n) * max(1.0, abs(c)) else None


def named_factor(c, name, shape, draw):
    """c in words: -1, 2, 1/2, N, 1/N; sizes of axes, products of spatial sizes, and one over them."""
    if abs(c) < 1e-6:
        return "yours is zero everywhere."
    if abs(c + 1) < 1e-6:
        return "yours = expected × -1: the sign is wrong."
    shapes = {"x": draw.x.shape, "y": np.shape(draw.dy)}
    sizes = {"N": len(draw.x)}
    for tensor, s in shapes.items():
        if len(s) > 3:
            sizes[" * ".join(f"{tensor}.shape[{k}]" for k in range(1, len(s) - 1))] = int(np.prod(s[1:-1]))
    sizes |= {f"{tensor}.shape[{k}]": size for tensor, s in shapes.items() for k, size in enumerate(s) if k}
    sizes |= {f"{name}.shape[{k}]": size for k, size in enumerate(shape)}
    sizes |= {f"{tensor}[0].size": int(np.prod(s[1:])) for tensor, s in shapes.items()}
    names = {2.0: "2", 0.5: "1/2", -2.0: "-2", -0.5: "-1/2"}
    for label, size in sizes.items():
        for sign, minus in ((1, ""), (-1, "-")):
            names.setdefault(sign * size, f"{minus}{label} ({label} = {size})")
            names.setdefault(sign / size, f"{minus}1/{f'({label})' if '*' in label else label} ({label} = {size})")
    words = next((f" = {words}" for value, words in names.items() if abs(c - value) <= 1e-6 * abs(value)), "")
    return f"yours = expected × {c:.7g}{words}."


def rearrangement(a, n):
    """How a holds the numbers of n in another order: axes permuted or reversed, or one shape filled in the order of another; or ""."""
    tolerance, axes = 1e-6 * largest(n), range(n.ndim)
    if largest(np.sort(a, axis=None) - np.sort(n, axis=None)) > tolerance:
        return ""
    flips = [flip for flip in itertools.product((1, -1), repeat=n.ndim) if n.ndim <= 4 or sum(flip) >= n.ndim - 2]
    for flip, order in itertools.product(flips, itertools.permutations(axes)):
        slices = tuple(slice(None, None, step) for step in flip)
        turned = f", its axes in the order {order}" if order != tuple(axes) else ""
        turned += "".join(f", axis {k} reversed" for k in axes if flip[k] < 0)
        rearranged = n[slices].transpose(order)
        if rearranged.shape == a.shape and largest(a - rearranged) <= tolerance:
            return f"yours is the expected array{turned}."
        if largest(a.ravel() - rearranged.ravel()) <= tolerance:
            return f"yours is the expected array{turned}, filled into the shape {a.shape} as if that were its own."
        if largest(a[slices].transpose(order).ravel() - n.ravel()) <= tolerance:
            return f"yours{turned}, holds the expected numbers one after the other: filled in another shape, then transposed."
    return ""


def location(name, wrong, telling, draw):
    """Where the wrong elements are, if that is a simple place; or "". telling: elements where a mistake shows: wrong, or not 0."""
    if wrong[telling].all():
        return ""
    if name == "x":
        for words, mask in (("negative", draw.x < 0), ("positive", draw.x > 0)):
            if np.array_equal(wrong, mask):
                return f"wrong exactly where x is {words}."
    if wrong.sum() == 1:
        return f"only {first_index(wrong)} is wrong."
    single, some = along_axes(name, wrong, telling)
    if single:
        return f"only {', '.join(single)} is wrong."
    inside = (slice(None), *(slice(1, -1),) * (wrong.ndim - 2))
    if name == "x" and wrong.ndim > 2 and telling[inside].any() and not wrong[inside].any():
        return "only border rows and columns are wrong."
    return (some + [""])[0]


def along_axes(name, wrong, telling):
    """(indices that alone are wrong, in words, at most one for each axis; sentences about axes where a few are wrong or one is right)."""
    single, some = [], []
    for k, size in enumerate(wrong.shape):
        words = f"axis {k}" + (" (images)" if name == "x" and k == 0 else " (channels)" if name == "x" and k == wrong.ndim - 1 else "")
        wrong_by_index, telling_by_index = (np.moveaxis(mask, k, 0).reshape(size, -1) for mask in (wrong, telling))
        hit = [i for i in range(size) if wrong_by_index[i].any()]
        right = [i for i in range(size) if telling_by_index[i].any() and i not in hit]
        if len(hit) == 1 and right:
            single.append(f"index {hit[0]} of {words}{' (the last)' if hit[0] == size - 1 else ''}")
        elif len(right) >= 2 * len(hit):
            some.append(f"only indices {', '.join(map(str, hit))} of {words} are wrong.")
        elif name == "x" and k == 0 and len(right) == 1 and len(hit) > 1 and 2 * wrong.sum() >= telling_by_index[hit].sum():
            some.append(f"only index {right[0]} of {words}{' (the last)' if right[0] == size - 1 else ''} is right.")
    return single, some
