"""Properties of what is drawn at random, as those of properties.py. Bounds on what is drawn are five standard deviations wide."""

import numpy as np

from minigrad.coursework.judge.comparison import Value, dtype_value
from minigrad.coursework.judge.inputs import build, x_of

GENERATOR = "Draw from rng alone, the generator that is handed over: the same one gives the same numbers, another one gives others."


def is_array(result, shape, dtype="float32"):
    """`Value`s: the result is an array of this shape and dtype. Of another shape, nothing more can be said of it."""
    name = None if result is None else type(result).__name__
    yield Value("the result", name, "ndarray", if_wrong=f"The result is a {name}, expected an array.")
    if name == "ndarray":
        yield Value("shape", result.shape, shape)
        yield Value("dtype", result.dtype.name, dtype, if_wrong=f"float32 went in, but {result.dtype} came out.")


# ---- dropout


def drops(cls, model, case, seed):
    """Dropout: each number is kept with probability 1 - p and scaled by `scale_at`; masks differ from image to image and from step to
    step, and come from the layer's own generator; test time is scaled by `scale_at`, too."""
    train = case.kwargs.get("scale_at", "test") == "train"
    values = list(mask_values(cls, model, case, seed, 1 / (1 - case.kwargs["p"]) if train else 1.0))
    yield from values
    if any(value.yours is None for value in values):
        return
    layer, x = build(cls, case, seed), 1 + abs(x_of(case, seed))
    layer.forward(x.copy())
    layer.eval()
    y = np.asarray(layer.forward(x.copy()))
    yield Value("y at test time", y, x * (1.0 if train else 1 - case.kwargs["p"]), 1e-9)


def drops_channels(cls, model, case, seed):
    """Dropout of whole channels: as `drops`, for the first pixel of each channel; its other pixels are treated the same."""
    yield from mask_values(cls, model, case, seed, 1 / (1 - case.kwargs["p"]), "channels")


def mask_values(cls, model, case, seed, scale, what="numbers"):
    """What is dropped, and by what the rest is multiplied (`scale`). what: "numbers", or "channels" that are dropped whole."""
    p, layer, x = case.kwargs["p"], build(cls, case, seed), 1 + abs(x_of(case, seed))
    results = [each.forward(x.copy()) for each in (layer, layer, build(cls, case, seed))]
    if results[0] is None:
        yield Value("y", None, x)
        return
    first, second, twin = map(np.asarray, results)
    yield Value("shape of y", first.shape, x.shape)
    if first.shape != x.shape:
        return
    ratio = first / x
    if what == "channels":
        sentence = "The pixels of a channel differ: a channel is dropped, or kept and scaled, as a whole."
        yield Value("pixels of a channel", bool(abs(ratio - ratio[:, :1, :1]).max() <= 1e-9), True, if_wrong=sentence)
        ratio = ratio[:, 0, 0]
    yield from keep_rate_values(ratio, p, scale, what)
    dropped = (ratio != 0).reshape(len(x), -1)
    sentence = "All images have the same mask: each has one of its own."
    yield Value("masks of images", bool((dropped != dropped[0]).any()), True, if_wrong=sentence)
    sentence = f"All {what} of an image are kept or dropped together: each has a draw of its own."
    yield Value("masks within an image", bool((dropped != dropped[:, :1]).any()), True, if_wrong=sentence)
    sentence = "Two forwards have the same mask: each step draws a new one."
    yield Value("masks of steps", bool(((first != 0) != (second != 0)).any()), True, if_wrong=sentence)
    sentence = f"Two layers with the same generator drop different {what}: draw from self.rng alone."
    same = bool(np.array_equal(twin, first))
    yield Value("same generator, same mask", same, True, if_wrong=sentence, reason="Use the layer's own generator.")
    yield from kept_mask_values(cls, model, case, seed)


def keep_rate_values(ratio, p, scale, what):
    """ratio: an array of y / x, 0 where a number was dropped. What is kept is multiplied by `scale`, and the
    right share is kept."""
    kept = ratio[ratio != 0]
    sentence = f"What is kept is multiplied by {kept.mean() if kept.size else 0.0:.4g}, expected {scale:.4g} (p = {p})."
    yield Value("what is kept", kept, np.full(kept.shape, scale), 1e-9, sentence)
    bound, rate = 5 * np.sqrt(p * (1 - p) / ratio.size), kept.size / ratio.size
    margin = f"give or take {bound:.3f} (five standard deviations of {ratio.size} draws)"
    sentence = f"{rate:.3f} of the {what} are kept, expected {1 - p:.3f} {margin}."
    yield Value("keep rate", bool(abs(rate - (1 - p)) <= bound), True, if_wrong=sentence)


