"""Figures: the curves of a run, the kernels of conv1 (Figure 3 of the paper), what a network says of some images and which
images it finds alike (Figure 4), what its layers respond to, and which classes it confuses.

Each function needs no display and writes the file `path`, PNG or SVG by its suffix; without a suffix, both.
"""

import os
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

# Okabe and Ito's palette: told apart by every kind of colour vision, and in grey.
BLUE, ORANGE = "#0072B2", "#D55E00"
GREY = "#8c8c8c"
RED = "#C8102E"  # of words
PINK, PALE = "#F2776B", "#9ECAE1"  # of bars behind words: the true class, as in the paper, and any other


@contextmanager
def replacing(path):
    """Yield the name of a temporary file beside `path`: it takes the place of `path` when the block succeeds.

    When the block fails, the temporary is removed and what lay at `path` is untouched: nobody ever reads half a
    file.
    """
    path = Path(path)
    temporary = str(path.with_name(f"{path.stem}.{os.getpid()}.tmp{path.suffix}"))  # PyTorch looks at the suffix
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.remove(temporary)
        raise


def _save(figure, path):
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    path = Path(path)
    for suffix in [path.suffix] if path.suffix in (".png", ".svg") else [".png", ".svg"]:
        canvas = {".png": FigureCanvasAgg, ".svg": FigureCanvasSVG}[suffix]
        # Without a date and a salt, the same figure would be another file every time.
        with rc_context({"svg.hashsalt": "minigrad"}), replacing(path.with_suffix(suffix)) as temporary:
            canvas(figure)
            metadata = {"Date": None} if suffix == ".svg" else None
            figure.savefig(temporary, format=suffix[1:], dpi=figure.dpi, metadata=metadata)


# --- curves ---


def curves(rows, path):
    """Draw loss and errors against epochs, training and validation.

    rows  at least one dict with the columns of history.csv, whose errors are fractions; they are drawn in percent
    Light vertical lines mark the epochs from which another learning rate held, unless it changed after every one.
    """
    from matplotlib.figure import Figure

    column = {name: [float(row[name]) for row in rows] for name in rows[0]}
    percent = {name: [100 * error for error in column[name]] for name in column if name.endswith("_error")}
    losses = [("train", column["train_loss"], BLUE, 2.0), ("val", column["val_loss"], ORANGE, 2.0)]
    errors = [
        ("train top-1", percent["train_top1_error"], BLUE, 2.0),
        ("val top-1", percent["val_top1_error"], ORANGE, 2.0),
        ("train top-5", percent["train_top5_error"], BLUE, 0.9),
        ("val top-5", percent["val_top5_error"], ORANGE, 0.9),
    ]
    figure = Figure(figsize=(11, 4.4), dpi=120, layout="constrained")
    left, right = figure.subplots(1, 2)
    _panel(left, "loss", column["epoch"], column["lr"], losses, digits=2)
    _panel(right, "error in percent", column["epoch"], column["lr"], errors, digits=1)
    _save(figure, path)


def _panel(axes, title, epochs, rates, lines, digits):
    """Draw `lines`, tuples of name, values, colour and width, each with its name and last value at its end."""
    axes.set_title(title, loc="left", fontsize=11, pad=18)  # above the names of the learning rates
    axes.set_xlabel("epoch")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e6e6e6", linewidth=0.8)
    axes.locator_params(axis="x", nbins=8, integer=True, min_n_ticks=1)
    for _, values, colour, width in lines:
        marker = "o" if len(epochs) <= 20 else None
        axes.plot(epochs, values, color=colour, linewidth=width, marker=marker, markersize=2.5 + width)
    axes.set_xlim(epochs[0] - 0.5, epochs[-1] + 0.5)
    axes.set_ylim(0, 1.06 * max(value for _, values, _, _ in lines for value in values) or 1)
    _mark_rates(axes, epochs, rates)
    ends = [(f"{name} {values[-1]:.{digits}f}", values[-1], colour) for name, values, colour, _ in lines]
    _label_ends(axes, epochs[-1], ends)


def _mark_rates(axes, epochs, rates):
    if len(rates) > 2 and len(set(rates)) == len(rates):
        return
    for before, after, left, right in zip(rates, rates[1:], epochs, epochs[1:], strict=False):
        if before != after:
            middle = (left + right) / 2
            axes.axvline(middle, color="#c8c8c8", linewidth=0.8, zorder=0)
            axes.text(
                middle,
                1.0,
                f"lr {after:.3g}",
                transform=axes.get_xaxis_transform(),
                color=GREY,
                fontsize=8,
                ha="center",
                va="bottom",
            )


