"""train: a new run, one that goes on, or one that starts from the weights of another."""

import shlex
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np

from minigrad import data, files, training
from minigrad.commands import datasets, imported, runs
from minigrad.commands.errors import UsageError
from minigrad.commands.memory import enough_memory
from minigrad.commands.networks import known_config, last_with_weights, layers_of, make_network, program, recorder, share_columns
from minigrad.commands.traffic import forecast, sizes
from minigrad.optim import LARS


def command(Network, arguments):
    ranks = arguments.ranks  # the first of which alone touches the folder of the run
    with ExitStack() as holding:
        own, new = ranks.told(lambda: held_folders(arguments, holding))
        checkpoint, start, config = beginning(Network, arguments)
        check_recipe(config, ranks)
        if arguments.hybrid is not None:
            ranks.divide(arguments.hybrid or ranks.size)
        # What cannot be made, or shared, is said before any data is read.
        net = make_network(Network, config, config.get("num_classes", 2))
        step = recorder(net, config, ranks) if arguments.graph else training.train_on_batch
        share_columns(net, ranks)
        del net
        dataset = datasets.load_data(Network, config, config["skip_bad"])
        ranks.same("data", datasets.summary(dataset))
        if checkpoint is not None:
            datasets.same_classes(config, dataset)
        runs.same_data(config, dataset, arguments.resume)
        size = datasets.image_size(Network, config, dataset)
        output = own or ranks.told(lambda: made_folder(new, f"{config['variant']}-{dataset.name}", holding))
        return prepared(Network, arguments, config, dataset, size, output, checkpoint, start, step)


def check_recipe(config, ranks):
    """Raises UsageError for options that do not go together, or not with several processes."""
    if config["momentum"] >= 1:
        raise UsageError(f"--momentum must be below 1, not {config['momentum']}.")
    if config.get("optimizer") == "lars":
        if config["trust"] == 0:
            raise UsageError("--trust must be above 0.")
        if config["plain"]:
            raise UsageError("--plain has SGD alone: leave out --optimizer lars.")
    if ranks.size > 1:
        if config["plain"]:
            raise UsageError("--plain computes in one process: start it without the launcher.")
        if config.get("accumulate", 1) > 1:
            raise UsageError(
                "--accumulate is for one process: of several each has a smaller share of the batch; start more of them instead."
            )


def beginning(Network, arguments):
    """The checkpoint of a run that goes on, or None; the one that a new run starts from, or None; and the run's config."""
    ranks = arguments.ranks
    if not arguments.resume:
        start = ranks.told(lambda: imported.load(arguments.checkpoint)) if arguments.checkpoint else None
        if start is not None:
            known_config(arguments.checkpoint, start)
        return None, start, runs.new_config(Network, arguments, start)
    if arguments.checkpoint:
        raise UsageError("--resume goes on with a run, --checkpoint starts a new one from its weights: give one of them.")
    ranks.told(lambda: runs.ended_early(arguments.resume))
    checkpoint = ranks.told(lambda: training.load_checkpoint(arguments.resume))
    return checkpoint, None, runs.resumed_config(arguments, checkpoint)


def prepared(Network, arguments, config, dataset, size, output, checkpoint, start, step):
    """Make the network and its loaders, say what they are, and train."""
    config["classes"], config["num_classes"] = list(dataset.classes), len(dataset.classes)
    ranks, asked = arguments.ranks, config["device"]
    config["device"] = ranks.deal(asked, Network.variants[config["variant"]].towers)
    net = make_network(Network, config, len(dataset.classes))
    if start is not None:
        start_from(start, net, config)
    # Where GPUs are dealt out, each process has another one, and so it will have when the run goes on.
    config["device"] = asked if ranks.size > 1 and asked == "auto" else ",".join(device.name for device in net.towers.devices)
    config["arithmetic"] = "; ".join(dict.fromkeys(device.arithmetic for device in net.towers.devices))
    parameters, how = net.num_parameters(), ""
    if ranks.size > 1:
        whole = sizes(net)
        share_columns(net, ranks)
        travels = ranks.use(net.towers.devices)
        how = f" in each of {ranks.size} processes, {travels}; {forecast(whole, config['batch_size'], ranks)}"
    mean = ranks.told(lambda: mean_image(checkpoint, start, dataset, size))
    if min(mean.shape[:2]) < size:
        raise UsageError(f"The mean image of the checkpoint has {min(mean.shape[:2])} pixels, but the images are fed with {size}.")
    loaders = make_loaders(net, dataset, config, mean, size, arguments.workers, ranks)
    print(
        f"{config['variant']} on {dataset.name}: {len(dataset.train_labels):,} images to train, {len(dataset.val_labels):,} to validate, "
        f"{len(dataset.classes)} classes; {parameters:,} parameters on {','.join(device.name for device in net.towers.devices)}"
        f"{how}; at most {loaders[0].memory / 1e6:,.0f} MB of batches ahead; into {output}",
        file=sys.stderr,
    )
    go_on = f"python {program(Network)} --resume {shlex.quote(str(output))}"
    return train(net, loaders, config, output, mean, checkpoint, go_on, ranks, step)


