"""export: a trained network for ONNX runtimes or for PyTorch, with its preprocessing."""

from pathlib import Path

from minigrad import files
from minigrad.commands.errors import UsageError, cannot_be_written
from minigrad.commands.export import to_onnx, to_torch
from minigrad.commands.networks import load_network

WRITERS = {"onnx": (to_onnx.write, ".onnx"), "torch": (to_torch.write, ".pt2")}


def command(Network, arguments):
    net, checkpoint = load_network(Network, arguments.checkpoint)
    out = Path(arguments.out)
    write, suffix = WRITERS[arguments.to]
    if out.suffix != suffix:
        raise UsageError(f"--out {out} should end in {suffix}, as files of --to {arguments.to} do.")
    net.image_size = min(net.image_size, *checkpoint.mean.shape[:2])
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with files.replacing(out) as temporary:
            write(net, checkpoint.mean, temporary)
    except OSError as error:
        raise cannot_be_written(out, error, "--out") from None
    print(f"{out}: pixels (N, 3, {net.image_size}, {net.image_size}), R, G, B from 0 to 255, to logits (N, {net.num_classes})")
    return 0
