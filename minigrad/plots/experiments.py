"""The outcome of the experiments: ReLU against tanh (Figure 1 of the paper), the network without each of its parts, and the loss while the
learning rate grows."""

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


def lr_range(results, path):
    """Draw the loss against the learning rate, which grows from left to right: a line for each seed, a dot where it is lowest.

    results: {"lr": [learning rates of the steps], "losses": [[smoothed losses of a seed, step by step], ...]}."""
    figure = blank(6.4, 4.0)
    axes = figure.subplots()
    for seed, losses in enumerate(results["losses"]):
        lowest, label = int(np.argmin(losses)), None if seed else "lowest"
        axes.plot(results["lr"][: len(losses)], losses, color=BLUE, linewidth=1.4, alpha=0.7)
        axes.plot(results["lr"][lowest], losses[lowest], "o", color=ORANGE, markersize=6, label=label, linestyle="none")
    start, end = max(losses[0] for losses in results["losses"]), min(min(losses) for losses in results["losses"])
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlim(results["lr"][0], results["lr"][-1])
    axes.set_ylim(end - 0.3 * (start - end), start + 0.5 * (start - end))  # a loss that blows up leaves the figure
    axes.set_xlabel("learning rate")
    axes.set_ylabel("training loss, smoothed")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower left")
    save(figure, path)
