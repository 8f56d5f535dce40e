"""Properties that a right solution has, whatever its numbers are. Each is a function (solution, model, case, seed) that yields `Value`s.

solution, model: both a class, or both a function; model is the model solution. A case names its property."""

import copy

import numpy as np

from minigrad import Towers
from minigrad.coursework.judge.caged.functions import FUNCTIONS
from minigrad.coursework.judge.comparison import Value, copied
from minigrad.coursework.judge.inputs import arguments_of, build, x_of
from minigrad.layers import Parameter
from minigrad.plain import conv2d_naive, im2col

# ---- arrays


def is_view(windows, model, case, seed):
    """The result shares the memory of x and has the right numbers."""
    x = x_of(case, seed)
    result = windows(x, *case.args)
    yield Value("the result", copied(result), model(x, *case.args).copy())
    shares = isinstance(result, np.ndarray) and np.may_share_memory(result, x)
    yield Value("shares memory with x", shares, True, if_wrong="The numbers are copied: change x, and the windows do not change with it.")


def changes_in_place(update, model, case, seed):
    """Whoever holds w, or a view of it, sees the new numbers."""
    w, (g, lr) = x_of(case, seed), arguments_of(case, seed)
    view, g_before = w[::2], g.copy()
    expected = w - lr * g
    returned = update(w, g, lr)
    unchanged = (w == x_of(case, seed)).all()
    yield Value("w", w.copy(), expected, if_wrong="w, as the caller holds it, is unchanged." if unchanged else "")
    yield Value("a view of w", view.copy(), expected[::2])
    yield Value("g", g.copy(), g_before, 0.0, "g is written to; it belongs to the caller.")
    yield Value("the result", returned, None, if_wrong="Nothing is returned: w itself has changed.")


def keeps_dtype(scaled, model, case, seed):
    """float32 and float64 come out as they went in, with the right numbers; x stays."""
    for dtype in (np.float32, np.float64):
        x, scale = x_of(case, seed).astype(dtype), np.float64(case.args[0])
        before = x.copy()
        y = scaled(x, scale)
        name = np.dtype(dtype).name
        sentence = f"{name} went in, but {getattr(y, 'dtype', type(y).__name__)} came out."
        yield Value(f"dtype of {name}", str(getattr(y, "dtype", None)), name, if_wrong=sentence)
        yield Value(f"numbers of {name}", copied(y), before * dtype(scale), 1e-6)
        yield Value(f"x in {name}", x, before, 0.0, "x is written to; it belongs to the caller.")


# ---- derivatives


def answers(choose, model, case, seed):
    """The right letter; the sentence does not tell which it is."""
    letter = choose()
    yield Value("the answer", letter, model(), if_wrong=f"{letter!r} is not the answer.")


def differences(numerical_gradient, model, case, seed):
    """The model's slopes to 2e-7, for a function that cubes, one that mixes, or one that reuses its buffer; t is restored."""
    f, t = FUNCTIONS[case.args[0]], x_of(case, seed)
    before, dy = t.copy(), np.random.default_rng((seed, 5)).standard_normal(f(t.copy()).shape)
    gradient = numerical_gradient(f, t, dy)
    yield Value("the gradient", copied(gradient), model(f, before.copy(), dy), 2e-7)
    yield Value("t", t.copy(), before, 0.0, "t is not what it was: every number must be restored.")


# ---- patches and towers


def adjoint_of_im2col(col2im, model, case, seed):
    """<im2col(x), p> = <x, col2im(p)> for all x and p: col2im is the transpose, term by term."""
    shape, *window = case.args
    rng = np.random.default_rng((seed, 6))
    x = rng.standard_normal(shape)
    p = rng.standard_normal(im2col(x, *window).shape)
    before = p.copy()
    dx = col2im(p, shape, *window)
    yield Value("dx", copied(dx), model(before.copy(), shape, *window))
    yield Value("the patches", p, before, 0.0, "The patches are written to; they belong to the caller.")
    if isinstance(dx, np.ndarray) and dx.shape == x.shape:
        yield Value("<x, col2im(p)> (expected: <im2col(x), p>)", float((x * dx).sum()), float((im2col(x, *window) * before).sum()), 1e-9)


