"""benchmark: how long a training step or a forward takes, layer by layer, beside other libraries, and how both grow with work."""

from functools import partial
from importlib.util import find_spec
from pathlib import Path

from minigrad.commands.benchmark import cpu, gpu, several, sweep
from minigrad.commands.benchmark.peers import NEEDS
from minigrad.commands.errors import UsageError, cannot_be_written
from minigrad.commands.memory import enough_memory
from minigrad.commands.networks import make_network, recorder, share_columns
from minigrad.commands.traffic import sizes
from minigrad.training import train_on_batch

TRAINING, INFERENCE = [64], [1, 16, 128]  # batch sizes


def command(Network, arguments):
    a = arguments
    a.device = a.ranks.deal(a.device, Network.variants[a.variant].towers)
    if a.hybrid is not None:
        a.ranks.divide(a.hybrid or a.ranks.size)
    net = make_network(Network, vars(a), a.classes)
    step = recorder(net, {}, a.ranks) if a.graph else train_on_batch
    if a.ranks.size > 1:
        batch_size, *more = a.batch_size or TRAINING
        if a.against or a.inference or a.sweep or more:
            raise UsageError(
                "Several processes measure their training step together, at one --batch-size: start the rest without the launcher."
            )
        whole = sizes(net)
        share_columns(net, a.ranks)
        a.ranks.use(net.towers.devices)
        several.benchmark(net, whole, a.ranks, batch_size=batch_size, steps=a.steps or 7)
        return 0
    gpus = [device.is_gpu for device in net.towers.devices]
    if any(gpus) and not all(gpus):
        raise UsageError(f"--device {a.device} mixes GPUs and CPU, which have no clock in common: name one kind of them.")
    against = list(dict.fromkeys(a.against or []))
    if all(gpus):
        on_gpus(net, a, against, step)
        return 0
    if a.sweep and len(net.towers.devices) > 1:
        raise UsageError(f"--sweep has one network on 1, 2, 4, ... threads: leave out --device {a.device}.")
    if "onnxruntime" in against and not a.inference:
        raise UsageError("--against onnxruntime computes forward alone: add --inference, or leave it out.")
    for name in against:
        for package in NEEDS[name]:
            if find_spec(package) is None:
                raise UsageError(f"--against {name} needs the package {package}, which is not installed here: pip install {package}.")
    make = partial(Network, net.variant, init=net.init, num_classes=net.num_classes, seed=net.seed)
    threads, device = sum(device.threads for device in net.towers.devices), a.device or "cpu"
    del net
    if a.sweep:
        out = Path(a.output)
        try:
            sweep.command(make, against, a.batch_size, a.steps or 3, a.inference, threads, out)
        except OSError as error:
            raise cannot_be_written(out, error, "--output") from None
        return 0
    make = partial(make, device=device)
    for batch_size in a.batch_size or (INFERENCE if a.inference else TRAINING):
        cpu.layers(make, batch_size=batch_size, steps=a.steps or 7, inference=a.inference)
        if against:
            cpu.beside(against, make, batch_size=batch_size, steps=a.steps or 7, inference=a.inference, threads=threads)
    return 0


def on_gpus(net, a, against, step):
    """The benchmark of GPUs, which knows training steps, and PyTorch beside them."""
    if a.inference or a.sweep or set(against) - {"torch"}:
        raise UsageError("On GPUs a training step is measured, beside PyTorch in both its layouts: --against torch, without other options.")
    batch_size, *more = a.batch_size or TRAINING
    if more:
        raise UsageError("On GPUs one --batch-size is measured at a time.")
    try:
        with enough_memory(net, batch_size):
            gpu.benchmark(net, batch_size=batch_size, steps=a.steps or 20, against=against[0] if against else None, step=step)
    except ImportError as error:
        raise UsageError(f"--against torch needs PyTorch, which cannot be used here ({error}): pip install torch.") from None