def kept_mask_values(cls, model, case, seed):
    """float32 stays float32, in y and in dx; and with the mask that forward keeps, dx is dy times what x was multiplied by."""
    layer, x = build(cls, case, seed, np.float32), (1 + abs(x_of(case, seed))).astype(np.float32)
    y = layer.forward(x.copy())
    yield dtype_value(y, np.float32, "float32 went in, but y came out as {}: a float64 mask, or one np.float64 scalar, is enough.")
    right = any(gives_ratio(backward, layer, y, x) for backward in (model.backward, lambda layer, dy: layer.backward(dy)))
    sentence = "With what forward keeps, backward gives no dx of float32 that is dy times what x was multiplied by: keep that in self.mask."
    yield Value("what forward keeps", right, True, if_wrong=sentence)


def gives_ratio(backward, layer, y, x):
    """Whether dx, for a dy of ones, is y / x in float32."""
    try:
        dx = backward(layer, np.ones_like(x))
    except Exception:
        return False
    return isinstance(dx, np.ndarray) and dx.dtype == np.float32 and dx.shape == x.shape and bool(abs(dx - y / x).max() <= 1e-6)


# ---- crops


def crops(crop_flip, model, case, seed):
    """Every crop is a piece of its image, mirrored or not; every offset and both sides occur; each image has draws of its own."""
    (N, H, W, C), size = case.x, case.args[0]
    images = np.arange(N * H * W * C, dtype=np.float32).reshape(case.x)  # each pixel says where it was
    before = images.copy()
    cropped, again, other = (crop_flip(images, size, np.random.default_rng((seed, stream))) for stream in (9, 9, 12))
    yield from is_array(cropped, (N, size, size, C))
    yield Value("images", images, before, 0.0, "The images are written to; they belong to the caller.")
    if np.shape(cropped) != (N, size, size, C) or not isinstance(cropped, np.ndarray):
        return
    offsets = [offset_of(crop, before, n) for n, crop in enumerate(cropped)]
    pieces = [offset for offset in offsets if offset is not None and offset[2] is not None]
    upside_down = len([offset for offset in offsets if offset is not None]) == N > len(pieces)
    sentence = f"{N - len(pieces)} of {N} crops are no piece of their image, as it is or mirrored left to right."
    reason = "Left and right change places, not top and bottom." if upside_down else ""
    yield Value("pieces", len(pieces), N, if_wrong=sentence, reason=reason)
    if len(pieces) == N:
        differs = np.shape(other) == np.shape(cropped) and not np.array_equal(cropped, other)
        yield Value("drawn from rng", bool(np.array_equal(cropped, again) and differs), True, if_wrong=GENERATOR, reason=GENERATOR)
        if differs:
            others = [offset_of(crop, before, n) for n, crop in enumerate(other)]
            yield from place_values(np.array(pieces), others, H - size + 1, W - size + 1)


