"""Which classes are taken for which others."""

import numpy as np

from minigrad.plots.figure import blank, save, short


def confusion(table, classes, path):
    """Draw how often images of one class (row) were taken for another (column), in percent of the row.

    table: int (K, K), images; classes: K names. Up to 30 classes are named and numbered; of more, the most frequent confusions are
    listed. Shades go with the square root, so that rare confusions can be seen."""
    K = len(classes)
    share = 100 * table / np.maximum(1, table.sum(axis=1, keepdims=True))
    few = K <= 30
    side = max(4.2, 0.42 * K) if few else 6.0
    figure = blank(side + (1.2 if few else 4.6), side + (0.9 if few else 0.4))
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
    save(figure, path)