def adjoint(cls, model, case, seed):
    """<forward(x), dy> = <x, backward(dy)>: backward of a layer that only copies and adds is its transpose."""
    layer, x = build(cls, case, seed), x_of(case, seed)
    y = layer.forward(x)
    dy = np.random.default_rng((seed, 6)).standard_normal(np.shape(y))
    dx = layer.backward(dy)
    yield Value("dx", copied(dx), dx_of(model, case, x, dy))
    if np.shape(dx) == x.shape:
        yield Value("<x, backward(dy)> (expected: <forward(x), dy>)", float((x * dx).sum()), float((y * dy).sum()), 1e-9)


def dx_of(model, case, x, dy):
    """The model's dx, of the shape of x."""
    layer = build(model, case)
    layer.forward(x)
    return layer.backward(dy)


def towers_in_one(block_weights, model, case, seed):
    """Towers side by side give what one tower with block weights gives, to 1e-12."""
    T, K, C, CO = case.args
    rng = np.random.default_rng((seed, 7))
    parts = [rng.standard_normal((K, K, C, CO)) for _ in range(T)]
    originals = copy.deepcopy(parts)
    W = block_weights(parts)
    yield Value("W", copied(W), model(copy.deepcopy(originals)))
    x = rng.standard_normal((2, 5, 4, T * C))
    if np.shape(W) == (K, K, T * C, T * CO):
        one_tower = conv2d_naive(x, np.asarray(W), np.zeros(T * CO))
        towers = [conv2d_naive(x[..., t * C : (t + 1) * C], part, np.zeros(CO)) for t, part in enumerate(originals)]
        yield Value("y of one tower", one_tower, np.concatenate(towers, axis=-1), 1e-12)
    yield Value("parts", np.array(parts), np.array(originals), 0.0, "The parts are written to; they belong to the caller.")
    single = block_weights([part.astype(np.float32) for part in originals])
    yield Value("dtype of W", str(getattr(single, "dtype", None)), "float32", if_wrong="float32 went in, but W came out as another type.")


def same_network(stages, model, case, seed):
    """The same parameters by name and shape; with the same numbers in them, the same logits."""
    network, right = (Towers(make(*case.args)) for make in (stages, model))
    yield Value("layers", *([[list(tower.layers) for tower in stage] for stage in net.stages] for net in (network, right)))
    distinct = {id(tower) for stage in network.stages for tower in stage}
    sentence = "Two towers of a stage are one and the same object: they would share their weights."
    yield Value("towers", len(distinct), sum(len(stage) for stage in network.stages), if_wrong=sentence)
    described = ([[repr(tower) for tower in stage] for stage in net.stages] for net in (network, right))
    for s, (yours, expected) in enumerate(zip(*described, strict=False)):
        yield Value(f"stage {s}", yours, expected, if_wrong=f"Stage {s}: yours is {yours[0]}, expected {expected[0]}.")
    shapes = [[(p.name, p.value.shape) for p in net.parameters()] for net in (network, right)]
    yield Value("parameters", *shapes)
    if shapes[0] != shapes[1]:
        return
    rng = np.random.default_rng((seed, 8))
    for p, q in zip(network.astype(np.float64).parameters(), right.astype(np.float64).parameters(), strict=True):
        p.value[...] = q.value[...] = rng.standard_normal(p.value.shape) / np.sqrt(np.prod(p.value.shape[:-1]))
    x = rng.standard_normal(case.x)
    yield Value("logits", network.eval().forward(x), right.eval().forward(x), 1e-12)


# ---- randomness. Bounds on what is drawn are five standard deviations wide.


def drops(cls, model, case, seed):
    """Dropout: each number is kept with probability 1 - p and scaled by `scale_at`; masks differ from image to image and from step to
    step, and come from the layer's own generator; test time is scaled by `scale_at`, too."""
    train = case.kwargs.get("scale_at", "test") == "train"
    yield from mask_values(cls, case, seed, 1 / (1 - case.kwargs["p"]) if train else 1.0)
    layer, x = build(cls, case, seed), 1 + abs(x_of(case, seed))
    layer.forward(x.copy())
    layer.eval()
    y = np.asarray(layer.forward(x.copy()))
    yield Value("y at test time", y, x * (1.0 if train else 1 - case.kwargs["p"]), 1e-9)


