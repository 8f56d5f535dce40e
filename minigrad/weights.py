"""Weights from elsewhere, as checkpoints: torchvision's AlexNet and Caffe's bvlc_alexnet. And networks to elsewhere: ONNX, PyTorch.

Layouts differ: there images are (N, C, H, W), convolutions (out, in, k, k), and the rows of fc6 run over (C, H, W); here over (H, W, C).
What those networks expect of pixels is moved into their first layer, so that here they see pixels from 0 to 255 minus a mean."""

from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file

from minigrad.layers import Conv2d, Dropout, Flatten, Linear, LocalResponseNorm, MaxPool2d, ReLU
from minigrad.training import Checkpoint, TrainingError, load_checkpoint, to_host

LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8")
TORCHVISION = ("features.0", "features.3", "features.6", "features.8", "features.10", "classifier.1", "classifier.4", "classifier.6")
TORCHVISION_MEAN = 255 * np.array([0.485, 0.456, 0.406])  # of R, G, B; pixels there are from 0 to 1
TORCHVISION_STD = 255 * np.array([0.229, 0.224, 0.225])
CAFFE_MEAN = np.array([122.67891434, 116.66876762, 104.00698793])  # of R, G, B in ILSVRC-2012; its network sees B, G, R
OPSET = 17  # of ONNX


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
                names = set(file.keys())
            if TORCHVISION[0] + ".weight" in names:
                return from_torchvision(path, load_file(path))
        except (OSError, SafetensorError):
            pass  # load_checkpoint says what is wrong
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
        state = torch.load(path, map_location="cpu", weights_only=True)
        return {name: tensor.float().numpy() for name, tensor in state.items()}
    except Exception as error:  # a damaged file fails in many ways
        raise TrainingError(f"{path} is no state dict of PyTorch: {str(error).splitlines()[0] if str(error) else error!r}.") from None


# ---- from torchvision


def from_torchvision(path, arrays):
    """A checkpoint of the variant "owt" from torchvision's state dict {"features.0.weight": array, ...}."""
    weights = []
    for name in TORCHVISION:
        pair = [arrays.get(f"{name}.{kind}") for kind in ("weight", "bias")]
        if pair[0] is None or pair[1] is None:
            raise TrainingError(f"{path} is no state dict of torchvision's AlexNet: it lacks {name}.weight or {name}.bias.")
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
        if ndim == 4:
            W = W.transpose(2, 3, 1, 0)
        elif layer == "fc6":
            side = round((W.shape[1] / widths[-1]) ** 0.5)
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
    net.image_size = adapted.get("image_size", net.image_size)


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
    except Exception as error:
        raise TrainingError(f"{path} is no ONNX file: {error}.") from None
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    attributes = [{a.name: onnx.helper.get_attribute_value(a) for a in node.attribute} for node in graph.node]
    convs = [(node, a) for node, a in zip(graph.node, attributes, strict=True) if node.op_type == "Conv"]
    gemms = [(node, a) for node, a in zip(graph.node, attributes, strict=True) if node.op_type == "Gemm"]
    norms = [a for node, a in zip(graph.node, attributes, strict=True) if node.op_type == "LRN"]
    if (len(convs), len(gemms)) != (5, 3) or any(len(node.input) != 3 or node.input[1] not in arrays for node, _ in convs + gemms):
        raise TrainingError(f"{path} holds {len(convs)} Conv and {len(gemms)} Gemm with weights and biases, but AlexNet has 5 and 3.")
    weights = []
    for node, a in convs + gemms:
        W, b = arrays[node.input[1]], arrays[node.input[2]].reshape(-1)
        if node.op_type == "Conv":
            W = _dense(W, a.get("group", 1))
        weights.append((W if node.op_type == "Conv" or a.get("transB", 0) else W.T, b))
    if not norms:
        return _owt(path, weights)
    values = _values(path, weights, (96, 256, 384, 384, 256))
    values["tower0.conv1.W"] = np.ascontiguousarray(values["tower0.conv1.W"][:, :, ::-1])  # B, G, R
    norm, pads = norms[0], convs[0][1].get("pads", [0, 0, 0, 0])
    adapted = {
        "image_size": 227,
        "conv1_padding": [pads[0], pads[2], pads[1], pads[3]],  # ONNX: top, left, bottom, right
        # ONNX divides alpha by the size.
        "lrn": [norm["size"], norm.get("alpha", 1e-4) / norm["size"], norm.get("beta", 0.75), norm.get("bias", 1.0)],
    }
    return _checkpoint(path, values, "one-tower", CAFFE_MEAN, adapted)


