"""A trained network as an ONNX file, which many runtimes take."""

import numpy as np

from minigrad.commands.export.layout import pixels_mean, steps
from minigrad.training import TrainingError

OPSET = 17  # of ONNX


def write(net, mean, path):
    """Write `net` as an ONNX file: "pixels" (N, 3, H, W) float32, R, G, B from 0 to 255, the central crop -> "logits" (N, classes).

    The mean (H, W, 3) is subtracted in there; without one, None, the pixels are those that `net` itself takes. Raises TrainingError if the
    package onnx is not installed."""
    try:
        import onnx
        from onnx import helper
    except ImportError:
        raise TrainingError("--to onnx needs the package onnx, which is not installed here: pip install onnx.") from None
    graph, side = _Graph(onnx), net.image_size
    x = "pixels"
    if mean is not None:
        x = graph.node("Mul", graph.node("Sub", x, graph.constant(pixels_mean(mean, side))), graph.constant(net.input_scale))
    for stage in steps(net):
        ends = []
        for tower in stage:
            y = x
            for step in tower:
                y = graph.emit(y, *step)
            ends.append(y)
        x = graph.node("Concat", *ends, axis=1) if len(ends) > 1 else ends[0]
    graph.nodes[-1].output[0] = "logits"
    ends = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        for name, shape in (("pixels", ["N", 3, side, side]), ("logits", ["N", net.num_classes]))
    ]
    made = helper.make_graph(graph.nodes, type(net).__name__, ends[:1], ends[1:], graph.constants)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8, producer_name="minigrad")
    onnx.checker.check_model(model)
    onnx.save(model, path)


class _Graph:
    """The nodes and constants of an ONNX graph; arrays are known by their names."""

    def __init__(self, onnx):
        self.onnx, self.nodes, self.constants = onnx, [], []

    def constant(self, array):
        """The name of a new constant."""
        name = f"constant{len(self.constants)}"
        self.constants.append(self.onnx.numpy_helper.from_array(np.asarray(array, np.float32), name))
        return name

    def node(self, kind, *inputs, **attributes):
        """The name of the output of a new node."""
        self.nodes.append(self.onnx.helper.make_node(kind, inputs, [f"{kind.lower()}{len(self.nodes)}"], **attributes))
        return self.nodes[-1].output[0]

    def emit(self, x, kind, *numbers):
        """The output of a layer with input x; kind and numbers as in `steps`."""
        match kind:
            case "conv":
                W, b, stride, (top, bottom, left, right) = numbers
                return self.node("Conv", x, self.constant(W), self.constant(b), strides=[stride] * 2, pads=[top, left, bottom, right])
            case "linear":
                return self.node("Gemm", x, self.constant(numbers[0]), self.constant(numbers[1]), transB=1)
            case "lrn":
                size, alpha, beta, k = numbers
                return self.node("LRN", x, size=size, alpha=alpha * size, beta=beta, bias=k)  # ONNX divides alpha by the size
            case "pool":
                return self.node("MaxPool", x, kernel_shape=[numbers[0]] * 2, strides=[numbers[1]] * 2)
            case "dropout":
                p, scale_at = numbers
                return self.node("Mul", x, self.constant(1 - p)) if scale_at == "test" else x
        return self.node(kind.capitalize(), x)  # Relu, Tanh, Flatten