def drops_channels(cls, model, case, seed):
    """Dropout of whole channels: as `drops`, for the first pixel of each channel; its other pixels are treated the same."""
    yield from mask_values(cls, case, seed, 1 / (1 - case.kwargs["p"]), "channels")


def mask_values(cls, case, seed, scale, what="numbers"):
    """What is dropped, and by what the rest is multiplied (`scale`). what: "numbers", or "channels" that are dropped whole."""
    p, layer, x = case.kwargs["p"], build(cls, case, seed), 1 + abs(x_of(case, seed))
    first, second, twin = (np.asarray(layer.forward(x.copy())) for layer in (layer, layer, build(cls, case, seed)))
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
    sentence = "Two forwards have the same mask: each step draws a new one."
    yield Value("masks of steps", bool(((first != 0) != (second != 0)).any()), True, if_wrong=sentence)
    sentence = f"Two layers with the same generator drop different {what}: draw from self.rng alone."
    yield Value("same generator, same mask", bool(np.array_equal(twin, first)), True, if_wrong=sentence)


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


def crops(crop_flip, model, case, seed):
    """Every crop is a piece of its image, mirrored or not; every offset and both sides occur; each image has draws of its own."""
    (N, H, W, C), size = case.x, case.args[0]
    images = np.arange(N * H * W * C, dtype=np.float32).reshape(case.x)  # each pixel says where it was
    before = images.copy()
    cropped = crop_flip(images, size, np.random.default_rng((seed, 9)))
    yield Value("shape", np.shape(cropped), (N, size, size, C))
    yield Value("images", images, before, 0.0, "The images are written to; they belong to the caller.")
    if np.shape(cropped) != (N, size, size, C):
        return
    yield Value("dtype", str(cropped.dtype), "float32", if_wrong=f"float32 went in, but {cropped.dtype} came out.")
    offsets = crop_offsets(cropped, before)
    sentence = f"{N - len(offsets)} of {N} crops are no piece of their image, as it is or mirrored left to right."
    yield Value("pieces", len(offsets), N, if_wrong=sentence)
    if len(offsets) < N:
        return
    for axis, name, number in ((0, "first rows", H - size + 1), (1, "first columns", W - size + 1)):
        yield Value(name, sorted({offset[axis] for offset in offsets}), list(range(number)))
    mirrored = sum(offset[2] for offset in offsets)
    sentence = f"{mirrored} of {N} crops are mirrored, expected half of them."
    yield Value("mirrored", mirrored, N / 2, 5 / np.sqrt(N), sentence)
    occurring = len({offset[:2] for offset in offsets})
    possible = (H - size + 1) * (W - size + 1)
    sentence = f"Only {occurring} of {possible} places occur: rows and columns are drawn together."
    yield Value("places", occurring, possible, if_wrong=sentence)


