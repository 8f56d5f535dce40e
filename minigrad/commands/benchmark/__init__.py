"""benchmark: how long a training step takes, layer by layer, and beside PyTorch."""

from functools import partial

from minigrad.commands.benchmark import cpu, gpu
from minigrad.commands.errors import UsageError
from minigrad.commands.memory import enough_memory
from minigrad.commands.networks import make_network


def command(Network, arguments):
    net, a = make_network(Network, vars(arguments), arguments.classes), arguments
    gpus = [device.is_gpu for device in net.towers.devices]
    if any(gpus) and not all(gpus):
        raise UsageError(f"--device {a.device} mixes GPUs and CPU, which have no clock in common: name one kind of them.")
    try:
        if all(gpus):
            with enough_memory(net, a.batch_size):
                gpu.benchmark(net, batch_size=a.batch_size, steps=a.steps or 20, against=a.against)
            return 0
        make = partial(Network, net.variant, a.device or "cpu", a.classes, net.init, net.seed)
        del net
        cpu.benchmark(make, batch_size=a.batch_size, steps=a.steps or 7, against=a.against)
    except ImportError as error:
        raise UsageError(f"--against torch needs PyTorch, which cannot be used here ({error}): pip install torch.") from None
    return 0
