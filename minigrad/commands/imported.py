"""Weights trained elsewhere, read as checkpoints: torchvision's AlexNet (2014) and Caffe's bvlc_alexnet (2013).

Layouts differ: there images are (N, C, H, W), convolutions (out, in, k, k), and the rows of fc6 run over (C, H, W); here over (H, W, C).
What those networks expect of pixels is moved into their first layer, so that here they see pixels from 0 to 255 minus a mean."""

import warnings
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from minigrad.layers import LocalResponseNorm
from minigrad.training import Checkpoint, TrainingError, fields, load_checkpoint

MOST_CHANNELS = 1024  # more than any of these networks has
LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8")
TORCHVISION = ("features.0", "features.3", "features.6", "features.8", "features.10", "classifier.1", "classifier.4", "classifier.6")
TORCHVISION_MEAN = 255 * np.array([0.485, 0.456, 0.406])  # of R, G, B; pixels there are from 0 to 1
TORCHVISION_STD = 255 * np.array([0.229, 0.224, 0.225])
CAFFE_MEAN = np.array([122.67891434, 116.66876762, 104.00698793])  # of R, G, B in ILSVRC-2012; its network sees B, G, R


def load(path):
    """The checkpoint at `path`: one of ours, a file or the folder of a run; torchvision's state dict (.pth, .pt, with PyTorch
    installed, or .safetensors); or an ONNX file of it or of Caffe's AlexNet (.onnx, with onnx installed).

    A checkpoint from elsewhere knows how many classes there are but not their names: config["classes"] is empty. What the network
    needs besides its variant is in config["adapted"] (see `adapt`). Raises TrainingError with one sentence."""
    path = Path(path)
    if path.suffix in (".pth", ".pt"):
        return from_torchvision(path, _torch_arrays(path))
    if path.suffix == ".onnx":
        return from_onnx(path)
    if path.suffix == ".safetensors" and path.is_file():
        try:
            with safe_open(path, framework="np") as file:
                prefix = prefix_of(file.keys())
                if prefix is not None:
                    return from_torchvision(path, {name: file.get_tensor(name) for name in file.keys()})
        except (OSError, SafetensorError):
            pass  # load_checkpoint says what is wrong
        except (AttributeError, KeyError, TypeError, ValueError):
            raise TrainingError(f"{path} holds numbers of a type that NumPy does not have: save it in float32.") from None
    return load_checkpoint(path)


def _existing(path):
    if not path.is_file():
        raise TrainingError(f"There is no file {path}.")


def _torch_arrays(path):
    """{name: float32 array} of a state dict that PyTorch saved."""
    _existing(path)
    try:
        import torch
    except ImportError:
        raise TrainingError(
            f"{path} can be read with PyTorch, which is not installed: pip install torch, or save it as .safetensors."
        ) from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of PyTorch's, about files that are refused below in one sentence
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file fails in many ways
        raise TrainingError(f"{path} {_looks_like(path, error)}.") from None
    state = _innermost(state)
    if state is None:
        raise TrainingError(f"{path} is no state dict of PyTorch: it holds no dict of arrays; save model.state_dict().")
    tensors = {name: tensor for name, tensor in state.items() if isinstance(name, str) and isinstance(tensor, torch.Tensor)}
    try:
        for name, tensor in tensors.items():
            if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():  # few bytes that say they are gigabytes
                raise TrainingError(f"{path} holds {name}, whose numbers are stored once for many: save it as it is, by .contiguous().")
        return {name: tensor.detach().float().numpy() for name, tensor in tensors.items()}
    except TrainingError:
        raise
    except Exception as error:  # quantised, sparse, on no device
        raise TrainingError(f"{path} holds arrays that cannot be read as float32: {_first_line(error)}.") from None


def _innermost(state):
    """The dict of arrays in what a training program saved, beside an optimiser's state and more; None if there is none."""
    for _ in range(4):
        if not isinstance(state, dict):
            return None
        inner = next(
            (state[key] for key in ("state_dict", "model_state_dict", "model_state", "model", "net", "weights") if key in state), None
        )
        if not isinstance(inner, dict):
            return state if any(hasattr(value, "shape") and isinstance(name, str) for name, value in state.items()) else None
        state = inner
    return None


