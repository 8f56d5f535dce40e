"""A network with all that is gone back through, small enough for loops over single numbers."""

import numpy as np

from minigrad.network import Init, Network, Variant


def eye(nn, classes):
    return [
        nn.Sequential(
            conv1=nn.Conv2d(3, 4, 3, padding=1),  # 8 x 8 x 4
            relu1=nn.ReLU(),
            norm1=nn.LocalResponseNorm(size=3, alpha=0.1, beta=0.75, k=1.0),
            pool1=nn.MaxPool2d(3, stride=2),  # 3 x 3 x 4
        ),
        nn.Sequential(conv2=nn.Conv2d(8, 5, 3, padding=(0, 1, 1, 0)), relu2=nn.ReLU()),  # 2 x 2 x 5
        nn.Sequential(flatten=nn.Flatten(), fc3=nn.Linear(40, 6), tanh3=nn.Tanh(), drop3=nn.Dropout(0.5)),  # 6
        nn.Sequential(fc4=nn.Linear(12, classes)),
    ]


class Eye(Network):
    """Two towers for images of 8 pixels."""

    variants = {"eye": Variant(eye, image_size=8, towers=2)}
    inits = {"test": Init(biases=(0.1, 0.2, 0.3, 0.4), scale_at="test")}


def eyes(dtype=np.float64):
    """The network in test mode, and three images for it."""
    net = Eye(num_classes=5, seed=3).astype(dtype).eval()
    return net, np.random.default_rng(0).standard_normal((3, 8, 8, 3)).astype(dtype)
