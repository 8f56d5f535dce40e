"""All that `train` needs, in a few lines each: a network of one kernel, a loss, an optimizer, a schedule, a loader."""

import io
import signal

import numpy as np

from minigrad import training

CLASSES = 7


class FakeParameter:
    def __init__(self, name, value):
        self.name, self.value, self.grad = name, value, None


class FakeNet:
    """Images (N, 3, 3, 3) to logits through one kernel; like dropout, a mask drawn from `step` changes each forward."""

    def __init__(self, seed=0, classes=CLASSES):
        value = np.random.default_rng(seed).normal(0, 0.001, (3, 3, 3, classes)).astype(np.float32)
        self.parameter = FakeParameter("tower0.conv1.W", value)
        self.step, self.training = 0, True

    def parameters(self):
        yield self.parameter

    def train(self):
        self.training = True
        return self

    def eval(self):
        self.training = False
        return self

    def infer(self, x):
        return self.forward(x)

    def forward(self, x):
        self.x = x.reshape(len(x), -1)
        if self.training:
            self.x = self.x * np.random.default_rng(self.step).integers(0, 2, self.x.shape).astype(np.float32)
            self.step += 1
        return self.x @ self.parameter.value.reshape(27, -1)

    def backward(self, dlogits):
        self.parameter.grad = (self.x.T @ dlogits).reshape(self.parameter.value.shape)


class FakeLoss:
    def forward(self, logits, labels):
        self.p, self.labels = np.exp(logits - logits.max(axis=1, keepdims=True)), labels
        self.p /= self.p.sum(axis=1, keepdims=True)
        return float(-np.log(self.p[np.arange(len(labels)), labels]).mean())

    def backward(self):
        dlogits = self.p.copy()
        dlogits[np.arange(len(dlogits)), self.labels] -= 1
        return dlogits / np.float32(len(dlogits))


class FakeOptimizer:
    """Momentum; `on_step`, if any, is called with the number of each step from 1."""

    def __init__(self, net, on_step=None):
        self.parameters, self.lr, self.steps, self.on_step = list(net.parameters()), 0.0, 0, on_step
        self.velocities = [np.zeros_like(p.value) for p in self.parameters]

    def step(self):
        for p, v in zip(self.parameters, self.velocities, strict=True):
            v *= np.float32(0.9)
            v -= np.float32(self.lr) * p.grad
            p.value += v
        self.steps += 1
        if self.on_step:
            self.on_step(self.steps)


class FakeSchedule:
    """Ten per cent less after every epoch; remembers the errors it was given."""

    def __init__(self, lr=3e-6, finished_after=99):
        self.lr, self.errors, self.finished_after = lr, [], finished_after

    @property
    def finished(self):
        return len(self.errors) >= self.finished_after

    def epoch_ended(self, val_error):
        self.lr *= 0.9
        self.errors.append(val_error)

    def state(self):
        return {"lr": self.lr, "errors": self.errors}

    def restore(self, state):
        self.lr, self.errors = state["lr"], list(state["errors"])


class FakeLoader:
    """Five batches, the last one smaller, in an order and with pixels that depend on the epoch."""

    def __init__(self, batches=5, scale=60.0):
        self.count, self.scale, self.closed, self.signal_at = batches, scale, 0, None

    def __len__(self):
        return self.count

    def batches(self, epoch, start=0):
        assert start < self.count
        try:
            for i in range(start, self.count):
                if (epoch, i) == self.signal_at:
                    signal.raise_signal(signal.SIGINT)
                rng = np.random.default_rng((epoch, i))
                n = 11 if i < self.count - 1 else 3
                labels = rng.integers(0, CLASSES, n)
                x = rng.normal(0, self.scale, (n, 3, 3, 3)) + 5 * labels[:, None, None, None]
                yield x.astype(np.float32), labels
        finally:
            self.closed += 1


class Run:
    """All that `train` needs, made afresh as a new process would do."""

    def __init__(self, output, on_step=None, finished_after=99, train_loader=None, **config):
        self.net = FakeNet()
        self.optimizer = FakeOptimizer(self.net, on_step)
        self.schedule = FakeSchedule(finished_after=finished_after)
        self.train_loader, self.val_loader = FakeLoader() if train_loader is None else train_loader, FakeLoader(2)
        self.output, self.config, self.out = output, {"init": "2012", "variant": "fake"} | config, io.StringIO()

    def train(self, epochs=3, loss=None, **options):
        return training.train(
            self.net,
            loss or FakeLoss(),
            self.optimizer,
            self.schedule,
            self.train_loader,
            self.val_loader,
            epochs=epochs,
            output=self.output,
            config=self.config,
            out=self.out,
            **options,
        )


def timeless(rows):
    return [{name: value for name, value in row.items() if name not in ("seconds", "images_per_second")} for row in rows]


def send(number, at):
    return lambda step: signal.raise_signal(number) if step == at else None
