"""The loss: softmax and cross-entropy in one, minus the logarithm of the probability that the network gave to the true class."""

import numpy as np

from minigrad.device import CPU
from minigrad.layers.base import Layer


class SoftmaxCrossEntropy(Layer):
    """L = mean over the images of -log softmax(logits)[label].   dlogits = (softmax(logits) - one-hot(label)) / N.

    The largest logit is subtracted first, which changes no probability and prevents overflow. L is the mean over the batch, as in torch,
    and as the gradients of the 2012 code are (paper section 5)."""

    probabilities = dlogits = None

    def forward(self, logits, labels):
        """logits (N, classes) float32 or float64, labels (N,) integers from 0 to classes - 1 -> L, a float.

        Raises TypeError for other dtypes, ValueError for other shapes and for a label that is no class, naming the image."""
        logits = self.check(logits, "logits")
        labels = self.checked(labels, logits.shape)
        if self.device.is_gpu:
            with self.device:
                losses = self.forward_cuda(logits, self.device.asarray(labels, np.int64))
            return float(self.device.numpy(losses).mean())
        N = len(labels)
        z = logits - logits.max(axis=1, keepdims=True)
        e = np.exp(z)
        total = e.sum(axis=1, keepdims=True)
        self.probabilities, self.labels = e / total, labels.copy()
        return float((np.log(total[:, 0]) - z[np.arange(N), labels]).mean())

    def checked(self, labels, shape):
        """labels as a NumPy array, if they fit to logits of that shape."""
        labels = CPU.asarray(labels)
        if len(shape) != 2 or labels.shape != shape[:1]:
            raise ValueError(f"SoftmaxCrossEntropy: expects logits (N, classes) and labels (N,), not {shape} and {labels.shape}")
        if not np.issubdtype(labels.dtype, np.integer):
            raise TypeError(f"SoftmaxCrossEntropy: labels must be integers, not {labels.dtype}")
        wrong = (labels < 0) | (labels >= shape[1])
        if wrong.any():
            i = int(wrong.argmax())
            raise ValueError(f"SoftmaxCrossEntropy: label {labels[i]} of image {i} is not one of the classes 0 to {shape[1] - 1}")
        return labels

    def backward(self):
        """-> dlogits (N, classes), of the dtype of the logits. Raises RuntimeError without a forward before."""
        self.check_forward(self.probabilities is not None or self.dlogits is not None)
        if self.device.is_gpu:
            with self.device:
                return self.dlogits.copy()
        dlogits = self.probabilities.copy()
        N = len(dlogits)
        dlogits[np.arange(N), self.labels] -= 1
        dlogits /= N
        return dlogits

    def forward_cuda(self, logits, labels):
        """The loss of each image (N,), on the device, of labels int64 that lie there, too."""
        N, classes = logits.shape
        with self.device:
            loss, self.dlogits = self.device.empty((N,), logits.dtype), self.device.empty(logits.shape, logits.dtype)
            self.device.launch("loss", "softmax_cross_entropy", logits.size, logits, labels, loss, self.dlogits, N, classes, blocks=N)
        return loss

    def release(self):
        self.probabilities = self.dlogits = None
