"""Towers: a network cut into columns that live on different devices and exchange channels only between stages.

Forward, an exchange gives every tower the channels of all (all-gather). Backward, every tower computes the gradient of all those
channels from its own outputs, and each receives the parts of its own channels from all and adds them up (reduce-scatter)."""

import os
import weakref
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager

from minigrad.device import CPU, Device, parse
from minigrad.layers.base import Layer
from minigrad.layers.parameter import inside

LITTLE = 1 << 23  # bytes that come into a stage: below, handing tasks to threads takes longer than threads that wait for one another
SMALL = 1 << 21  # bytes that come in, and bytes of a tower's weights: below, a tower is too little work for several threads
kept = weakref.WeakKeyDictionary()  # {Towers: (process, its threads)}, beside them, for a copy or a pickle of a network has none


class Towers(Layer):
    """stages: a list, each stage a list with one `Sequential` per tower. devices: names or `Device`s, or a text such as "cpu,cpu", "0,1" or
    "auto" (see device.parse); towers are dealt out to them in turn.

    forward(x): x (N, ...) goes to every tower of the first stage; between stages, and at the end, the towers' outputs are joined along
    the last axis, in the order of the towers. A stage may have fewer towers than the one before.
    backward(dy) returns dx, the sum over the first stage's towers, or None where their first layers compute none. done(parameters), if
    given, is called as soon as the gradients of a stage are there, those of the last stage first; always from the calling thread.
    bytes_forward, bytes_backward: what crossed between towers in the last pass, all towers together.
    Parameters are called "tower0.conv1.W", a stage's towers side by side. Raises ValueError for more devices than towers."""

    def __init__(self, stages, devices=("cpu",)):
        self.stages = [list(stage) for stage in stages]
        if not self.stages or not all(self.stages):
            raise ValueError("Towers: every stage needs at least one tower")
        for stage in self.stages:
            for tower in stage:
                tower.stand_beside(len(stage))
        self.devices = [CPU]
        self.widths, self.bytes_forward, self.bytes_backward = None, 0, 0
        self.to(devices)

    def device_of(self, t):
        """Where tower t lives."""
        return self.devices[t % len(self.devices)]

    def arguments(self):
        return f"{self.stages!r}, devices={self.devices!r}"

    def children(self):
        for stage in self.stages:
            yield from ((f"tower{t}", tower) for t, tower in enumerate(stage))

    def parameters(self):
        """Yields each `Parameter`, stage after stage, layer after layer, tower after tower."""
        for stage in self.stages:
            yield from parameters_of(stage)

    def to(self, devices):
        """Move the towers to other devices: names, `Device`s, or one of either. Returns self.

        Raises ValueError for a device that does not exist, and for more devices than towers; then nothing has moved."""
        before, self.devices = self.devices, self.found(devices)
        try:
            self.move()
        except BaseException:
            self.devices = before
            self.move()
            raise
        self.device = self.devices[0]
        return self

    def found(self, devices):
        """The `Device`s of that description, not more than there are towers."""
        widest = max(map(len, self.stages))
        devices = [devices] if isinstance(devices, Device) else devices
        if not isinstance(devices, str) and all(isinstance(device, str) for device in devices):
            devices = ",".join(devices)
        devices = parse(devices, widest) if isinstance(devices, str) else list(devices)
        if len(devices) > widest:
            raise ValueError(
                f"Towers: {len(devices)} devices for {widest} tower{'s' * (widest > 1)}; there can be at most as many devices as towers"
            )
        return devices

    def move(self):
        """Bring each tower to its device."""
        for stage in self.stages:
            for t, tower in enumerate(stage):
                tower.to(self.device_of(t))

    def release(self):
        self.widths = None
        super().release()

    def side_by_side(self, work, stage, bytes_in):
        """[work(0), work(1), ...], for each tower of the stage. Towers of different devices run at the same time, those of one device in
        turn; but a CPU gives a thread a whole tower where little comes in, if it has no more threads than towers or they are small."""
        first, towers = self.devices[0], len(stage)
        if len(self.devices) == 1 and first.threads > 1 and towers > 1 and bytes_in < LITTLE:
            if first.threads <= towers or bytes_in + sum(p.value.nbytes for p in stage[0].parameters()) < SMALL:
                return first.run(work, range(towers))

        def of_device(d):
            with self.devices[d]:
                return [(t, work(t)) for t in range(d, towers, len(self.devices))]

        devices = range(min(towers, len(self.devices)))
        if len(devices) == 1 or all(device.is_gpu for device in self.devices):  # a GPU is only told what to do, and a thread can tell many
            pairs = map(of_device, devices)
        else:
            futures = [thread.submit(of_device, d) for d, thread in enumerate(threads_of(self, len(devices)))]
            wait(futures)  # all, before the first error is raised: whoever goes on must find none at work
            pairs = [future.result() for future in futures]
        done = dict(pair for some in pairs for pair in some)
        return [done[t] for t in range(towers)]

    def everywhere(self, array, receivers):
        """An array of the first device for each of so many towers."""
        spaces = self.memory_spaces(receivers)
        arrays = {space: self.device.send(array, device) for space, device in spaces.items()}
        return [arrays[self.device_of(t).memory_space] for t in range(receivers)]

    def memory_spaces(self, towers):
        """{memory space: a device} of the devices of so many towers: one copy of an array serves all devices of a space."""
        return {self.device_of(t).memory_space: self.device_of(t) for t in range(towers)}

    def gather(self, parts, receivers):
        """All towers' channels side by side, for each of so many towers: one copy in each memory space. Also the bytes that come from
        other towers."""
        spaces = self.memory_spaces(receivers)
        # All copies are under way before the first device waits for one, so that both directions overlap.
        arrived = {space: [self.device_of(t).send(part, device) for t, part in enumerate(parts)] for space, device in spaces.items()}
        wholes, shape = {}, (*parts[0].shape[:-1], sum(part.shape[-1] for part in parts))
        for space, device in spaces.items():
            wholes[space] = arrived[space][0]
            if len(parts) > 1:
                wholes[space] = device.join(arrived[space], shape)
        inputs = [wholes[self.device_of(t).memory_space] for t in range(receivers)]
        crossed = sum(inputs[0].nbytes - (parts[t].nbytes if t < len(parts) else 0) for t in range(receivers))
        return inputs, crossed

    def entered(self):
        """All devices at once: they wait for the caller's earlier work now, and the caller for theirs at the end."""
        stack = ExitStack()
        for device in self.devices:
            stack.enter_context(device)
        return stack

    @contextmanager
    def sharing(self):
        """Towers of one GPU share what they make of the same x, and it stays for backward while there is room. So first all let go of the
        last pass's: else both would exist."""
        gpus = [device for device in self.devices if device.is_gpu]
        for stage in self.stages if gpus else ():
            for tower in stage:
                tower.release()
        for device in gpus:
            device.shared, device.room = {}, device.workspace
        try:
            yield
        finally:
            for device in gpus:
                device.shared = None

    def forward(self, x):
        x = self.check(x)
        self.widths, self.bytes_forward = [], 0
        with self.entered(), self.sharing():
            inputs = self.everywhere(x, len(self.stages[0]))
            for s, stage in enumerate(self.stages):
                parts = self.side_by_side(lambda t, stage=stage, inputs=inputs: stage[t].forward(inputs[t]), stage, inputs[0].nbytes)
                self.widths.append([part.shape[-1] for part in parts])
                inputs, crossed = self.gather(parts, len(self.stages[s + 1]) if s + 1 < len(self.stages) else 1)
                self.bytes_forward += crossed
        return inputs[0]

    def backward(self, dy, done=None):
        self.check_forward(self.widths)
        self.bytes_backward = 0
        partials = [self.check(dy, "dy")]
        with self.entered():
            for stage, widths in zip(reversed(self.stages), reversed(self.widths), strict=True):
                if partials[0].shape[-1] != sum(widths):
                    raise ValueError(f"Towers: dy has {partials[0].shape[-1]} channels, but y had {sum(widths)}")
                per_channel, senders = partials[0][..., :1].nbytes, len(partials)
                self.bytes_backward += sum(per_channel * width * (senders - (t < senders)) for t, width in enumerate(widths))
                arrived = self.scatter(partials, widths)
                coming = sum(partial.nbytes for partial in partials)

                def work(t, stage=stage, arrived=arrived):
                    return stage[t].backward(sum_of(arrived[t]))

                partials = self.side_by_side(work, stage, coming)
                if done is not None:
                    done(parameters_of(stage))
            if partials[0] is None:
                return None
            arrived = [self.device_of(t).send(partial, self.device) for t, partial in enumerate(partials)]
            with self.device:
                return sum_of(arrived)

    def without_images(self, done=None):
        """The backward of nobody's images: all gradients are 0, and done(parameters) is called as in `backward`. Without it, nothing."""
        for stage in reversed(self.stages if done is not None else ()):
            parameters = parameters_of(stage)
            for p in parameters:
                with p.device:
                    p.grad = p.device.xp.zeros_like(p.value)
            done(parameters)

    def scatter(self, partials, widths):
        """For each tower what all towers found to be the gradient of its channels: a list to be summed up."""
        edges = [sum(widths[:t]) for t in range(len(widths) + 1)]
        return [
            [self.device_of(s).send(partial[..., edges[t] : edges[t + 1]], self.device_of(t)) for s, partial in enumerate(partials)]
            for t in range(len(widths))
        ]


def parameters_of(stage):
    """A list of the parameters of a stage, layer after layer, tower after tower."""
    names = dict.fromkeys(name for tower in stage for name in tower.layers)
    layers = [(f"tower{t}.{name}", tower[name]) for name in names for t, tower in enumerate(stage) if name in tower.layers]
    return [p for name, layer in layers for p in inside(name, layer)]


def threads_of(towers, count):
    """Executors of one thread each, kept for as long as the `Towers`: what CUDA's libraries need they keep for each thread. A forked
    process has none of its parent's threads, and makes its own."""
    process, threads = kept.get(towers, (None, []))
    if process != os.getpid():
        threads = []
    threads += [ThreadPoolExecutor(1, thread_name_prefix="minigrad-tower") for _ in range(count - len(threads))]
    kept[towers] = os.getpid(), threads
    return threads[:count]


def sum_of(parts):
    """parts[0] + parts[1] + ..., always in this order."""
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total
