"""Towers: a network cut into columns that live on different devices and exchange channels only between stages.

Forward, an exchange gives every tower the channels of all (all-gather). Backward, every tower computes the gradient of all those
channels from its own outputs, and each receives the parts of its own channels from all and adds them up (reduce-scatter)."""

from concurrent.futures import ThreadPoolExecutor

from minigrad.device import Device, parse
from minigrad.layers.base import Layer


class Towers(Layer):
    """stages: a list, each stage a list with one `Sequential` per tower. devices: names or `Device`s; towers are dealt out to them in turn.

    forward(x): x (N, ...) goes to every tower of the first stage; between stages, and at the end, the towers' outputs are joined along
    the last axis, in the order of the towers. A stage may have fewer towers than the one before.
    backward(dy) returns dx, the sum over the first stage's towers, or None where their first layers compute none.
    bytes_forward, bytes_backward: what crossed between towers in the last pass, all towers together.
    Parameters are called "tower0.conv1.W", a stage's towers side by side. Raises ValueError for more devices than towers."""

    def __init__(self, stages, devices=("cpu",)):
        if isinstance(devices, str):
            devices = devices.split(",")
        if all(isinstance(device, str) for device in devices):
            devices = parse(",".join(devices))
        self.stages, self.devices = [list(stage) for stage in stages], list(devices)
        widest = max((len(stage) for stage in self.stages), default=0)
        if widest == 0 or not all(self.stages):
            raise ValueError("Towers: every stage needs at least one tower")
        if len(self.devices) > widest:
            raise ValueError(
                f"Towers: {len(self.devices)} devices for {widest} tower{'s' * (widest > 1)}; "
                f"there can be at most as many devices as towers"
            )
        self.device = self.devices[0]
        self.bytes_forward = self.bytes_backward = 0
        self.widths = None
        for stage in self.stages:
            for t, tower in enumerate(stage):
                tower.to(self.devices[t % len(self.devices)])

    def arguments(self):
        return f"{self.stages!r}, devices={self.devices!r}"

    def parameters(self):
        """Stage after stage, layer after layer, tower after tower."""
        for stage in self.stages:
            for name in dict.fromkeys(name for tower in stage for name in tower.layers):
                for t, tower in enumerate(stage):
                    if name in tower.layers:
                        for p in tower[name].parameters():
                            yield p.within(name).within(f"tower{t}")

    def train(self, mode=True):
        for stage in self.stages:
            for tower in stage:
                tower.train(mode)
        return super().train(mode)

    def astype(self, dtype):
        for stage in self.stages:
            for tower in stage:
                tower.astype(dtype)
        return self

    def to(self, devices):
        """Move the towers to other devices: names, `Device`s, or one of either."""
        self.__init__(self.stages, [devices] if isinstance(devices, Device) else devices)
        return self

    def side_by_side(self, work, towers):
        """[work(0), ..., work(towers - 1)]: towers of different devices run at the same time, those of one device in turn."""
        if len(self.devices) == 1 or towers == 1:
            return [work(t) for t in range(towers)]

        def of_device(d):
            return [(t, work(t)) for t in range(d, towers, len(self.devices))]

        with ThreadPoolExecutor(len(self.devices)) as threads:
            done = dict(pair for pairs in threads.map(of_device, range(len(self.devices))) for pair in pairs)
        return [done[t] for t in range(towers)]

    def gather(self, parts, receivers):
        """All towers' channels side by side, one copy for each device that asks. Counts what comes from another tower."""
        xp, whole = self.device.xp, parts[0]
        if len(parts) > 1:
            whole = self.device.empty((*whole.shape[:-1], sum(part.shape[-1] for part in parts)), whole.dtype)
            xp.concatenate(parts, axis=-1, out=whole)
        crossed = sum(whole.nbytes - (parts[t].nbytes if t < len(parts) else 0) for t in range(receivers))
        return whole, crossed

    def forward(self, x):
        x = self.check(x)
        self.widths, self.bytes_forward = [], 0
        for s, stage in enumerate(self.stages):
            inputs = x
            parts = self.side_by_side(lambda t, stage=stage, x=inputs: stage[t].forward(x), len(stage))
            self.widths.append([part.shape[-1] for part in parts])
            receivers = len(self.stages[s + 1]) if s + 1 < len(self.stages) else 1
            x, crossed = self.gather(parts, receivers)
            self.bytes_forward += crossed
        return x

    def backward(self, dy):
        self.check_forward(self.widths)
        self.bytes_backward = 0
        partials, senders = [self.check(dy, "dy")], 1
        for s in reversed(range(len(self.stages))):
            stage, edges = self.stages[s], [0]
            for width in self.widths[s]:
                edges.append(edges[-1] + width)
            if partials[0].shape[-1] != edges[-1]:
                raise ValueError(f"Towers: dy has {partials[0].shape[-1]} channels, but y had {edges[-1]}")

            def of_tower(t, stage=stage, edges=edges, partials=partials):
                channels = slice(edges[t], edges[t + 1])
                return stage[t].backward(sum_of([partial[..., channels] for partial in partials]))

            for t, width in enumerate(self.widths[s]):
                per_channel = partials[0].nbytes // edges[-1]
                self.bytes_backward += per_channel * width * (senders - (t < senders))
            partials, senders = self.side_by_side(of_tower, len(stage)), len(stage)
        return None if partials[0] is None else sum_of(partials)


def sum_of(parts):
    """parts[0] + parts[1] + ..., always in this order."""
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total