def crop_offsets(cropped, images):
    """(top, left, mirrored) of each crop that is a piece of its image; others are left out. images hold 0, 1, 2, ... in C order."""
    offsets, (_, H, W, C), size = [], images.shape, cropped.shape[1]
    for n in range(len(images)):
        corner = int(cropped[n, :, :, 0].min()) - n * H * W * C
        (top, left) = divmod(corner // C, W)
        piece = images[n, top : top + size, left : left + size]
        if piece.shape == cropped[n].shape and np.array_equal(piece, cropped[n]):
            offsets.append((top, left, False))
        elif piece.shape == cropped[n].shape and np.array_equal(piece[:, ::-1], cropped[n]):
            offsets.append((top, left, True))
    return offsets


def noise(colour_noise, model, case, seed):
    """One shift for all pixels of an image, of the right covariance; the images stay as they are."""
    images = x_of(case, seed).astype(np.float32)
    sigma, V = np.array(case.args[0]), np.array(case.args[1])
    before = images.copy()
    noisy = colour_noise(images, sigma, V, np.random.default_rng((seed, 10)))
    yield Value("images", images, before, 0.0, "The images are written to; they belong to the caller.")
    yield Value("shape", np.shape(noisy), before.shape)
    if np.shape(noisy) != before.shape:
        return
    yield Value("dtype", str(noisy.dtype), "float32", if_wrong=f"float32 went in, but {noisy.dtype} came out.")
    shift = (noisy - before).astype(np.float64)
    difference = float(abs(shift - shift[:, :1, :1]).max())
    sentence = "The pixels of an image are shifted by different amounts."
    yield Value("one shift for an image", bool(difference < 1e-3), True, if_wrong=sentence)
    shift = shift[:, 0, 0]
    sentence = "All images are shifted by the same amount: each has a draw of its own."
    yield Value("images differ", bool(shift.std(axis=0).max() > 1e-6), True, if_wrong=sentence)
    deviations = (shift @ V).std(axis=0)
    for c in range(3):
        expected = 0.1 * sigma[c]
        bound = 5 * expected / np.sqrt(2 * len(shift))
        found = f"the standard deviation {deviations[c]:.4g}, expected {expected:.4g} give or take {bound:.2g}"
        sentence = f"Along component {c} the noise has {found}."
        yield Value(f"component {c}", float(deviations[c]), expected, bound / expected, sentence)


# ---- learning


def trajectory(cls, model, case, seed):
    """Weights, biases and velocities after every step, lr changing on the way; in place; gradients stay as they are."""
    rng = np.random.default_rng((seed, 11))
    lrs = case.args[0]
    starts = {"conv1.W": rng.standard_normal((3, 2)), "conv1.b": 1 + abs(rng.standard_normal(4)), "b1.W": rng.standard_normal(5)}
    gradients = [{name: rng.standard_normal(v.shape) for name, v in starts.items()} for _ in lrs]
    parameters, model_parameters = ([Parameter(name, v.copy(), np.zeros_like(v)) for name, v in starts.items()] for _ in range(2))
    arrays = [p.value for p in parameters]
    optimiser, right = cls(parameters, **{"lr": lrs[0], **case.kwargs}), model(model_parameters, **{"lr": lrs[0], **case.kwargs})
    for n, lr in enumerate(lrs):
        for p in [*parameters, *model_parameters]:
            p.grad = gradients[n][p.name].copy()
        optimiser.lr = right.lr = lr
        optimiser.step()
        right.step()
        if len(getattr(optimiser, "velocities", ())) == len(parameters):
            for p, v, expected in zip(parameters, optimiser.velocities, right.velocities, strict=True):
                yield Value(f"the velocity of {p.name} after step {n + 1} (lr {lr})", copied(v), expected.copy(), 1e-12)
        for p, q, array in zip(parameters, model_parameters, arrays, strict=True):
            yield Value(f"{p.name} after step {n + 1} (lr {lr})", copied(p.value), q.value.copy(), 1e-12)
            sentence = f"{p.name} is another array after step {n + 1}: change p.value in place."
            yield Value(f"{p.name}, the same array", p.value is array, True, if_wrong=sentence)
            yield Value(f"the gradient of {p.name}", p.grad.copy(), gradients[n][p.name], 0.0, f"The gradient of {p.name} is written to.")


def one_number(cls, model, case, seed):
    """A single weight or bias, step by step, with numbers that can be verified on paper."""
    name, start, gradient, lrs, expected = case.args
    p = Parameter(name, np.array([start]), np.array([gradient]))
    optimiser = cls([p], lr=lrs[0])
    for n, (lr, number) in enumerate(zip(lrs, expected, strict=True)):
        optimiser.lr = lr
        before = float(p.value[0])
        optimiser.step()
        yield Value(f"{name} after step {n + 1}", float(p.value[0]), number, 1e-12)
        for v in getattr(optimiser, "velocities", ()):
            yield Value(f"the velocity after step {n + 1}", float(v[0]), float(p.value[0]) - before, 1e-9)
