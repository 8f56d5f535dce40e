"""Mistakes in the exercises that are functions (tasks.py), and wrong answers of the hunts."""

from minigrad.coursework.source import Mistake

# ---- functions

WINDOWS = (
    Mistake("copied", "transpose(0, 1, 2, 4, 5, 3)", "transpose(0, 1, 2, 4, 5, 3).copy()",
            "The numbers are copied: a view would share the memory of x."),
    Mistake("channels before the window", "transpose(0, 1, 2, 4, 5, 3)", "transpose(0, 1, 2, 3, 4, 5)",
            "sliding_window_view puts the window's axes last; here channels are last."),
    Mistake("stride forgotten", "[:, ::S, ::S]", "[:, :, :]", "Take every S-th window, in rows and in columns."),
    Mistake("stride in rows only", "[:, ::S, ::S]", "[:, ::S]",
            "Take every S-th window, in rows and in columns: columns are missing."),
)  # fmt: skip

IN_PLACE = (
    Mistake("a new array", "w -= lr * g", "w = w - lr * g",
            "`w = w - …` makes a new array and leaves the caller's as it was; `w -= …` or `w[...] = …` changes it."),
    Mistake("uphill", "w -= lr * g", "w += lr * g", "Downhill: lr · g is subtracted."),
    Mistake("writes into g", "w -= lr * g", "g *= lr\n    w -= g", "g belongs to the caller: `g *= lr` changes it."),
)  # fmt: skip

FLOAT64_LEAK = (
    Mistake("float64 wins", "x.dtype.type(scale)", "scale",
            "An np.float64 is as strong as an array of float64: convert it to the dtype of x first."),
    Mistake("always float32", "x * x.dtype.type(scale)", "x.astype(np.float32) * np.float32(scale)",
            "float64 goes in, float64 comes out: use x.dtype, not float32."),
    Mistake("writes into x", "return x * x.dtype.type(scale)", "x *= scale\n    return x",
            "x belongs to the caller: `x *= scale` changes it."),
)  # fmt: skip

NUMERICAL_GRADIENT = (
    Mistake("one-sided", "(dy * (up - down)).sum() / (2 * h)", "(dy * (up - f(t))).sum() / h",
            "A one-sided difference errs by h · f″ / 2; the central one by h² · f‴ / 6."),
    Mistake("one-sided, to the left", "(dy * (up - down)).sum() / (2 * h)", "(dy * (f(t) - down)).sum() / h",
            "A one-sided difference, from t − h to t, errs by h · f″ / 2; the central one by h² · f‴ / 6."),
    Mistake("divided by h", "/ (2 * h)", "/ h", "From t − h to t + h it is 2 h."),
    Mistake("not restored", "t[i] = old\n        gradient", "gradient", "t[i] stays shifted while the next numbers are tried: restore it."),
    Mistake("dy forgotten", "(dy * (up - down)).sum()", "(up - down).sum()", "The slope is that of sum(dy · f(t)): dy is missing."),
    Mistake("all numbers at once", "t[i] = old + h", "t[...] += h", "One number at a time, else slopes of several add up."),
    Mistake("outputs not copied", "up = np.array(f(t))", "up = f(t)",
            "f may use its memory again: copy what it returns before you call it again."),
    Mistake("step far too small", "(2 * h)", "(2 * h * 1e-6)", "Divide by the step that was made."),
)  # fmt: skip

SHAPES = (
    Mistake("rounded up", "H, W = (H + top + bottom - K) // S + 1, (W + left + right - K) // S + 1",
            "H, W = -(-(H + top + bottom - K) // S) + 1, -(-(W + left + right - K) // S) + 1",
            "Windows that do not fit are left out: divide with //."),
    Mistake("+ 1 forgotten", "// S + 1, (W + left + right - K) // S + 1", "// S, (W + left + right - K) // S",
            "The first window stands at 0: + 1."),
    Mistake("padding once", "H + top + bottom - K", "H + top - K", "Rows are padded above and below: top + bottom."),
    Mistake("channels of the input", 'C = more[1] if kind == "conv" else C', "C = C",
            "A convolution has as many channels as it has kernels."),
)  # fmt: skip

STAGES = (
    Mistake("conv2 sees its own half", "Conv2d(2 * c1, c2", "Conv2d(c1, c2",
            "Stage 1 sees the channels of both towers: conv2 has 2 · c1 inputs in each."),
    Mistake("fc3 sees its own half", "left * left * 2 * c2", "left * left * c2",
            "Stage 2 sees the channels of both towers: fc3 has left² · 2 · c2 inputs in each."),
    Mistake("twins", "[column(), column()]", "[column()] * 2", "Both towers are the same object: call the function once for each."),
    Mistake("normalisation forgotten", "norm1=LocalResponseNorm(), ", "", "Stage 0 is conv1, relu1, norm1, pool1."),
    Mistake("every tower has all classes", "Linear(hidden, classes // 2)", "Linear(hidden, classes)",
            "Each tower has half of the classes."),
    Mistake("dropout forgotten", ", drop3=Dropout()", "", "Stage 2 is flatten, fc3, relu3, drop3."),
)  # fmt: skip