def _label_ends(axes, x, ends):
    """Write each line's label at its right end, moved up or down where labels would overlap, none below the axis."""
    gap = 0.06 * axes.get_ylim()[1]
    ends = sorted(ends, key=lambda end: end[1])
    heights = _apart([value for _, value, _ in ends], gap)
    heights = [max(height, (i + 0.5) * gap) for i, height in enumerate(heights)]  # below the axis are the epochs' numbers
    for (label, _, colour), height in zip(ends, heights, strict=True):
        axes.annotate(
            label,
            xy=(x, height),
            xytext=(10, 0),
            textcoords="offset points",
            color=colour,
            fontsize=9,
            va="center",
            annotation_clip=False,
        )


def _apart(heights, gap):
    """Move sorted heights as little as needed for neighbours to be at least `gap` apart.

    Heights that would touch are gathered into a group, spaced evenly about the group's mean.
    """
    groups = []
    for height in heights:
        groups.append([height])
        while len(groups) > 1 and _bottom(groups[-1], gap) - _top(groups[-2], gap) < gap:
            groups[-2:] = [groups[-2] + groups[-1]]
    return [_bottom(group, gap) + i * gap for group in groups for i in range(len(group))]


def _bottom(group, gap):
    return sum(group) / len(group) - (len(group) - 1) * gap / 2


def _top(group, gap):
    return sum(group) / len(group) + (len(group) - 1) * gap / 2


# --- kernels of the first layer ---


def filters(kernels, path):
    """Draw the kernels of conv1 as images: Figure 3.

    kernels  one array (k, k, 3, n) per tower, or (k, k, 1, n) to be drawn in grey
    One min-max scale serves all kernels of all towers, so that weak kernels look weak. A row holds 16 kernels, as
    in the paper, or the 12 or fewer of a small tower. Every weight is a square of whole pixels.
    """
    from matplotlib.figure import Figure

    low = min(float(W.min()) for W in kernels)
    span = max(float(W.max()) for W in kernels) - low
    pixels = max(2, round(64 / kernels[0].shape[0]))  # the side of one weight
    blocks = [_mosaic((W - low) / (span or 1.0), pixels) for W in kernels]

    margin, title, dpi = 16, 30, 100
    width = max(block.shape[1] for block in blocks) + 2 * margin
    height = sum(block.shape[0] + title for block in blocks) + margin
    figure = Figure(figsize=(width / dpi, height / dpi), dpi=dpi)
    y = height
    for tower, block in enumerate(blocks):
        y -= title
        figure.text(margin / width, (y + 8) / height, f"tower {tower}", fontsize=10, va="bottom")
        y -= block.shape[0]
        figure.figimage(block, margin, y, origin="upper")
    _save(figure, path)


