"""The optimiser, which moves the weights, and the rules by which its learning rate falls."""

import numpy as np

from minigrad.device import CPU

BLOCK = 1 << 15  # numbers; weight, gradient, velocity and a temporary of a block stay in cache through six operations


class SGD:
    """Stochastic gradient descent with momentum and weight decay, in the order of the 2012 code (paper §5):

    v <- momentum v - lr g,   v <- v - lr weight_decay w,   w <- w + v.

    parameters: an iterable of `Parameter`. A bias, called "b" or "....b", has the learning rate lr * bias_lr and the decay bias_decay.
    v keeps the lr it was made with; torch multiplies the whole buffer by the new one (the same while lr is constant).
    With lr = 0 a parameter is left alone, and so is its velocity. `lr` may be assigned between steps.
    Raises ValueError for numbers that make no sense."""

    def __init__(self, parameters, lr=0.01, momentum=0.9, weight_decay=5e-4, bias_lr=2.0, bias_decay=0.0):
        self.parameters = list(parameters)
        self.lr, self.momentum, self.weight_decay, self.bias_lr, self.bias_decay = lr, momentum, weight_decay, bias_lr, bias_decay
        for name in ("lr", "momentum", "weight_decay", "bias_lr", "bias_decay"):
            value = getattr(self, name)
            if not 0 <= value < float("inf"):
                raise ValueError(f"SGD: {name} must be a number of at least 0, not {value}")
        if momentum >= 1:
            raise ValueError(f"SGD: momentum must be below 1, not {momentum}")
        self.velocities = []
        for p in self.parameters:
            with p.device:
                self.velocities.append(p.device.xp.zeros_like(p.value))

    def step(self):
        """Move every parameter by its gradient of the last `backward`. Raises RuntimeError if there was none."""
        tasks, launches = [], {}
        for p, v in zip(self.parameters, self.velocities, strict=True):
            if p.grad is None:
                raise RuntimeError(f"SGD: {p.name} has no gradient; call backward before step")
            bias = p.name.split(".")[-1] == "b"
            lr = self.lr * self.bias_lr if bias else self.lr
            if lr == 0:
                continue
            decay = self.bias_decay if bias else self.weight_decay
            if p.device.is_gpu:
                launches.setdefault(p.device, []).append((p.value, v, p.grad, lr, decay))
                continue
            arrays = [a.reshape(-1) for a in (p.value, np.ascontiguousarray(p.grad), v)]
            if not np.shares_memory(arrays[0], p.value):
                raise ValueError(f"SGD: {p.name} must be a contiguous array, to be changed in place")
            # A task is 32 blocks: enough to be worth handing out, small enough to share out evenly.
            tasks += [(*arrays, lr, decay, i) for i in range(0, v.size, 32 * BLOCK)]
        for device, parameters in launches.items():
            self.update_cuda(device, parameters)
        if tasks:
            CPU.run(self.update, tasks)

    def update(self, task):
        w, g, v, lr, decay, start = task
        scratch, number = np.empty(min(BLOCK, w.size), w.dtype), w.dtype.type
        for i in range(start, min(start + 32 * BLOCK, w.size), BLOCK):
            block = slice(i, min(i + BLOCK, w.size))
            t = scratch[: block.stop - block.start]
            np.multiply(w[block], number(decay), out=t)
            t += g[block]
            t *= number(lr)
            v[block] *= number(self.momentum)
            v[block] -= t
            w[block] += v[block]

    def update_cuda(self, device, parameters):
        with device:
            for w, v, g, lr, decay in parameters:
                device.launch("optim", "sgd", w.size, w, v, device.asarray(g), w.size, lr, decay, self.momentum, channels=w.size)


class Constant:
    """The same learning rate throughout."""

    finished = False

    def __init__(self, lr):
        self.lr = lr

    def epoch_ended(self, val_error):
        """Tell the validation error of the epoch that has ended, a fraction; the rule may change `lr`."""

    def state(self):
        """What `restore` needs to go on from here, as JSON types."""
        return vars(self).copy()

    def restore(self, state):
        vars(self).update(state)


class ByEpoch(Constant):
    """lr times `factor` after each of the epochs in `milestones`, counted from 1."""

    def __init__(self, lr, milestones, factor=0.1):
        super().__init__(lr)
        self.first, self.milestones, self.factor, self.epoch = lr, sorted(milestones), factor, 0

    def epoch_ended(self, val_error):
        self.epoch += 1
        self.lr = self.first * self.factor ** sum(milestone <= self.epoch for milestone in self.milestones)


class LinearDecay(Constant):
    """lr falls by lr / epochs after each of `epochs` epochs but the last; from then on it stays at lr / epochs."""

    def __init__(self, lr, epochs):
        super().__init__(lr)
        self.first, self.epochs, self.epoch = lr, epochs, 0

    def epoch_ended(self, val_error):
        self.epoch += 1
        self.lr = self.first * max(1, self.epochs - self.epoch) / self.epochs


class Plateau(Constant):
    """The paper's rule (§5): lr times `factor` when the validation error has stalled, `times` times in all, then stop.

    Stalled: no epoch of the last `patience` has improved on the best error by more than `threshold`, a fraction of 1. After the
    last reduction has stalled too, `finished` is True."""

    def __init__(self, lr, patience=5, factor=0.1, times=3, threshold=1e-4):
        super().__init__(lr)
        self.patience, self.factor, self.times, self.threshold = patience, factor, times, threshold
        self.first, self.best, self.waited, self.reductions, self.finished = lr, None, 0, 0, False

    def epoch_ended(self, val_error):
        if self.best is None or val_error < self.best - self.threshold:
            self.best, self.waited = val_error, 0
            return
        self.waited += 1
        if self.waited < self.patience:
            return
        self.waited = 0
        if self.reductions == self.times:
            self.finished = True
        else:
            self.reductions += 1
            self.lr = self.first * self.factor**self.reductions
