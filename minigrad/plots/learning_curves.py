"""The curves of a run: loss and errors, epoch by epoch, in training and validation."""

from minigrad.plots.figure import BLUE, GREY, ORANGE, blank, save


def curves(rows, path):
    """Draw loss and errors against epochs, in training and validation.

    rows: at least one dict with the columns of history.csv, whose errors are fractions; they are drawn in percent. Light vertical lines
    mark changes of the learning rate, unless it changed after every epoch."""
    column = {name: [float(row[name]) for row in rows] for name in rows[0]}
    percent = {name: [100 * error for error in column[name]] for name in column if name.endswith("_error")}
    losses = [("train", column["train_loss"], BLUE, 2.0), ("val", column["val_loss"], ORANGE, 2.0)]
    errors = [
        ("train top-1", percent["train_top1_error"], BLUE, 2.0),
        ("val top-1", percent["val_top1_error"], ORANGE, 2.0),
        ("train top-5", percent["train_top5_error"], BLUE, 0.9),
        ("val top-5", percent["val_top5_error"], ORANGE, 0.9),
    ]
    figure = blank(11, 4.4, dpi=120)
    left, right = figure.subplots(1, 2)
    panel(left, "loss", column["epoch"], column["lr"], losses, digits=2)
    panel(right, "error in percent", column["epoch"], column["lr"], errors, digits=1)
    save(figure, path)


def panel(axes, title, epochs, rates, lines, digits):
    """Draw `lines`, tuples (name, values, colour, width), each with its name and last value at its right end."""
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
    mark_rates(axes, epochs, rates)
    ends = [(f"{name} {values[-1]:.{digits}f}", values[-1], colour) for name, values, colour, _ in lines]
    label_ends(axes, epochs[-1], ends)


def mark_rates(axes, epochs, rates):
    """Draw a line with the new rate wherever the learning rate changed from one epoch to the next."""
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


def label_ends(axes, x, ends):
    """Write labels right of x, moved up or down where they would overlap, none below the axis. ends: a list of (label, height, colour)."""
    gap = 0.06 * axes.get_ylim()[1]
    ends = sorted(ends, key=lambda end: end[1])
    heights = spread([value for _, value, _ in ends], gap)
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


def spread(heights, gap):
    """Move sorted heights as little as needed for neighbours to be at least `gap` apart.

    Heights that would be closer form a group, spaced evenly about the group's mean."""
    groups = []
    for height in heights:
        groups.append([height])
        while len(groups) > 1 and bottom(groups[-1], gap) - top(groups[-2], gap) < gap:
            groups[-2:] = [groups[-2] + groups[-1]]
    return [bottom(group, gap) + i * gap for group in groups for i in range(len(group))]


def bottom(group, gap):
    return sum(group) / len(group) - (len(group) - 1) * gap / 2


def top(group, gap):
    return sum(group) / len(group) + (len(group) - 1) * gap / 2
