"""experiment: what the paper claims of its parts, measured again on small images; and which learning rates a network bears."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

from minigrad import files, plots
from minigrad.commands import datasets
from minigrad.commands.errors import UsageError, cannot_be_written
from minigrad.commands.experiment import ablations, lr_range, relu_vs_tanh
from minigrad.commands.networks import default_variant


def command(Network, arguments):
    a, variant = arguments, default_variant(Network)
    if a.level >= 100:
        raise UsageError(f"--level must be below 100 percent, not {a.level}.")
    dataset = datasets.load_data(Network, {"variant": variant, "data": a.data}, a.skip_bad)
    datasets.image_size(Network, {"variant": variant}, dataset)
    if a.images is not None:
        images, labels = datasets.evenly(dataset.train_images, dataset.train_labels, a.images)
        dataset = replace(dataset, train_images=images, train_labels=labels)
    folder = Path(a.output or f"runs/{a.which}-{dataset.name}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if a.which == "relu-vs-tanh":
            more = {"level": a.level / 100, "seeds": a.seeds, "limit": a.epochs or 60, "workers": a.workers}
            results = relu_vs_tanh.relu_vs_tanh(dataset, **more)
            text = relu_vs_tanh.relu_vs_tanh_text(results, a.level / 100)
            plots.race(results, a.level / 100, folder / a.which)
        elif a.which == "lr-range":
            kind, make = Network.variants[variant], partial(Network, variant, "cpu", len(dataset.classes), None)
            more = {"batch_size": kind.batch_size, "weight_decay": kind.weight_decay, "workers": a.workers}
            results = lr_range.lr_range(make, dataset, epochs=a.epochs or 1, seeds=a.seeds, **more)
            text = lr_range.lr_range_text(results)
            plots.lr_range(results, folder / a.which)
        else:
            make = partial(ablations.changed, Network, variant, len(dataset.classes))
            results = ablations.ablations(make, dataset, epochs=a.epochs or 8, seeds=a.seeds, workers=a.workers)
            text = ablations.ablations_text(results)
            plots.ablations(results, folder / a.which)
        text = f"{dataset.name}, {len(dataset.train_labels):,} training images\n{text}"
        files.write_text(folder / f"{a.which}.json", as_json(results) + "\n")
        files.write_text(folder / f"{a.which}.txt", text + "\n")
    except OSError as error:
        raise cannot_be_written(folder, error, "--output") from None
    print(text)
    return 0


def as_json(results):
    """The results as text. JSON knows no infinity: what was never reached is null."""
    return json.dumps(json.loads(json.dumps(results), parse_constant=lambda _: None), indent=1)
