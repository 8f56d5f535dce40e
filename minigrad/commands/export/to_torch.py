"""A network in PyTorch: the trained one as a program of its own, and an untrained twin to measure training steps against.

PyTorch is imported in these functions alone, when one of them is asked for."""

import numpy as np

from minigrad.commands.export.layout import pixels_mean, steps
from minigrad.training import TrainingError


def write(net, mean, path):
    """Write `net` as a program of PyTorch (.pt2): torch.export.load(path).module()(pixels) takes and gives what to_onnx.py says.

    Raises TrainingError if PyTorch is not installed."""
    try:
        import torch
    except ImportError:
        raise TrainingError("--to torch needs PyTorch, which is not installed here: pip install torch.") from None
    nn = torch.nn

    class Network(nn.Module):
        def __init__(self, stages):
            super().__init__()
            self.stages = nn.ModuleList(nn.ModuleList(nn.Sequential(*towers) for towers in stage) for stage in stages)
            self.register_buffer("mean", torch.from_numpy(pixels_mean(mean, net.image_size)))

        def forward(self, pixels):
            x = (pixels - self.mean) * float(net.input_scale)
            for stage in self.stages:
                x = torch.cat([tower(x) for tower in stage], 1)
            return x

    network = Network([[[m for step in tower for m in testing(step)] for tower in stage] for stage in steps(net)]).eval()
    example = torch.zeros(2, 3, net.image_size, net.image_size)
    program = torch.export.export(network, (example,), dynamic_shapes=({0: torch.export.Dim("N")},))
    torch.export.save(program, path)


def twin(net):
    """The network as one `torch.nn.Sequential` with the same weights: grouped convolutions where ours has towers. It can be trained; in
    test mode its logits are ours. Its dropout scales in training, as PyTorch's does."""
    from torch import nn

    modules = []
    for stage in steps(net):
        T, alone = len(stage), False
        for parts in zip(*stage, strict=True):
            modules += training(side_by_side(parts), T if alone else 1)
            alone = alone or parts[0][0] == "conv"  # what follows sees the channels of its own tower alone
    return nn.Sequential(*modules)


def side_by_side(parts):
    """The same step of all towers as one step: their outputs are its outputs, in the order of the towers."""
    kind, *numbers = parts[0]
    if kind in ("conv", "linear"):
        W, b = (np.concatenate([part[i] for part in parts]) for i in (1, 2))
        return kind, W, b, *numbers[2:]
    return parts[0]


def testing(step):
    """One of `steps` as a list of modules that compute what the layer does in test mode."""
    from torch import nn

    class Scale(nn.Module):
        def __init__(self, factor):
            super().__init__()
            self.factor = factor

        def forward(self, x):
            return x * self.factor

    kind, *numbers = step
    if kind == "dropout":
        p, scale_at = numbers
        return [Scale(1 - p)] if scale_at == "test" else []
    return [nn.ReLU()] if kind == "relu" else training(step)


def training(step, groups=1):
    """One of `steps` as a list of modules to train, with its weights. Dropout is PyTorch's, which scales in training."""
    from torch import nn

    kind, *numbers = step
    match kind:
        case "conv":
            W, b, stride, (top, bottom, left, right) = numbers
            same = len({top, bottom, left, right}) == 1
            conv = nn.Conv2d(W.shape[1] * groups, len(W), W.shape[2], stride, top if same else 0, groups=groups)
            return [filled(conv, W, b)] if same else [nn.ZeroPad2d((left, right, top, bottom)), filled(conv, W, b)]
        case "linear":
            W, b = numbers
            return [filled(nn.Linear(W.shape[1], len(W)), W, b)]
        case "lrn":
            size, alpha, beta, k = numbers
            lrn = nn.LocalResponseNorm(size, alpha * size, beta, k)  # PyTorch divides alpha by the size
            return [by_towers(lrn, groups) if groups > 1 else lrn]
        case "pool":
            return [nn.MaxPool2d(*numbers)]
        case "dropout":
            p, scale_at = numbers
            return [scaled_in_tests(p) if scale_at == "test" else nn.Dropout(p)]
        case "relu":
            return [nn.ReLU(inplace=True)]
    return [{"tanh": nn.Tanh, "flatten": nn.Flatten}[kind]()]


def by_towers(lrn, towers):
    """A `LocalResponseNorm` that ends where a tower ends. The operations are those of PyTorch's own, with one axis more: equal in cost."""
    from torch import nn

    class TowersNorm(nn.Module):
        def forward(self, x):
            N, C, H, W = x.shape
            squares = x.mul(x).view(N, towers, C // towers, H, W)
            squares = nn.functional.pad(squares, (0, 0, 0, 0, lrn.size // 2, (lrn.size - 1) // 2))
            means = nn.functional.avg_pool3d(squares, (lrn.size, 1, 1), stride=1).view(N, C, H, W)
            return x / means.mul(lrn.alpha).add(lrn.k).pow(lrn.beta)

    return TowersNorm()


def scaled_in_tests(p):
    """Dropout as in training, but in test mode a factor of 1 - p, as the paper has it."""
    from torch import nn

    class ScaledDropout(nn.Dropout):
        def forward(self, x):
            return super().forward(x) if self.training else x * (1 - self.p)

    return ScaledDropout(p)


def filled(module, W, b):
    """The module with these weights."""
    import torch

    with torch.no_grad():
        module.weight.copy_(torch.from_numpy(W))
        module.bias.copy_(torch.from_numpy(b))
    return module
