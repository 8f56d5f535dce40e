"""Figures: the curves of a run and the kernels of conv1 (Figure 3 of the paper).

Each function draws with matplotlib's Agg canvas, so no display is needed, and writes one PNG file.
"""

import os
from contextlib import contextmanager, suppress

import numpy as np

# Okabe and Ito's palette: told apart by every kind of colour vision, and in grey.
BLUE, ORANGE = "#0072B2", "#D55E00"
GREY = "#8c8c8c"


@contextmanager
def replacing(path):
    """Yield the name of a temporary file beside `path`: it takes the place of `path` when the block succeeds.

    When the block fails, the temporary is removed and what lay at `path` is untouched: nobody ever reads half a
    file.
    """
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.remove(temporary)
        raise


def _save(figure, path):
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=figure.dpi)


# --- curves ---


def curves(rows, path):
    """Draw loss and errors against epochs, training and validation, into the PNG file `path`.

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
    """Write each line's label at its right end, moved up or down where labels would overlap."""
    gap = 0.06 * axes.get_ylim()[1]
    ends = sorted(ends, key=lambda end: end[1])
    heights = _apart([value for _, value, _ in ends], gap)
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
    """Draw the kernels of conv1 as images into the PNG file `path`: Figure 3.

    kernels  one array (k, k, 3, n) per tower, or (k, k, 1, n) to be drawn in grey
    One min-max scale serves all kernels of all towers, so that weak kernels look weak. A row holds 16 kernels, or
    8 when a tower has fewer than 16. Every weight is a square of whole pixels.
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
    columns = 16 if n >= 16 else 8
    rows = -(-n // columns)
    side, gap = k * pixels, 4
    image = np.ones((rows * (side + gap) - gap, min(n, columns) * (side + gap) - gap, 3))
    for i in range(n):
        top, left = i // columns * (side + gap), i % columns * (side + gap)
        image[top : top + side, left : left + side] = W[..., i].repeat(pixels, axis=0).repeat(pixels, axis=1)
    return image