def _dense(W, groups):
    """A convolution of several groups as one of all channels, with weights of 0 between the groups. W (out, in / groups, k, k)."""
    outputs, inputs, *window = W.shape
    whole = np.zeros((outputs, inputs * groups, *window), W.dtype)
    for g in range(groups):
        rows, columns = (slice(g * n // groups, (g + 1) * n // groups) for n in (outputs, inputs * groups))
        whole[rows, columns] = W[rows]
    return whole


# ---- to elsewhere


def steps(net):
    """What `net` computes in test mode, for networks of (N, C, H, W): a list of stages, each a list of towers, each a list of tuples:

    ("conv", W (out, in, k, k), b, stride, (top, bottom, left, right)), ("relu",), ("lrn", size, alpha, beta, k), ("pool", size, stride),
    ("flatten",), ("linear", W (out, in), b), ("scale", factor). Towers' outputs are joined along the channels between stages."""
    stages, shape = [], (1, net.image_size, net.image_size, 3)
    for stage in net.towers.stages:
        stages.append([])
        ends = []
        for tower in stage:
            found, now, flattened = [], shape, None
            for layer in tower.layers.values():
                before, now = now, layer.output_shape(now)
                flattened = before if isinstance(layer, Flatten) else flattened
                step = _step(layer, flattened)
                if step is not None:
                    found.append(step)
                if isinstance(layer, Linear):
                    flattened = None
            stages[-1].append(found)
            ends.append(now)
        shape = (*ends[0][:-1], sum(end[-1] for end in ends))
    return stages


def _step(layer, flattened):
    """One layer as a tuple of `steps`; flattened: the shape (1, H, W, C) that was made flat before this Linear, if it was."""
    if isinstance(layer, Conv2d):
        return "conv", np.ascontiguousarray(_host(layer.W).transpose(3, 2, 0, 1)), _host(layer.b), layer.stride, tuple(layer.padding)
    if isinstance(layer, Linear):
        W = _host(layer.W)
        if flattened is not None:  # rows over (H, W, C) become rows over (C, H, W)
            W = W.reshape(*flattened[1:], -1).transpose(2, 0, 1, 3).reshape(W.shape)
        return "linear", np.ascontiguousarray(W.T), _host(layer.b)
    if isinstance(layer, LocalResponseNorm):
        return "lrn", layer.size, layer.alpha, layer.beta, layer.k
    if isinstance(layer, MaxPool2d):
        return "pool", layer.kernel_size, layer.stride
    if isinstance(layer, Dropout):
        return ("scale", 1 - layer.p) if layer.scale_at == "test" else None
    if isinstance(layer, (ReLU, Flatten)):
        return (type(layer).__name__.lower(),)
    raise TrainingError(f"A layer of the kind {type(layer).__name__} cannot be exported.")


def _host(array):
    return np.asarray(to_host(array), np.float32)


def _pixels_mean(mean, side):
    """The centre of the mean image as (1, 3, side, side)."""
    top, left = (mean.shape[0] - side) // 2, (mean.shape[1] - side) // 2
    return np.ascontiguousarray(mean[None, top : top + side, left : left + side].transpose(0, 3, 1, 2), np.float32)


def to_onnx(net, mean, path):
    """Write `net` as an ONNX file: "pixels" (N, 3, H, W) float32, R, G, B from 0 to 255, the central crop -> "logits" (N, classes).

    The mean is subtracted in there. Raises TrainingError if the package onnx is not installed."""
    try:
        import onnx
        from onnx import helper, numpy_helper
    except ImportError:
        raise TrainingError("--to onnx needs the package onnx, which is not installed here: pip install onnx.") from None
    nodes, constants, side = [], [], net.image_size

    def constant(array):
        constants.append(numpy_helper.from_array(np.asarray(array, np.float32), f"constant{len(constants)}"))
        return constants[-1].name

    def node(kind, *inputs, **attributes):
        nodes.append(helper.make_node(kind, inputs, [f"{kind.lower()}{len(nodes)}"], **attributes))
        return nodes[-1].output[0]

    def emit(x, kind, *numbers):
        if kind == "conv":
            W, b, stride, (top, bottom, left, right) = numbers
            return node("Conv", x, constant(W), constant(b), strides=[stride] * 2, pads=[top, left, bottom, right])
        if kind == "linear":
            return node("Gemm", x, constant(numbers[0]), constant(numbers[1]), transB=1)
        if kind == "lrn":
            size, alpha, beta, k = numbers
            return node("LRN", x, size=size, alpha=alpha * size, beta=beta, bias=k)
        if kind == "pool":
            return node("MaxPool", x, kernel_shape=[numbers[0]] * 2, strides=[numbers[1]] * 2)
        if kind == "scale":
            return node("Mul", x, constant(numbers[0]))
        return node({"relu": "Relu", "flatten": "Flatten"}[kind], x)

    x = node("Mul", node("Sub", "pixels", constant(_pixels_mean(mean, side))), constant(net.input_scale))
    for stage in steps(net):
        ends = []
        for tower in stage:
            y = x
            for step in tower:
                y = emit(y, *step)
            ends.append(y)
        x = node("Concat", *ends, axis=1) if len(ends) > 1 else ends[0]
    nodes[-1].output[0] = "logits"
    ends = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        for name, shape in (("pixels", ["N", 3, side, side]), ("logits", ["N", net.num_classes]))
    ]
    graph = helper.make_graph(nodes, "AlexNet", ends[:1], ends[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8, producer_name="minigrad")
    onnx.checker.check_model(model)
    onnx.save(model, path)


def to_torch(net, mean, path):
    """Write `net` as a program of PyTorch (.pt2): torch.export.load(path).module()(pixels) takes and gives what `to_onnx` says.

    Raises TrainingError if PyTorch is not installed."""
    try:
        import torch
    except ImportError:
        raise TrainingError("--to torch needs PyTorch, which is not installed here: pip install torch.") from None
    nn = torch.nn

    class Scale(nn.Module):
        def __init__(self, factor):
            super().__init__()
            self.factor = factor

        def forward(self, x):
            return x * self.factor

    class Network(nn.Module):
        def __init__(self, stages):
            super().__init__()
            self.stages = nn.ModuleList(nn.ModuleList(nn.Sequential(*towers) for towers in stage) for stage in stages)
            self.register_buffer("mean", torch.from_numpy(_pixels_mean(mean, net.image_size)))

        def forward(self, pixels):
            x = (pixels - self.mean) * float(net.input_scale)
            for stage in self.stages:
                x = torch.cat([tower(x) for tower in stage], 1)
            return x

    def modules(kind, *numbers):
        if kind in ("conv", "linear"):
            W, b, *more = numbers
            if kind == "conv":
                stride, (top, bottom, left, right) = more
                module = nn.Conv2d(W.shape[1], W.shape[0], W.shape[2], stride)
            else:
                module = nn.Linear(W.shape[1], W.shape[0])
            with torch.no_grad():
                module.weight.copy_(torch.from_numpy(W))
                module.bias.copy_(torch.from_numpy(b))
            return [nn.ZeroPad2d((left, right, top, bottom)), module] if kind == "conv" else [module]
        if kind == "lrn":
            size, alpha, beta, k = numbers
            return [nn.LocalResponseNorm(size, alpha * size, beta, k)]
        if kind == "pool":
            return [nn.MaxPool2d(*numbers)]
        return [Scale(*numbers) if kind == "scale" else {"relu": nn.ReLU, "flatten": nn.Flatten}[kind]()]

    network = Network([[[m for step in tower for m in modules(*step)] for tower in stage] for stage in steps(net)]).eval()
    example = torch.zeros(2, 3, net.image_size, net.image_size)
    program = torch.export.export(network, (example,), dynamic_shapes=({0: torch.export.Dim("N")},))
    torch.export.save(program, path)
