"""explore: one HTML file that shows a network's inside on photographs."""

from pathlib import Path

import numpy as np

from minigrad import data, files, training
from minigrad.commands import datasets
from minigrad.commands.errors import UsageError, cannot_be_written
from minigrad.commands.networks import load_network, program
from minigrad.names import one_name
from minigrad.plots import explorer
from minigrad.visualise import exploration


def command(Network, arguments):
    net, checkpoint = load_network(Network, arguments.checkpoint)
    mean = checkpoint.mean
    images = [data.read_fitted(path, *mean.shape[:2]) for path in arguments.images]
    size = min(net.image_size, *mean.shape[:2])
    loader = data.Loader(images, np.zeros(len(images), int), len(images), mean=mean, size=size, scale=net.input_scale)
    x, _ = next(loader.batches(0))
    content = exploration(net, x, arguments.channels, training.is_grey(mean))
    classes = checkpoint.metadata["config"]["classes"] or [f"class {i}" for i in range(net.num_classes)]
    content |= {
        "program": program(Network),
        "network": type(net).__name__,
        "variant": net.variant,
        "parameters": net.num_parameters(),
        "scale": net.input_scale,
        "classes": [one_name(name) for name in classes],
    }
    for image, path, pixels, fed in zip(content["images"], arguments.images, datasets.seen(images, size), x, strict=True):
        image |= {
            "name": one_name(Path(path).name),
            "pixels": pixels,
            "x": fed.transpose(2, 0, 1),
            "values": explorer.without_maxima(content["nodes"], fed.transpose(2, 0, 1), image["values"]),
            "probabilities": training.softmax(image["logits"][None])[0],
            "backwards": pictures(image["backwards"]),
        }
    try:
        text = explorer.page(content, f"{net.variant}: {', '.join(image['name'] for image in content['images'])}")
    except ValueError:  # NaN or infinity
        raise UsageError(f"The outputs of {arguments.checkpoint} are not finite numbers: its weights have blown up.") from None
    run = Path(arguments.checkpoint)
    path = Path(arguments.out or (run if run.is_dir() else run.parent) / "explore.html")
    try:
        files.write_text(path, text)
    except OSError as error:
        raise cannot_be_written(path, error, "--out") from None
    print(f"{path}: {len(text) / 1e6:.1f} MB. Open it in a browser.")
    return 0


def pictures(found):
    """What the classes hang on as pictures; Grad-CAM's few numbers stay numbers."""
    shown = {key: found[key] for key in ("layer", "cam", "weights") if key in found}
    for key, picture in (("saliency", explorer.shades), ("deconvnet", explorer.around_grey), ("guided", explorer.around_grey)):
        pairs = [picture(one) for one in found[key]]
        shown[key] = {"pictures": np.stack([pixels for pixels, _ in pairs]), "most": [most for _, most in pairs]}
    return shown