def held_folders(arguments, holding):
    """The folder of the run that goes on, held, or None; and where a new one is to be made, or None."""
    if arguments.resume:
        folder = Path(arguments.resume)
        folder = folder if folder.is_dir() else folder.parent
        if not arguments.output or Path(arguments.output).resolve() == folder.resolve():
            if folder.is_dir():
                holding.enter_context(runs.held(folder))
            return folder, None
    return None, runs.Folder(arguments.output)


def made_folder(new, name, holding):
    """The folder of a new run, made and held."""
    output = new.make(name)
    if not new.existed:
        holding.enter_context(files.removed_if_empty(output))
    holding.enter_context(runs.held(output))
    if runs.holds_a_run(output):  # of a command that was there a moment before
        raise new.taken()
    return output


def start_from(start, net, config):
    """Give `net` the weights of a checkpoint; the last layer keeps its own unless the classes are the same (paper, Table 2's asterisk)."""
    values, known = start.values, start.metadata["config"]
    if known["num_classes"] != config["num_classes"] or known["classes"] not in ([], config["classes"]):
        last = f".{last_with_weights([p.name for p in net.parameters()])}."
        values = {name: value for name, value in values.items() if last not in name}
        values |= {p.name: training.to_host(p.value) for p in net.parameters() if last in p.name}
    training.restore(replace(start, values=values), net)


def mean_image(checkpoint, start, dataset, size):
    """The mean image of a run: its own if it goes on, that of the weights it starts from if it is large enough, or the data's."""
    if checkpoint is not None:
        if checkpoint.mean is None:
            raise UsageError("The checkpoint has no mean image, so it cannot go on.")
        return checkpoint.mean
    if start is not None and start.mean is not None and min(start.mean.shape[:2]) >= size:
        return start.mean
    return data.mean_image(dataset.train_images) if dataset.mean is None else dataset.mean


def make_loaders(net, dataset, config, mean, size, workers, ranks):
    """The loaders of this rank's share of the training and of the validation images."""
    common = {"mean": mean, "size": size, "seed": config["seed"], "workers": workers, "scale": net.input_scale, "device": net.device}
    common["share"] = ranks.share
    colours = ranks.told(lambda: noise(config, dataset))
    return (
        data.Loader(
            dataset.train_images,
            dataset.train_labels,
            config["batch_size"],
            shuffle=True,
            augment=config["augment"],
            noise=colours,
            **common,
        ),
        data.Loader(dataset.val_images, dataset.val_labels, config["batch_size"], **common),
    )


def noise(config, dataset):
    """The colour noise of a run, a matrix (3, 3), or None. The components that it is made of are kept in `config`."""
    if not config.get("colour_noise"):
        return None
    if "colours" not in config:
        std, directions = data.colours(dataset.train_images) if dataset.colours is None else dataset.colours
        config["colours"] = {"std": std.tolist(), "directions": directions.tolist()}
    return data.noise_matrix([np.array(config["colours"][key]) for key in ("std", "directions")], config["colour_noise"])


def train(net, loaders, config, output, mean, checkpoint, go_on, ranks, step):
    """Train to the end and return the exit code. go_on: the command that goes on with the run once it was stopped. step: what trains on a
    batch."""
    layers, recipe = layers_of(config), (net.parameters(), config["lr"], config["momentum"], config["weight_decay"])
    optimizer = LARS(*recipe, trust=config["trust"], team=ranks.team) if config.get("optimizer") == "lars" else layers.SGD(*recipe)
    try:
        with enough_memory(net, -(-config["batch_size"] // config.get("accumulate", 1))):
            training.train(
                net,
                layers.SoftmaxCrossEntropy().to(net.device),
                optimizer,
                runs.plan(config["schedule"], config["lr"], config["epochs"]),
                *loaders,
                epochs=config["epochs"],
                output=output,
                config=config,
                checkpoint=checkpoint and runs.replanned(checkpoint, config),
                mean=mean,
                patience=config.get("patience"),
                warmup=config.get("warmup", 0),
                accumulate=config.get("accumulate", 1),
                ranks=ranks,
                step=step,
            )
    except training.Interrupted as stop:
        print(f"{stop}\nTo go on: {go_on}", file=sys.stderr)
        return 130
    except data.DataError as error:  # an image that only decoding shows to be broken
        raise UsageError(f"{error} The run was saved; when the file is mended, go on: {go_on}") from None
    names = "curves.png, filters.png, history.csv, checkpoint.safetensors, best.safetensors"
    print(f"The run is in {output}: {names}", file=sys.stderr)
    return 0