def _looks_like(path, error):
    """What a file that PyTorch will not read without running it looks like, and what would work."""
    text, content = str(error), _beginning(path)
    if "TorchScript" in text or "constants.pkl" in content:
        return "looks like a TorchScript program: load it with torch.jit.load and save its state_dict()"
    if any(word in text for word in ("Unsupported global", "Unsupported class", "WeightsUnpickler", "weights_only")) and (
        content.startswith("PK") or "torch" in content or "\x80" in content[:2]
    ):
        return (
            "looks like a whole module, or holds other objects than arrays, which could run any program when it is opened: load it where "
            "you trust it, and save model.state_dict()"
        )
    return f"is no state dict of PyTorch: {_first_line(error)}"


def _beginning(path):
    with open(path, "rb") as file:
        return file.read(1 << 12).decode("latin-1")


def _first_line(error):
    return str(error).splitlines()[0].rstrip(".") if str(error) else repr(error)


# ---- from torchvision


def prefix_of(names):
    """What stands before torchvision's names, such as "module." of a model that was trained on several GPUs; None if they are not there."""
    end = TORCHVISION[0] + ".weight"
    return next((name.removesuffix(end) for name in names if name == end or name.endswith("." + end)), None)


def from_torchvision(path, arrays):
    """A checkpoint of the variant "owt" from torchvision's state dict {"features.0.weight": array, ...}, also with a prefix before all
    names."""
    prefix = prefix_of(arrays) or ""
    weights = []
    for name in TORCHVISION:
        pair = [arrays.get(f"{prefix}{name}.{kind}") for kind in ("weight", "bias")]
        if pair[0] is None or pair[1] is None:
            held = ", ".join(list(arrays)[:3])
            raise TrainingError(
                f"{path} is no state dict of torchvision's AlexNet: it lacks {name}.weight or {name}.bias, and holds {len(arrays)} arrays "
                f"({held}, ...)."
            )
        weights.append(pair)
    return _owt(path, weights)


def _owt(path, weights):
    values = _values(path, weights, (64, 192, 384, 256, 256))
    values["tower0.conv1.W"] /= TORCHVISION_STD[:, None].astype(np.float32)
    return _checkpoint(path, values, "owt", TORCHVISION_MEAN, {})


def _values(path, weights, widths):
    """{our name: our array} of eight pairs of weight and bias, laid out (out, in, ...)."""
    values = {}
    for layer, (W, b), width in zip(LAYERS, weights, (*widths, 4096, 4096, None), strict=True):
        ndim = 4 if layer.startswith("conv") else 2
        if W.ndim != ndim or (width is not None and W.shape[0] != width) or b.shape != W.shape[:1]:
            raise TrainingError(f"{path}: {layer} is {W.shape} with a bias of {b.shape}, but {width} outputs are expected.")
        if any(a.dtype.kind != "f" or not np.isfinite(a).all() for a in (W, b)):
            raise TrainingError(f"{path}: {layer} holds numbers that are no finite floats ({W.dtype}).")
        if ndim == 4:
            W = W.transpose(2, 3, 1, 0)
        elif layer == "fc6":
            side = round((W.shape[1] / widths[-1]) ** 0.5)
            if side**2 * widths[-1] != W.shape[1]:
                raise TrainingError(f"{path}: fc6 has {W.shape[1]} inputs, which are no square of {widths[-1]} channels.")
            W = W.reshape(len(W), widths[-1], side, side).transpose(2, 3, 1, 0).reshape(-1, len(W))
        else:
            W = W.T
        values[f"tower0.{layer}.W"] = np.array(W, np.float32, order="C")
        values[f"tower0.{layer}.b"] = np.array(b, np.float32)
    return values


def _checkpoint(path, values, variant, mean, adapted):
    classes = len(values["tower0.fc8.b"])
    # "caffe" for where its dropout scales: in training, as in all that can be imported.
    config = {"variant": variant, "init": "caffe", "seed": 0, "num_classes": classes, "classes": [], "adapted": adapted}
    image = np.broadcast_to(mean.astype(np.float32), (256, 256, 3)).copy()
    return Checkpoint(values, {}, image, {"config": {**config, "imported": path.name}})


