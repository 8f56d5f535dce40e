"""The optimiser, which moves the weights, and the rules by which its learning rate falls."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from minigrad.interrupts import Whole

NUMBERS = 1 << 15  # at a time: weight, gradient, velocity and a temporary stay in the processor's cache through six operations
PER_TASK = 32 * NUMBERS  # enough to be worth handing to a thread, few enough to be shared out evenly
MOVES = 64  # parameters that a GPU moves in one launch; as in optim.cu


class SGD:
    """Stochastic gradient descent with momentum and weight decay, in the order of the 2012 code (paper section 5):

    v <- momentum v - lr g,   v <- v - lr weight_decay w,   w <- w + v.

    parameters: an iterable of `Parameter`. A bias, called "b" or "....b", has the learning rate lr * bias_lr and the decay bias_decay.
    velocities: a list of arrays v, one for each parameter, zeros at first; they follow parameters that move to another device or dtype.
    v keeps the lr it was made with; torch multiplies the whole buffer by the new one (the same while lr is constant).
    With lr = 0 a parameter is left alone, and so is its velocity. `lr` may be assigned between steps.
    Raises ValueError for a number below 0 or not finite, and for a momentum of 1 or more."""

    def __init__(self, parameters, lr=0.01, momentum=0.9, weight_decay=5e-4, bias_lr=2.0, bias_decay=0.0):
        self.parameters = list(parameters)
        self.lr, self.momentum, self.weight_decay, self.bias_lr, self.bias_decay = lr, momentum, weight_decay, bias_lr, bias_decay
        for name in ("lr", "momentum", "weight_decay", "bias_lr", "bias_decay"):
            value = getattr(self, name)
            if not 0 <= value < float("inf"):
                raise ValueError(f"SGD: {name} must be a number of at least 0, not {value}")
        if momentum >= 1:
            raise ValueError(f"SGD: momentum must be below 1, not {momentum}")
        self.biases, self.velocities = [is_bias(p) for p in self.parameters], []
        for p in self.parameters:
            with p.device:
                self.velocities.append(p.device.xp.zeros_like(p.value))

    def step(self):
        """Move every parameter by its gradient of the last `backward`.

        Raises RuntimeError if there was none, ValueError for a parameter that is no contiguous array; then none has moved."""
        arrays = []
        for p in self.parameters:
            w, g = p.value, p.grad
            if g is None:
                raise RuntimeError(f"SGD: {p.name} has no gradient; call backward before step")
            if not w.flags.c_contiguous:
                raise ValueError(f"SGD: {p.name} must be a contiguous array, to be changed in place")
            arrays.append((w, g))
        tasks, rates, ratios = {}, self.rates(), self.ratios()
        for i, (p, (w, g)) in enumerate(zip(self.parameters, arrays, strict=True)):
            bias = self.biases[i]
            lr, decay = rates[bias], self.bias_decay if bias else self.weight_decay
            if ratios:
                lr *= ratios.get(layer_of(p), 1)
            if lr != 0:
                v = self.velocities[i] = self.beside(p, w, self.velocities[i])
                tasks.setdefault(p.device, []).append((w, v, g, lr, decay, bias))
        with Whole():  # Ctrl-C finds all parameters moved, or none
            if len(tasks) == 1 or any(device.is_gpu for device in tasks):
                for device in tasks:
                    self.update(device, tasks[device])
            elif tasks:  # several shares of a CPU
                with ThreadPoolExecutor(len(tasks)) as threads:
                    list(threads.map(self.update, tasks, tasks.values()))

    def rates(self):
        """The learning rates of weights and of biases."""
        return self.lr, self.lr * self.bias_lr

    def ratios(self):
        """{layer's name: what its learning rate is multiplied by}, where that is not 1."""
        return {}

    def beside(self, p, w, v):
        """The velocity v, where the value w of parameter p is now and in its dtype."""
        if v.dtype == w.dtype and gpu_of(v) == gpu_of(w):
            return v
        with p.device:
            return p.device.asarray(v).astype(w.dtype)

    def update(self, device, parameters):
        """Move the parameters of one device, tuples of w, v, g, lr, weight decay, and whether it is a bias."""
        if device.is_gpu:
            return self.update_cuda(device, parameters)
        flat = [(*(np.ascontiguousarray(a).reshape(-1) for a in (w, v, g)), lr, decay) for w, v, g, lr, decay, _ in parameters]
        device.run(self.update_part, [(*one, start) for one in flat for start in range(0, one[0].size, PER_TASK)])

    def update_part(self, task):
        w, v, g, lr, decay, start = task
        scratch, number = np.empty(min(NUMBERS, w.size), w.dtype), w.dtype.type
        for i in range(start, min(start + PER_TASK, w.size), NUMBERS):
            part = slice(i, min(i + NUMBERS, w.size))
            t = scratch[: part.stop - part.start]
            np.multiply(w[part], number(decay), out=t)
            t += g[part]
            t *= number(lr)
            v[part] *= number(self.momentum)
            v[part] -= t
            w[part] += v[part]

    def update_cuda(self, device, parameters):
        alike = {}
        for w, v, g, lr, decay, bias in parameters:
            alike.setdefault(w.dtype, []).append((w, v, device.asarray(g), lr, decay, bias))
        for dtype, some in alike.items():
            for i in range(0, len(some), MOVES):
                self.move_cuda(device, dtype, some[i : i + MOVES])

    def move_cuda(self, device, dtype, parameters):
        """Up to `MOVES` parameters in one launch of optim.cu."""
        moves, elements, odd = [], 0, 0
        rates = device.changing.get(dtype.name)
        for w, v, g, lr, decay, bias in parameters:
            addresses = device.address("w", w, dtype), device.address("v", v, dtype), device.address("g", g, dtype)
            moves.append((*addresses, elements, w.size, lr, decay, rates + bias * dtype.itemsize if rates else 0))
            elements += -(-w.size // 4) * 4
            odd |= (addresses[0] | addresses[1] | addresses[2]) % 16
        table = device.struct("optim", "Moves", dtype)
        table["of"][: len(moves)] = moves
        device.launch("optim", "sgd", elements, table, len(moves), elements, self.momentum, channels=1 if odd else 4, dtype=dtype)


def gpu_of(array):
    """The number of the GPU that an array lies on, None for NumPy's."""
    return None if isinstance(array, np.ndarray) else array.data.device_id


def is_bias(p):
    return p.name.split(".")[-1] == "b"


def layer_of(p):
    """The name of a parameter's layer: "tower0.conv1" of "tower0.conv1.W"."""
    return p.name.rpartition(".")[0]


class LARS(SGD):
    """SGD with a learning rate for each layer, for batches so large that one rate is too much for some layers and too little for others
    (You, Gitman, Ginsburg, "Large batch training of convolutional networks", 2017, section 4):

    lr of a layer = lr * trust * |W| / (|g| + weight_decay |W|),

    with the Euclidean norms of its weights and of their gradient; then a step is SGD's. So without momentum no layer moves by more than
    lr * trust of its length, however large its gradient. A bias takes the rate of its layer, times bias_lr; each tower's part of a layer
    counts as a layer. Where a norm is 0, lr * trust is the rate.

    trust: how far a layer is trusted to move in a step; the paper's is 0.001. team: the processes that share layers, if any do
    (minigrad/hybrid.py), all of which make the step: of such a layer the norms are those of the whole. Raises ValueError as SGD does."""

    def __init__(self, parameters, lr=0.01, momentum=0.9, weight_decay=5e-4, bias_lr=2.0, bias_decay=0.0, trust=0.001, team=None):
        super().__init__(parameters, lr, momentum, weight_decay, bias_lr, bias_decay)
        if not 0 < trust < float("inf"):
            raise ValueError(f"LARS: trust must be a number above 0, not {trust}")
        self.trust, self.team = trust, team

    def ratios(self):
        weights = [p for p in self.parameters if not is_bias(p)]
        norms = [(norm(p.device, p.value), norm(p.device, p.grad)) for p in weights]  # all on their way before the first is waited for
        norms = np.array([[float(of_w), float(of_g)] for of_w, of_g in norms])
        if self.team is not None:
            shared = np.array([[p.owned is not None] for p in weights])
            norms = np.where(shared, np.sqrt(sum(np.square(theirs) for theirs in self.team.all(norms))), norms)
        return {layer_of(p): self.ratio(w, g) for p, (w, g) in zip(weights, norms.tolist(), strict=True)}

    def ratio(self, w, g):
        """What the rate of a layer is multiplied by, from the norms of its weights and of their gradient."""
        return self.trust * (w / (g + self.weight_decay * w) if w > 0 and g > 0 else 1)


def norm(device, array):
    """The Euclidean norm, a number of the device's. On a CPU squares are added up in float64, piece by piece in the same order always."""
    with device:
        if device.is_gpu:
            return device.xp.sqrt(device.xp.vdot(array, array))
        flat = array.reshape(-1)
        pieces = device.run(lambda i: np.square(flat[i : i + NUMBERS], dtype=np.float64).sum(), range(0, flat.size, NUMBERS))
        return np.sqrt(sum(pieces))


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

    @classmethod
    def in_three_stages(cls, lr, epochs):
        """lr, a tenth of it after 3/4 of `epochs` (rounded down, but not before the first has ended), a hundredth after 11/12."""
        return cls(lr, [max(1, epochs * 3 // 4), max(1, epochs * 11 // 12)])

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