CROP_FLIP = (
    Mistake("the last place never", "rng.integers(H - size + 1), rng.integers(W - size + 1)",
            "rng.integers(H - size), rng.integers(W - size)", "There are H − size + 1 places: 0 … H − size, both of them."),
    Mistake("draws from np.random", "crops = np.empty(", "rng = np.random.default_rng()\n    crops = np.empty(",
            "Draw from rng alone, the generator that is handed over: the same one gives the same numbers, another one gives others."),
    Mistake("one place for all", "for n in range(N):\n        top, left = rng.integers(H - size + 1), rng.integers(W - size + 1)",
            "top, left = rng.integers(H - size + 1), rng.integers(W - size + 1)\n    for n in range(N):",
            "Each image has draws of its own."),
    Mistake("upside down", "crop[:, ::-1]", "crop[::-1]", "Left and right change places, not top and bottom."),
    Mistake("never mirrored", "rng.random() < 0.5", "rng.random() < 0", "Half of the images are mirrored."),
    Mistake("always mirrored", "rng.random() < 0.5", "rng.random() < 1", "Half of the images are mirrored, the others are not."),
    Mistake("top for both", "rng.integers(H - size + 1), rng.integers(W - size + 1)", "(rng.integers(H - size + 1),) * 2",
            "Row and column have draws of their own."),
)  # fmt: skip

COLOUR_NOISE = (
    Mistake("components as rows", "@ V.T", "@ V", "V's columns are the components: V @ v for one image is v @ V.T for rows of images."),
    Mistake("draws from np.random", "rng.standard_normal((len(images), 3))", "np.random.default_rng().standard_normal((len(images), 3))",
            "Draw from rng alone, the generator that is handed over: the same one gives the same numbers, another one gives others."),
    Mistake("eigenvalues", "(0.1 * sigma * n) @", "(0.1 * sigma**2 * n) @",
            "σ, the standard deviation, is the root of the eigenvalue: do not square it."),
    Mistake("0.1 forgotten", "(0.1 * sigma * n) @", "(sigma * n) @", "The noise is a tenth of the natural variation."),
    Mistake("one draw for all images", "rng.standard_normal((len(images), 3))", "rng.standard_normal((1, 3))",
            "Each image has a draw of its own."),
    Mistake("a draw for each pixel", "shift[:, None, None, :]", "((0.1 * sigma * rng.standard_normal(images.shape)) @ V.T)",
            "All pixels of an image shift alike."),
    Mistake("writes into the images", "return images + shift[:, None, None, :].astype(images.dtype)",
            "images += shift[:, None, None, :].astype(images.dtype)\n    return images",
            "The images belong to the caller: return a fresh array."),
    Mistake("no principal components", "(0.1 * sigma * n) @ V.T", "0.1 * sigma * n", "Noise goes along the components: V @ (0.1 σ n)."),
)  # fmt: skip

TOP_K = (
    Mistake("the k smallest", "np.argsort(-logits", "np.argsort(logits", "argsort sorts upwards: sort −logits."),
    Mistake("accuracy", ").all(axis=1).mean())", ").all(axis=1).mean() * -1 + 1)",
            "The error is the fraction of wrong rows: 1 − accuracy."),
    Mistake("top 1", "[:, :k]", "[:, :1]", "k guesses count, not one."),
    Mistake("a count", ".mean())", ".sum())", "A fraction of the rows, not their number."),
    Mistake("every guess must be wrong once", ").all(axis=1)", ").any(axis=1)", "A row is wrong if *no* guess is its label: all, not any."),
)  # fmt: skip

# ---- hunts


def wrong_answer(right, wrong, why):
    """right, wrong: letters. why: what speaks against the wrong one."""
    return Mistake(f"answer {wrong}", f'return "{right}"', f'return "{wrong}"', why)


HUNT_1 = (
    wrong_answer("c", "a", "With db doubled, db would be wrong: it is right here."),
    wrong_answer("c", "b", "A wrong sign is the factor -1; here the factor is another."),
    wrong_answer("c", "d", "Rows taken for columns change places; here every number is off by the same factor."),
)
HUNT_2 = (
    wrong_answer("a", "b", "Then dx of a single batch would be wrong, too; the report says that the batch before matters."),
    wrong_answer("a", "c", "Writing into x would be named `writes-x`."),
    wrong_answer("a", "d", "A thousandth that passes would be wrong in the first batch already."),
)
HUNT_3 = (
    wrong_answer("d", "a", "An average has the right shape, and a factor of 1/N."),
    wrong_answer("d", "b", "The sign changes no shape."),
    wrong_answer("d", "c", "What grows keeps its shape; the report would say `not-repeatable`."),
)
HUNT_4 = (
    wrong_answer("b", "a", "dy that passes everywhere is linear in dy."),
    wrong_answer("b", "c", "The report would say `writes-dy`."),
    wrong_answer("b", "d", "The report would say that the batch before matters (`stale`)."),
)
HUNT_5 = (
    wrong_answer("a", "b", "An average is the factor 1/N, the same for all numbers."),
    wrong_answer("a", "c", "A wrong sign is the factor -1, the same for all numbers."),
    wrong_answer("a", "d", "What grows would be named `not-repeatable`."),
)
