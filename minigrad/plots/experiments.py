"""The outcome of the experiments: ReLU against tanh (Figure 1 of the paper), and the network without each of its parts."""

import numpy as np

from minigrad.plots.figure import BLUE, GREY, ORANGE, blank, save


def race(results, level, path):
    """Draw training error against epochs, ReLU solid and tanh dashed, a line for each seed: Figure 1.

    results: {"relu": {"lr": rate, "errors": [fractions, epoch by epoch, of each seed]}, "tanh": ...}
    level: the error that was to be reached, a fraction."""
    figure = blank(6.4, 4.4)
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
    save(figure, path)


def ablations(results, path):
    """Draw the error with each change to the network: a dot for each seed, a short line at their mean; a dotted line from top to bottom
    at the mean of the first.

    results: {change: [top-1 error of each seed, a fraction]}."""
    figure = blank(6.4, 0.5 * len(results) + 1.0)
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
    save(figure, path)
