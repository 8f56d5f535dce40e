"""A network on the command line: the class that is handed in, and its objects, made from options or from a checkpoint."""

import inspect
import os
from collections import Counter
from pathlib import Path

import minigrad
from minigrad import plain, training
from minigrad.commands import imported
from minigrad.commands.errors import UsageError
from minigrad.cuda.graph import Recorder
from minigrad.ranks import ALONE


def program(Network):
    """The name of the program that has the class `Network`, such as "lenet.py"."""
    try:
        return Path(inspect.getfile(Network)).name
    except (OSError, TypeError):  # a class made in a notebook
        return f"{Network.__name__.lower()}.py"


def default_variant(Network, side=None):
    """The name of the variant for images whose shorter side has so many pixels: of those they are large enough for, the one for the
    largest images. Where the side is not known, or too small for all: the variant for the smallest images."""

    def size(name):
        return Network.variants[name].image_size

    fitting = [name for name in Network.variants if side is not None and size(name) <= side]
    return max(fitting, key=size) if fitting else min(Network.variants, key=size)


def layers_of(config):
    """The module that a run takes its layers, loss and optimiser from."""
    return plain if config.get("plain") else minigrad


def make_network(Network, config, num_classes):
    """The network that a run's config, or options with the same names, asks for. Raises UsageError for what does not exist."""
    if config.get("fp32"):
        os.environ["CUPY_TF32"] = "0"  # CuPy's own switch, which it reads at its first product
    device = config.get("device") or "cpu"
    if config.get("plain") and device != "cpu":
        raise UsageError(f"--plain computes with NumPy alone, on one CPU: leave out --device {device}.")
    try:
        net = Network(config.get("variant"), device, num_classes, config.get("init"), config.get("seed") or 0, layers_of(config))
        imported.adapt(net, config.get("adapted", {}))
    except ValueError as error:
        raise UsageError(f"{str(error)[:1].upper()}{str(error)[1:]}.") from None
    for device in net.towers.devices if config.get("bf16") else ():
        try:
            device.use_bfloat16()
        except ValueError as error:
            raise UsageError(f"--bf16, which was asked for or which the run was made with, cannot be used here: {error}.") from None
    return net


def share_columns(net, ranks):
    """Leave to each rank of a team its columns of the fully connected layers. Raises UsageError for a network that cannot be shared so."""
    if ranks.team is not None:
        try:
            net.share_columns(ranks.team)
        except ValueError as error:
            raise UsageError(f"--hybrid: {error}.") from None


def recorder(net, config, ranks):
    """What makes the training steps of --graph. Raises UsageError where they cannot be recorded."""
    if not all(device.is_gpu for device in net.towers.devices):
        names = ",".join(device.name for device in net.towers.devices)
        raise UsageError(f"--graph records what GPUs are told, and --device is {names}: name GPUs alone, or leave --graph out.")
    if ranks.size > 1:
        raise UsageError("--graph is for one process: leave it out where several train together.")
    if config.get("accumulate", 1) > 1:
        raise UsageError("--graph records the step of a whole batch, which --accumulate cuts up: leave one of them out.")
    if config.get("optimizer") == "lars":
        raise UsageError("--graph records what the host need not wait for, but --optimizer lars waits for norms: leave one of them out.")
    return Recorder(training.train_on_batch)


def known_config(path, checkpoint):
    """The config of a checkpoint. Raises UsageError if it does not say which network it is of."""
    config = checkpoint.metadata.get("config")
    missing = [key for key in ("variant", "init", "seed", "num_classes", "classes") if not isinstance(config, dict) or key not in config]
    if missing:
        raise UsageError(f"{path} is no checkpoint of a network of ours: its config does not say {', '.join(missing)}.")
    if config["classes"] and len(config["classes"]) != config["num_classes"]:
        raise UsageError(f"{path} names {len(config['classes'])} classes, but its config says {config['num_classes']}.")
    outputs = Counter()  # of each layer, all towers together
    for name, value in checkpoint.values.items():
        if name.endswith(".b"):
            outputs[name.split(".")[-2]] += value.size
    if config["num_classes"] not in outputs.values():  # before so many are asked for: it is memory
        raise UsageError(f"{path} says that it knows {config['num_classes']:,} classes, but none of its layers has so many outputs.")
    return config


def elsewhere(config, arguments=None):
    """The config of a checkpoint for the device and the precision that the options ask for, if there are any, in place of the run's own."""
    return {**config, "plain": False, **{key: getattr(arguments, key, None) for key in ("device", "fp32", "bf16")}}


def load_network(Network, path, arguments=None, ranks=ALONE):
    """The network of a checkpoint, of the fast layers and in test mode, on the device and in the precision that the options ask for; and
    the checkpoint, which the first of `ranks` reads for all."""
    checkpoint = ranks.told(lambda: imported.load(path))
    config = known_config(path, checkpoint)
    net = make_network(Network, elsewhere(config, arguments), config["num_classes"])
    training.restore(checkpoint, net)
    if checkpoint.mean is None or min(checkpoint.mean.shape[:2]) < net.smallest:
        raise UsageError(f"{path} has no mean image of at least {net.smallest} pixels, which the network needs.")
    return net.eval(), checkpoint


def last_with_weights(names):
    """The layer of the last of these parameters: "fc8" of "tower1.fc8.b". It is the one that knows the classes."""
    return names[-1].split(".")[1]