def adapt(net, adapted):
    """Make `net` as the checkpoint it gets its weights from: another crop, padding of conv1, constants of normalisation."""
    for _, _, name, layer in net.layers():
        if name == "conv1" and "conv1_padding" in adapted:
            layer.padding = tuple(adapted["conv1_padding"])
        if isinstance(layer, LocalResponseNorm) and "lrn" in adapted:
            layer.size, layer.alpha, layer.beta, layer.k = adapted["lrn"]
    if "image_size" in adapted:
        net.image_size = net.smallest = adapted["image_size"]


# ---- from ONNX


def from_onnx(path):
    """A checkpoint of an ONNX file: torchvision's network (no normalisation) or Caffe's bvlc_alexnet (two of them, and groups).

    Caffe's groups are weights of 0 in our one tower, which makes the same network; its normalisation runs over all channels."""
    _existing(path)
    try:
        import onnx
        from onnx import numpy_helper
    except ImportError:
        raise TrainingError(f"{path} can be read with the package onnx, which is not installed: pip install onnx.") from None
    try:
        graph = onnx.load(path).graph
        arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        attributes = [{a.name: onnx.helper.get_attribute_value(a) for a in node.attribute} for node in graph.node]
    except Exception as error:  # a damaged file fails in many ways
        raise TrainingError(f"{path} is no ONNX file: {_first_line(error)}.") from None
    convs = [(node, a) for node, a in zip(graph.node, attributes, strict=True) if node.op_type == "Conv"]
    gemms = [(node, a) for node, a in zip(graph.node, attributes, strict=True) if node.op_type == "Gemm"]
    norms = [a for node, a in zip(graph.node, attributes, strict=True) if node.op_type == "LRN"]
    if (len(convs), len(gemms)) != (5, 3) or any(
        len(node.input) != 3 or not arrays.keys() >= set(node.input[1:]) for node, _ in convs + gemms
    ):
        raise TrainingError(f"{path} holds {len(convs)} Conv and {len(gemms)} Gemm with weights and biases, but AlexNet has 5 and 3.")
    weights = []
    for node, a in convs + gemms:
        W, b = arrays[node.input[1]], arrays[node.input[2]].reshape(-1)
        if node.op_type == "Conv":
            W = _dense(path, W, a.get("group", 1))
        weights.append((W if node.op_type == "Conv" or a.get("transB", 0) else W.T, b))
    if not norms:
        return _owt(path, weights)
    values = _values(path, weights, (96, 256, 384, 384, 256))
    values["tower0.conv1.W"] = np.ascontiguousarray(values["tower0.conv1.W"][:, :, ::-1])  # B, G, R
    norm, pads = norms[0], convs[0][1].get("pads", [0, 0, 0, 0])
    try:
        adapted = {
            "image_size": 227,
            "conv1_padding": [pads[0], pads[2], pads[1], pads[3]],  # ONNX: top, left, bottom, right
            # ONNX divides alpha by the size.
            "lrn": [norm["size"], norm.get("alpha", 1e-4) / norm["size"], norm.get("beta", 0.75), norm.get("bias", 1.0)],
        }
        fields.ADAPTED(adapted, "")
    except (fields.FieldError, ArithmeticError, LookupError, TypeError) as error:
        raise TrainingError(f"{path} has attributes of LRN or padding that make no sense ({error}).") from None
    return _checkpoint(path, values, "one-tower", CAFFE_MEAN, adapted)


def _dense(path, W, groups):
    """A convolution of several groups as one of all channels, with weights of 0 between the groups. W (out, in / groups, k, k)."""
    if W.ndim != 4 or type(groups) is not int or groups < 1 or W.shape[0] % groups or W.shape[1] * groups > MOST_CHANNELS:
        raise TrainingError(f"{path} holds a convolution of {groups} groups with weights {W.shape}, which AlexNet does not have.")
    outputs, inputs, *window = W.shape
    whole = np.zeros((outputs, inputs * groups, *window), W.dtype)
    for g in range(groups):
        rows, columns = (slice(g * n // groups, (g + 1) * n // groups) for n in (outputs, inputs * groups))
        whole[rows, columns] = W[rows]
    return whole