def _mosaic(W, pixels):
    """Kernels (k, k, 3 or 1, n) in [0, 1] as one colour image on white, each weight `pixels` wide, gaps between kernels."""
    k, _, _, n = W.shape
    columns = 16 if n > 12 else 12
    rows = -(-n // columns)
    side, gap = k * pixels, 4
    image = np.ones((rows * (side + gap) - gap, min(n, columns) * (side + gap) - gap, 3))
    for i in range(n):
        top, left = i // columns * (side + gap), i % columns * (side + gap)
        image[top : top + side, left : left + side] = W[..., i].repeat(pixels, axis=0).repeat(pixels, axis=1)
    return image


# --- what the network says ---


def short(name, most=22):
    """The first of the words for a class, cut if it is long."""
    name = name.split(",")[0]
    return name if len(name) <= most else name[: most - 1] + "…"


def predictions(images, labels, p, classes, path):
    """Draw images with the five most probable classes of each: Figure 4, left.

    images  list of uint8 (H, W, 1 or 3), best eight; labels  their true classes, numbers
    p       probabilities (N, classes); classes  their names
    The bar of the true class is red; bars are as long as the probabilities, from 0 to 1.
    """
    from matplotlib.figure import Figure

    columns = min(4, len(images))
    rows = -(-len(images) // columns)
    figure = Figure(figsize=(2.3 * columns, 3.5 * rows), dpi=150, layout="constrained")
    panels = figure.subplots(2 * rows, columns, squeeze=False, gridspec_kw={"height_ratios": [2.1, 1.0] * rows})
    for axes in panels.flat:
        axes.axis("off")
    for i, (image, label) in enumerate(zip(images, labels, strict=True)):
        above, below = (panels[2 * (i // columns) + k, i % columns] for k in (0, 1))
        _picture(above, image)
        above.set_title(short(classes[label], 26), fontsize=10, y=-0.13)
        best = np.argsort(-p[i], kind="stable")[:5]
        colours = [PINK if k == label else PALE for k in best]
        below.barh(range(len(best)), p[i][best], color=colours, height=0.86)
        for row, k in enumerate(best):
            below.text(0.02, row, short(classes[k], 26), fontsize=8, va="center")
        below.set_xlim(0, 1)
        below.set_ylim(4.6, -0.6)
        below.axis("on")
        below.set_xticks([])
        below.set_yticks([])
    _save(figure, path)


def neighbours(queries, matches, path, titles=None):
    """Draw test images and beside each, behind a line, the training images nearest to it: Figure 4, right.

    queries  list of uint8 (H, W, 1 or 3); matches  for each a list of such images, the nearest first
    titles   for each query the names of its class and of those of its matches, which are red where they differ
    """
    from matplotlib.figure import Figure

    rows, columns = len(queries), 1 + len(matches[0])
    figure = Figure(figsize=(1.25 * columns + 0.3, (1.25 if titles is None else 1.42) * rows), dpi=150, layout="constrained")
    widths = [1, 0.12] + [1] * (columns - 1)
    panels = figure.subplots(rows, columns + 1, squeeze=False, gridspec_kw={"width_ratios": widths})
    for row, (query, found) in enumerate(zip(queries, matches, strict=True)):
        panels[row, 1].axis("off")
        panels[row, 1].axvline(0.5, color=GREY, linewidth=1)
        for k, (axes, image) in enumerate(zip(np.delete(panels[row], 1), [query, *found], strict=True)):
            _picture(axes, image)
            if titles is not None:
                same = titles[row][k] == titles[row][0]
                axes.set_title(short(titles[row][k], 15), fontsize=7.5, pad=2, color="black" if same else RED)
    _save(figure, path)


def _picture(axes, image):
    grey = image.shape[-1] == 1
    axes.imshow(image[..., 0] if grey else image, cmap="gray" if grey else None, vmin=0, vmax=255, interpolation="nearest")
    axes.axis("off")


# --- what its layers respond to ---


def activations(image, maps, path, each=6):
    """Draw an image and what each layer makes of it: for each layer a row, for each tower the channels that respond most.

    image  uint8 (H, W, 1 or 3)
    maps   {layer's name: list with one array (H, W, C) per tower, not negative}
    each   channels of a tower; light is strong, on one scale for a layer
    """
    from matplotlib.figure import Figure

    towers = len(next(iter(maps.values())))
    each = each if towers > 1 else 2 * each
    columns, rows = towers * each, len(maps)
    cells, cell, title = columns + towers + 3, 0.72, 0.3  # inches
    width, height = cells * cell, rows * cell + title
    figure = Figure(figsize=(width, height), dpi=150)
    grid = figure.add_gridspec(rows, cells, left=0.01, right=0.99, bottom=0.01, top=1 - title / height, wspace=0.06, hspace=0.06)
    axes = figure.add_subplot(grid[: min(rows, 3), :3])
    _picture(axes, image)
    for row, (name, parts) in enumerate(maps.items()):
        brightest = max(float(part.max()) for part in parts) or 1.0
        for tower, part in enumerate(parts):
            strongest = np.sort(np.argsort(-part.mean(axis=(0, 1)), kind="stable")[:each])
            for k, channel in enumerate(strongest):
                axes = figure.add_subplot(grid[row, 4 + tower * (each + 1) + k])
                axes.imshow(part[..., channel], cmap="magma", vmin=0, vmax=brightest, interpolation="nearest")
                axes.axis("off")
                if row == 0 and k == 0 and towers > 1:
                    axes.set_title(f"tower {tower}", fontsize=9, loc="left", pad=4)
                if tower == 0 and k == 0:
                    axes.text(-0.12, 0.5, name, transform=axes.transAxes, fontsize=9, ha="right", va="center")
    _save(figure, path)


# --- which classes are confused ---


def confusion(table, classes, path):
    """Draw how often images of one class (row) were taken for another (column), in percent of the row.

    table  int (K, K); of up to 30 classes numbers and names are written, of more the most frequent confusions are listed
    """
    from matplotlib.figure import Figure

    K = len(classes)
    share = 100 * table / np.maximum(1, table.sum(axis=1, keepdims=True))
    few = K <= 30
    side = max(4.2, 0.42 * K) if few else 6.0
    figure = Figure(figsize=(side + (1.2 if few else 4.6), side + (0.9 if few else 0.4)), dpi=150, layout="constrained")
    axes, *rest = [figure.subplots()] if few else figure.subplots(1, 2, gridspec_kw={"width_ratios": [6, 4]})
    axes.imshow(np.sqrt(share / 100), cmap="Blues", vmin=0, vmax=1, interpolation="nearest" if few else "antialiased")
    axes.set_xlabel("taken for", fontsize=10)
    axes.set_ylabel("shown", fontsize=10)
    if few:
        names = [short(name) for name in classes]
        axes.set_xticks(range(K), names, rotation=45, ha="right", rotation_mode="anchor", fontsize=8)
        axes.set_yticks(range(K), names, fontsize=8)
        axes.tick_params(length=0)
        for i, j in zip(*np.nonzero(table), strict=True):
            colour = "white" if share[i, j] > 40 else "black"
            text = f"{share[i, j]:.0f}" if share[i, j] >= 0.5 else "·"
            axes.text(j, i, text, ha="center", va="center", fontsize=7.5, color=colour)
    else:
        off = table - np.diag(np.diag(table))
        order = np.argsort(-off, axis=None, kind="stable")[:24]
        lines = [f"{off.flat[k]:4d}  {short(classes[k // K])} → {short(classes[k % K])}" for k in order if off.flat[k]]
        rest[0].axis("off")
        rest[0].set_title("most frequent confusions, images", fontsize=10, loc="left")
        rest[0].text(0, 0.99, "\n".join(lines), fontsize=8, va="top", family="monospace", transform=rest[0].transAxes)
    axes.set_title(f"{np.trace(table) / max(1, table.sum()):.1%} of {table.sum():,} images right", fontsize=10, loc="left")
    _save(figure, path)


# --- experiments ---


def race(results, level, path):
    """Draw training error against epochs, ReLU solid and tanh dashed, a line for each seed: Figure 1.

    results  {"relu": {"lr": rate, "errors": [the fractions of each seed's epochs, ...]}, "tanh": ...}
    level    the error that was to be reached, a fraction
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.4), dpi=150, layout="constrained")
    axes = figure.subplots()
    axes.axhline(100 * level, color=GREY, linewidth=0.9, linestyle=":")
    longest = max(len(errors) for result in results.values() for errors in result["errors"])
    for (name, result), colour, style in zip(results.items(), (BLUE, ORANGE), ("-", "--"), strict=True):
        for seed, errors in enumerate(result["errors"]):
            label = f"{ {'relu': 'ReLU'}.get(name, name) }, lr {result['lr']:.2g}" if seed == 0 else None
            percent = [100 * error for error in errors]
            axes.plot(range(1, len(errors) + 1), percent, style, color=colour, linewidth=1.6, label=label)
            axes.plot(len(errors), percent[-1], "o", color=colour, markersize=4)
    axes.set_xlabel("epochs")
    axes.set_ylabel("training error in percent")
    axes.set_xlim(0.5, longest + 0.5)
    axes.set_ylim(0, None)
    axes.text(longest + 0.4, 100 * level, f"{level:.0%}", color=GREY, fontsize=8, va="bottom", ha="right")
    axes.locator_params(axis="x", integer=True, min_n_ticks=1)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    _save(figure, path)


def ablations(results, path):
    """Draw the error of each change: a dot for each seed, a line at their mean, and at the mean of the first, from top to bottom.

    results  {change: [top-1 errors, fractions]}
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 0.5 * len(results) + 1.0), dpi=150, layout="constrained")
    axes = figure.subplots()
    means = [100 * float(np.mean(errors)) for errors in results.values()]
    axes.axvline(means[0], color=GREY, linewidth=0.9, linestyle=":")
    for row, (errors, mean) in enumerate(zip(results.values(), means, strict=True)):
        axes.plot([100 * error for error in errors], [row] * len(errors), "o", color=BLUE, markersize=5, alpha=0.6, markeredgewidth=0)
        axes.plot([mean, mean], [row - 0.3, row + 0.3], color=ORANGE, linewidth=2.2)
        behind = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}
        axes.annotate(f"{mean:.1f}", (mean, row - 0.34), ha="center", va="bottom", fontsize=8, color=ORANGE, bbox=behind)
    axes.set_yticks(range(len(results)), list(results), fontsize=10)
    axes.set_ylim(len(results) - 0.5, -0.75)
    axes.set_xlabel("top-1 error in percent")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    _save(figure, path)
