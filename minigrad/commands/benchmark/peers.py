"""The sides of a benchmark: this project, and the same network with the same weights in other libraries.

Each library is imported by its own side alone, in that side's process. All sides have `version`, `logits(images)`, those of test mode, and
`step(images, labels)`: a training step (forward, loss, backward, update), or with inference=True a forward that keeps nothing.
images (N, H, W, 3) float32, labels (N,) integers, logits (N, classes): NumPy arrays. A step begins and ends with NumPy arrays, so that
changing their layout counts where a library wants another one."""

import os
import tempfile
from functools import partial
from pathlib import Path

import numpy as np

from minigrad.commands.export import to_onnx, to_torch
from minigrad.commands.export.layout import steps
from minigrad.layers import SoftmaxCrossEntropy
from minigrad.optim import SGD
from minigrad.training import train_on_batch

LR, MOMENTUM, DECAY = 1e-3, 0.9, 5e-4


class Ours:
    """This project; `threads` are those of the network's devices."""

    train_on = staticmethod(train_on_batch)

    def __init__(self, net, threads=None, inference=False, lr=LR):
        self.net, self.inference, self.version = net, inference, f"NumPy {np.__version__}"
        self.net.train(not inference)
        if not inference:
            self.loss, self.optimizer = SoftmaxCrossEntropy().to(net.device), SGD(net.parameters(), lr, MOMENTUM, DECAY, 1.0, DECAY)

    def logits(self, images):
        self.net.eval()
        try:
            return self.net.infer(images)
        finally:
            self.net.train(not self.inference)

    def step(self, images, labels):
        if self.inference:
            return self.net.infer(images)
        return self.train_on(self.net, self.loss, self.optimizer, images, labels)[0]


class Torch:
    """PyTorch: eager or compiled, images (N, 3, H, W) contiguous or channels_last. Inference is in torch.inference_mode."""

    def __init__(self, net, threads, inference, memory_format="contiguous_format", compiled=False):
        import torch

        torch.set_num_threads(threads)
        self.torch, self.inference, self.layout = torch, inference, getattr(torch, memory_format)
        self.version = f"PyTorch {torch.__version__}"
        self.model = to_torch.twin(net).to(memory_format=self.layout)
        self.optimizer = torch.optim.SGD(self.model.parameters(), LR, MOMENTUM, weight_decay=DECAY)
        self.loss = torch.nn.CrossEntropyLoss()
        self.called = torch.compile(self.model) if compiled else self.model

    def tensor(self, images):
        """(N, H, W, 3) in memory is channels_last of (N, 3, H, W)."""
        return self.torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(memory_format=self.layout)

    def logits(self, images):
        self.model.eval()
        try:
            with self.torch.inference_mode():
                return self.model(self.tensor(images)).numpy()
        finally:
            self.model.train(not self.inference)

    def step(self, images, labels):
        if self.inference:
            with self.torch.inference_mode():
                return self.called(self.tensor(images)).numpy()
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss(self.called(self.tensor(images)), self.torch.from_numpy(labels))
        loss.backward()
        self.optimizer.step()
        return loss.item()


class TensorFlow:
    """TensorFlow: graphs (tf.function) on its own layout (N, H, W, C), a convolution for each tower."""

    def __init__(self, net, threads, inference):
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        import tensorflow as tf

        tf.config.set_visible_devices([], "GPU")
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
        self.tf, self.version, self.stages, self.variables = tf, f"TensorFlow {tf.__version__}", [], []
        self.stages = [[[self.with_variables(step) for step in tower] for tower in stage] for stage in steps(net)]
        self.velocities = [] if inference else [tf.Variable(tf.zeros_like(v)) for v in self.variables]
        self.infer = tf.function(lambda x: self.forward(x, False), autograph=False)
        self.step = (lambda images, labels: self.infer(images).numpy()) if inference else self.train
        self.update = tf.function(self.update, autograph=False)

    def with_variables(self, step):
        """A step of `export.layout.steps` with its arrays as TensorFlow's variables, in TensorFlow's layout."""
        kind, *numbers = step
        if kind not in ("conv", "linear"):
            return step
        W, b = numbers[:2]
        W = W.transpose(2, 3, 1, 0) if kind == "conv" else W.T
        variables = [self.tf.Variable(np.ascontiguousarray(array)) for array in (W, b)]
        self.variables += variables
        return kind, *variables, *numbers[2:]

    def forward(self, x, training):
        for stage in self.stages:
            ends = []
            for tower in stage:
                y = x
                for step in tower:
                    y = self.layer(y, training, *step)
                ends.append(y)
            x = self.tf.concat(ends, -1) if len(ends) > 1 else ends[0]
        return x

    def layer(self, x, training, kind, *numbers):
        nn = self.tf.nn
        match kind:
            case "conv":
                W, b, stride, (top, bottom, left, right) = numbers
                return nn.bias_add(nn.conv2d(x, W, stride, [[0, 0], [top, bottom], [left, right], [0, 0]]), b)
            case "linear":
                return nn.bias_add(self.tf.matmul(x, numbers[0]), numbers[1])
            case "lrn":
                size, alpha, beta, k = numbers
                return nn.local_response_normalization(x, size // 2, k, alpha, beta)
            case "pool":
                return nn.max_pool2d(x, *numbers, "VALID")
            case "dropout":
                p, scale_at = numbers
                return nn.dropout(x, p) if training else x * (1 - p) if scale_at == "test" else x
            case "flatten":  # the weights that come next are for rows over (C, H, W)
                return self.tf.reshape(self.tf.transpose(x, (0, 3, 1, 2)), (x.shape[0], -1))
        return {"relu": nn.relu, "tanh": nn.tanh}[kind](x)

    def update(self, images, labels):
        with self.tf.GradientTape() as tape:
            logits = self.forward(images, True)
            loss = self.tf.reduce_mean(self.tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
        for W, v, dW in zip(self.variables, self.velocities, tape.gradient(loss, self.variables), strict=True):
            v.assign(MOMENTUM * v + dW + DECAY * W)
            W.assign_sub(LR * v)
        return loss

    def logits(self, images):
        return self.infer(images).numpy()

    def train(self, images, labels):
        return float(self.update(images, labels))


class OnnxRuntime:
    """ONNX Runtime on the exported network; forward alone."""

    def __init__(self, net, threads, inference):
        import onnxruntime

        self.version = f"ONNX Runtime {onnxruntime.__version__}"
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        with tempfile.TemporaryDirectory() as folder:
            to_onnx.write(net, None, Path(folder, "net.onnx"))
            self.session = onnxruntime.InferenceSession(Path(folder, "net.onnx"), options, ["CPUExecutionProvider"])

    def logits(self, images):
        pixels = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
        return self.session.run(["logits"], {"pixels": pixels})[0]

    def step(self, images, labels):
        return self.logits(images)


PEERS = {
    "minigrad": Ours,
    "torch": Torch,
    "torch-channels-last": partial(Torch, memory_format="channels_last"),
    "torch-compile": partial(Torch, compiled=True),
    "tensorflow": TensorFlow,
    "onnxruntime": OnnxRuntime,
}
# The packages that have to be installed.
NEEDS = {
    "torch": ["torch"],
    "torch-channels-last": ["torch"],
    "torch-compile": ["torch"],
    "tensorflow": ["tensorflow"],
    "onnxruntime": ["onnxruntime", "onnx"],
}
