"""How fast a training step could be on a GPU, by calculation: each kernel takes the longer of its bytes at the memory's rate and its
operations at the rate of its unit, and the host nothing.

    PYTHONPATH=. python tests/cuda/roofline.py paper 128

"before": every layer for itself, and patches made anew in backward and by each tower. "now": what minigrad does; then with --bf16. Towers
are added up, as on one GPU. The rates are those that copies and large products reach on an H200, of those that were published; nothing
here is measured."""

import sys
from itertools import groupby

from alexnet import AlexNet
from minigrad.commands.benchmark.gpu import in_bfloat16, work
from minigrad.commands.memory import size
from minigrad.layers import MaxPool2d
from minigrad.layers.chain import is_left_out

BYTES, OPERATIONS, IN_BFLOAT16 = 4.3e12, 400e12, 700e12  # a second: HBM3e; products in TF32; in bfloat16


def of_layers(net, batch_size, now):
    """{layer: [(operations, bytes, operations a second) of each of its kernels]}"""
    found = {}
    for (_, tower), walked in groupby(net.walk(batch_size), key=lambda step: (step.stage, step.tower)):
        steps, relu, norm = list(walked), False, False
        layers = [step.layer for step in steps]
        for i, step in enumerate(steps):
            if now and is_left_out(layers, i, step.x_shape):
                relu, norm = relu or step.layer.is_relu, step.layer.is_norm
                continue
            step.layer.relu = relu and not norm
            forward, backward = work(step.layer, step.x_shape, step.y_shape, stay=now)
            if now and i == 0 and tower > 0 and (P := step.layer.unfolded(step.x_shape)):
                forward.remove((0, size(step.x_shape) + P))  # the patches of the tower before it
            if norm and isinstance(step.layer, MaxPool2d):
                backward = [(0, bytes_ + size(step.x_shape)) for _, bytes_ in backward]  # x is read once more, for the normalisation
            rate = IN_BFLOAT16 if in_bfloat16(step.layer) else OPERATIONS
            found.setdefault(step.name, []).extend((*kernel, rate) for kernel in forward + backward)
            relu = norm = False
    return found


def of_step(net, batch_size, now):
    """Those of the exchange between towers and of the update as well."""
    found = of_layers(net, batch_size, now)
    walked = list(net.walk(batch_size))
    ends = [a for a, b in zip(walked, walked[1:], strict=False) if (a.stage, a.tower) != (b.stage, b.tower) and a.stage < walked[-1].stage]
    if len(net.towers.stages[0]) > 1:
        found["exchange"] = [(0, n * size(end.y_shape), OPERATIONS) for n in (2, 3) for end in ends]  # join; add
    found["update"] = [(0, 5 * 4 * net.num_parameters(), OPERATIONS)]
    return found


def seconds(kernels):
    return sum(max(operations / rate, bytes_ / BYTES) for operations, bytes_, rate in kernels)


def main(variant="paper", batch_size="128"):
    net = AlexNet(variant)
    tables = [of_step(net, int(batch_size), now) for now in (False, True)]
    for device in net.towers.devices:
        device.bf16 = True
    tables.append(of_step(net, int(batch_size), now=True))
    print("| layer | GFLOP | GB before | ms before | GB now | ms now | GB --bf16 | ms --bf16 |\n|---|---|---|---|---|---|---|---|")
    total = [[] for _ in tables]
    for name in tables[0]:
        columns = [table.get(name, []) for table in tables]
        for sums, kernels in zip(total, columns, strict=True):
            sums.extend(kernels)
        print(row(name, columns))
    print(row(f"{variant}, a step", total))


def row(name, columns):
    figures = [
        f"{sum(bytes_ for _, bytes_, _ in kernels) / 1e9:.2f} | {1e3 * seconds(kernels):.2f}" if kernels else "- | -" for kernels in columns
    ]
    return f"| {name} | {sum(operations for operations, *_ in columns[0]) / 1e9:.0f} | {' | '.join(figures)} |"


if __name__ == "__main__":
    main(*sys.argv[1:])