def offset_of(crop, images, n):
    """(top, left, whether it is mirrored) of a crop of image n; None where it is no piece of it, (top, left, None) where that is upside
    down. images hold 0, 1, 2, ... in C order."""
    _, H, W, C = images.shape
    corner = int(crop[:, :, 0].min()) - n * H * W * C
    top, left = divmod(corner // C, W)
    piece = images[n, top : top + len(crop), left : left + len(crop)]
    if corner < 0 or piece.shape != crop.shape:
        return None
    ways = (piece, False), (piece[:, ::-1], True), (piece[::-1], None), (piece[::-1, ::-1], None)
    return next(((top, left, mirrored) for way, mirrored in ways if np.array_equal(way, crop)), None)


def place_values(pieces, others, rows, columns):
    """pieces: an array of (top, left, mirrored) of each image; others: the same for another generator, a list; rows, columns: the numbers
    of places."""
    N, sides, complete = len(pieces), (("row", rows), ("column", columns)), True
    same = N > 1 and (pieces[:, :2] == pieces[0, :2]).all()
    for axis, (name, number) in enumerate(sides):
        counts = np.bincount(pieces[:, axis], minlength=number)
        missing = [i for i in range(number) if not counts[i]]
        complete = complete and not missing
        last, first = missing == [number - 1], missing == [0]
        which = f"{name} {missing[0]}, the {'last' if last else 'first'} {name} where one fits" if last or first else f"{name}s {missing}"
        reason = "There are H − size + 1 places: 0 … H − size, both of them." if last else ""
        reason = "Each image has draws of its own." if same and number > 1 else reason
        yield Value(f"first {name}s", missing, [], if_wrong=f"No crop begins at {which}.", reason=reason)
        bound = 5 * np.sqrt(N / number)
        sentence = f"Places are not equally likely: {counts.tolist()} crops begin at {name}s 0 to {number - 1}."
        yield Value(f"how often each {name}", bool(missing or abs(counts - N / number).max() <= bound), True, if_wrong=sentence)
    mirrored = int(pieces[:, 2].sum())
    sentence = f"{mirrored} of {N} crops are mirrored, expected half of them."
    reason = {0: "Half of the images are mirrored.", N: "Half of the images are mirrored, the others are not."}.get(mirrored, "")
    yield Value("mirrored", mirrored, N / 2, 5 / np.sqrt(N), sentence, reason=reason)
    tossed = mirrored in (0, N) or [each and bool(each[2]) for each in others] != [bool(m) for m in pieces[:, 2]]
    sentence = "The same images are mirrored whatever the generator: toss the coin with rng."
    yield Value("tossed", tossed, True, if_wrong=sentence)
    occurring = len({tuple(place) for place in pieces[:, :2].tolist()})
    sentence = f"Only {occurring} of {rows * columns} places occur: rows and columns are drawn together."
    reason = "Row and column have draws of their own."
    yield Value("places", not complete or occurring == rows * columns, True, if_wrong=sentence, reason=reason)


# ---- noise


def noise(colour_noise, model, case, seed):
    """One shift for all pixels of an image, of the right covariance; the images stay as they are."""
    images = x_of(case, seed).astype(np.float32)
    sigma, V = np.array(case.args[0]), np.array(case.args[1])
    before = images.copy()
    noisy, again, other = (colour_noise(images.copy(), sigma, V, np.random.default_rng((seed, stream))) for stream in (10, 10, 13))
    colour_noise(images, sigma, V, np.random.default_rng(seed))
    yield Value("images", images, before, 0.0, "The images are written to; they belong to the caller.")
    yield from is_array(noisy, before.shape)
    if not isinstance(noisy, np.ndarray) or noisy.shape != before.shape:
        return
    shift = (noisy - before).astype(np.float64)
    difference = float(abs(shift - shift[:, :1, :1]).max())
    sentence = "The pixels of an image are shifted by different amounts."
    alike = bool(difference < 1e-3)
    yield Value("one shift for an image", alike, True, if_wrong=sentence, reason="All pixels of an image shift alike.")
    if alike:
        drawn = np.array_equal(noisy, again) and not np.array_equal(noisy, other)
        yield Value("drawn from rng", bool(drawn), True, if_wrong=GENERATOR, reason=GENERATOR)
        yield from shift_values(shift[:, 0, 0], sigma, V)


def shift_values(shift, sigma, V):
    """shift (N, 3): what was added to each image."""
    N, wanted = len(shift), 0.1 * sigma
    differ = bool(shift.std(axis=0).max() > 1e-6)
    sentence = "All images are shifted by the same amount: each has a draw of its own."
    yield Value("images differ", differ, True, if_wrong=sentence, reason="Each image has a draw of its own.")
    if not differ:
        return
    along = shift @ V
    deviations, bounds, reason = along.std(axis=0), 5 * wanted / np.sqrt(2 * N), reason_for(shift, sigma, V)
    for c in range(3):
        found = f"the standard deviation {deviations[c]:.4g}, expected {wanted[c]:.4g} give or take {bounds[c]:.2g}"
        sentence = f"Along component {c} the noise has {found}."
        yield Value(f"component {c}", float(deviations[c]), float(wanted[c]), bounds[c] / wanted[c], sentence, reason=reason)
    if (abs(deviations - wanted) > bounds).any():
        return
    standard = along / wanted
    centred = bool((abs(standard.mean(axis=0)) <= 5 / np.sqrt(N)).all())
    yield Value("mean", centred, True, if_wrong="The noise is not 0 on average: n comes from N(0, 1).")
    products = [float((standard[:, i] * standard[:, j]).mean()) for i, j in ((0, 1), (0, 2), (1, 2))]
    sentence = "Along the three components the noise is the same draw, or nearly: n holds three numbers of their own."
    yield Value("components", bool(max(map(abs, products)) <= 5 / np.sqrt(N)), True, if_wrong=sentence)
    fourth = float((standard**4).mean())  # of a normal number 3, its variance 96
    yield Value("normal", bool(abs(fourth - 3) <= 5 * np.sqrt(32 / N)), True, if_wrong="n is not normally distributed: N(0, 1).")


def reason_for(shift, sigma, V):
    """The hint of the mistake that gives deviations such as these, or ""."""

    def has(numbers, deviations):
        return (abs(numbers.std(axis=0) - deviations) <= 5 * deviations / np.sqrt(2 * len(shift))).all()

    along, rows = shift @ V, shift @ V.T
    if has(along, 0.1 * sigma):
        return ""
    reasons = {
        "σ, the standard deviation, is the root of the eigenvalue: do not square it.": has(along, 0.1 * sigma**2),
        "The noise is a tenth of the natural variation.": has(along, sigma),
        "V's columns are the components: V @ v for one image is v @ V.T for rows of images.": has(rows, 0.1 * sigma),
        "Noise goes along the components: V @ (0.1 σ n).": has(shift, 0.1 * sigma),
    }
    return next((reason for reason, holds in reasons.items() if holds), "")
