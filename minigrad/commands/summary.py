"""summary: shapes, parameters, multiply-adds and memory of each layer, and what the towers exchange."""

import math

from minigrad.commands.networks import make_network

COUNTED = ("parameters", "macs", "memory")


def command(Network, arguments):
    summary(make_network(Network, vars(arguments), arguments.classes))
    return 0


def describe(net):
    """A list of dicts, one for each layer, towers together: stage, name, layer (the first tower's), shape (H, W, C) or (units,) of one
    tower, towers, parameters, macs (multiply-adds for an image), memory (bytes of the outputs for an image), neurons (numbers that come
    out of layers with weights, for an image)."""
    rows = {}
    for step in net.walk():
        start = {"stage": step.stage, "name": step.name, "layer": step.layer, "shape": step.y_shape[1:], "towers": 0}
        row = rows.setdefault((step.stage, step.name), {**start, **dict.fromkeys((*COUNTED, "neurons"), 0)})
        outputs = math.prod(step.y_shape[1:])
        parameters = sum(p.value.size for p in step.layer.parameters())
        row["towers"] += 1
        row["parameters"] += parameters
        row["macs"] += step.layer.multiply_adds(step.x_shape)
        row["memory"] += 4 * outputs
        row["neurons"] += outputs if parameters else 0
    return list(rows.values())


def summary(net, out=None):
    """Print shapes, parameters, multiply-adds and memory of each layer, and what the towers exchange."""
    rows = describe(net)
    towers = max(row["towers"] for row in rows)
    print(f"{net.variant}: {towers} tower{'s' * (towers > 1)}, images {net.image_size} x {net.image_size} x 3", file=out)
    print(f"{'layer':8s} {'output, one tower':>18s} {'parameters':>12s} {'MACs/image':>14s} {'kB/image':>9s}", file=out)
    for before, row in zip([rows[0], *rows], rows, strict=False):
        if row["stage"] > before["stage"] and before["towers"] > 1:
            print(f"  exchange: each tower sends {before['memory'] // before['towers']:,} bytes/image", file=out)
        shape = " x ".join(map(str, row["shape"]))
        parameters, macs = (f"{row[key]:,}" if row[key] else "" for key in ("parameters", "macs"))
        print(f"{row['name']:8s} {shape:>18s} {parameters:>12s} {macs:>14s} {row['memory'] / 1e3:9,.1f}", file=out)
    totals(net, rows, towers, out)
    print(f"devices: {', '.join(f'{device.name} ({device.arithmetic})' for device in net.towers.devices)}", file=out)
    print("Memory is that of the float32 outputs; a training step keeps most of them and as many gradients for a moment.", file=out)
    if net.remarks:
        print(net.remarks, file=out)


def totals(net, rows, towers, out):
    """Print the sums over the rows of `describe`."""
    parameters, macs, memory = (sum(row[key] for row in rows) for key in COUNTED)
    biases = sum(p.value.size for p in net.parameters() if p.name.endswith(".b"))
    print(f"{'total':8s} {'':>18s} {parameters:12,} {macs:14,} {memory / 1e3:9,.1f}", file=out)
    neurons = sum(row["neurons"] for row in rows)
    together = "; the numbers of a layer are those of all towers together" * (towers > 1)
    print(f"{parameters - biases:,} weights and {biases:,} biases; {neurons:,} neurons{together}", file=out)
    if towers > 1:
        sends = sum(row["memory"] // row["towers"] for row, after in zip(rows, rows[1:], strict=False) if after["stage"] > row["stage"])
        logits = rows[-1]["memory"] // 2
        print(f"exchanged: {sends:,} bytes/image from each tower forward, as much backward, and {logits:,} of logits", file=out)
