"""What bfloat16 costs a network in training, without a GPU: the same run in float32, and with convolutions that are rounded as those of a
GPU with --bf16.

    PYTHONPATH=.:tests/cuda python tests/cuda/bfloat16_training.py --steps 300 --seed 0"""

import argparse
import types

import bfloat16
import numpy as np

import minigrad
from alexnet import AlexNet
from minigrad import SGD, SoftmaxCrossEntropy, data
from minigrad.training import evaluation, train_on_batch


def run(layers, seed, steps, dataset):
    """Train `small` for so many steps: the mean loss of the last fifty, and loss and errors of validation."""
    kind = AlexNet.variants["small"]
    net = AlexNet("small", num_classes=10, seed=seed, layers=layers)
    common = {"mean": data.mean_image(dataset.train_images), "scale": net.input_scale, "seed": seed}
    loader = data.Loader(dataset.train_images, dataset.train_labels, kind.batch_size, shuffle=True, **common)
    loss, sgd, losses = SoftmaxCrossEntropy(), SGD(net.parameters(), kind.lr, 0.9, kind.weight_decay), []
    for epoch in range(steps):
        for x, labels in loader.batches(epoch):
            losses.append(train_on_batch(net, loss, sgd, x, labels)[0])
            if len(losses) == steps:
                p = evaluation.probabilities(net.eval(), data.Loader(dataset.val_images, dataset.val_labels, 100, **common))
                return np.mean(losses[-50:]), evaluation.errors(p, dataset.val_labels)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("precisions", nargs="*", default=["float32", "bfloat16"])
    a = parser.parse_args()
    dataset = data.load("fashion-mnist")
    layers = {"float32": minigrad, "bfloat16": types.SimpleNamespace(**{**vars(minigrad), "Conv2d": bfloat16.Conv2d})}
    for name in a.precisions:
        last, (loss, top1, _) = run(layers[name], a.seed, a.steps, dataset)
        print(f"{name}, seed {a.seed}: loss of the last 50 steps {last:.4f}; validation loss {loss:.4f}, error {top1:.2%}", flush=True)
