"""The memory of GPUs: how much a batch needs, forecast from the walk over the network's layers, and which batch would fit."""

from bisect import bisect_left
from contextlib import contextmanager
from itertools import groupby

import numpy as np

from minigrad.commands.errors import UsageError
from minigrad.hybrid import Hybrid
from minigrad.layers.chain import is_left_out

POOL = 1.5  # bytes that CuPy's memory pool holds for one that a batch's arrays use, at most: it cuts its blocks, and cannot join all again


def size(shape):
    """Bytes of a float32 array."""
    return 4 * int(np.prod(shape, dtype=np.int64))


def gpu_memory(net, batch_size, training=True):
    """About how many bytes a step takes on each of the network's GPUs, {number of the GPU: bytes}.

    Counted are the parameters with their gradients and velocities; what the layers keep of a batch for backward; at the worst layer its
    two gradients; the largest patches of a convolution, and those that stay for backward (`Im2colOnGpu`); and the images of three batches,
    one in use and two on their way. What comes and goes with a batch counts `POOL` times; parameters and patches do not, for their memory
    stays theirs."""
    images = size((batch_size, net.image_size, net.image_size, 3))
    needs = {device: images * (3 if device is net.device else 1) for device in net.towers.devices}
    worst, patches, parameters, seen, staying = dict.fromkeys(needs, 0), dict.fromkeys(needs, 0), dict.fromkeys(needs, 0), set(), set()
    room = {device: device.workspace if device.is_gpu else 0 for device in needs}  # for patches that stay
    for (stage, tower), steps in groupby(net.walk(batch_size), key=lambda step: (step.stage, step.tower)):
        device, kept = net.towers.device_of(tower), {}  # kept: bytes by the number of the array, since y of one layer is x of the next
        steps = list(steps)
        layers = [step.layer for step in steps]
        for i, step in enumerate(steps):
            keeps, x, y = step.layer.keeps(), size(step.x_shape), size(step.y_shape)
            if keeps == "x":
                kept[i] = x
            elif keeps == "y" and not (is_left_out(layers, i, step.x_shape) and layers[i + 1].keeps() == "winners"):
                kept[i + 1] = y
            elif keeps == "winners":
                needs[device] += y // 4
            parameters[device] += sum(size(p.value.shape) for p in step.layer.parameters()) * (3 if training else 1)
            unfolded, workspace = step.layer.unfolded(step.x_shape), device.workspace if device.is_gpu else 0
            halves = y // 2 if unfolded and device.bf16 else 0  # dy in bfloat16
            worst[device] = max(worst[device], x + y + halves)
            needs[device] += 2 * step.layer.W.size if halves else 0  # its weights
            served = i == 0 and (stage, device) in staying  # by the patches of another tower on this device
            stays = training and 0 < unfolded <= workspace and (not step.layer.input_gradient or unfolded <= room[device] or served)
            if stays and not served:
                parameters[device] += unfolded
                room[device] -= unfolded
                if i == 0:
                    staying.add((stage, device))
            if step.layer.input_gradient or not stays:
                patches[device] = max(patches[device], min(workspace, unfolded))
        if stage == 0 or (stage, device) in seen:
            kept.pop(0, None)  # the images; or what another tower on this device keeps as well
        needs[device] += sum(kept.values())
        seen.add((stage, device))
    gpus = [device for device in needs if device.is_gpu]
    total = {d: int(POOL * (needs[d] + worst[d])) + parameters[d] + patches[d] for d in gpus}
    return {gpu.index: sum(total[d] for d in gpus if d.index == gpu.index) for gpu in gpus}


@contextmanager
def enough_memory(net, batch_size, training=True):
    """Turns a MemoryError of a GPU into a UsageError that says how much the batch needs, and which batch would fit."""
    try:
        yield
    except MemoryError:
        gpus = {device.index: device for device in net.towers.devices if device.is_gpu}
        if not gpus or isinstance(net.towers, Hybrid):  # whose columns work on images of all: not counted here
            raise

        def fits(batch_size):
            return all(need <= gpus[index].memory for index, need in gpu_memory(net, batch_size, training).items())

        needs = ", ".join(
            f"{need / 1e9:.2f} GB on GPU {index}, which has {gpus[index].memory / 1e9:.2f} GB to give"
            for index, need in gpu_memory(net, batch_size, training).items()
        )
        largest = bisect_left(range(1, batch_size), True, key=lambda n: not fits(n))
        if fits(batch_size):  # by the numbers, but not in the pieces that the memory has come to
            largest = batch_size // 2
        advice = f"--batch-size {largest} should fit" if largest else "not even --batch-size 1 fits"
        raise UsageError(f"A batch of {batch_size} images needs about {needs}: {advice}.") from None
