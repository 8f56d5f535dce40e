"""The subject: the layer under examination, converted to float64 and with random parameters. Its code is called from here only.

Also its input, a `Draw`, and its output, the `Results` of a pass: one forward and one backward."""

import copy
import dataclasses

import numpy as np

from minigrad.gradcheck.comparison import distance, first_index
from minigrad.gradcheck.interruptions import Blank, Raised, Stopped


@dataclasses.dataclass
class Results:
    """What a pass gives: y, and for each tensor a copy of its gradient, or None."""

    y: np.ndarray
    gradients: dict

    def differing(self, expected, tolerance=1e-12):
        """The first of "y" and the tensors' names where these results differ from others, or None."""
        mine, theirs = {"y": self.y} | self.gradients, {"y": expected.y} | expected.gradients
        return next((name for name in theirs if not distance(mine.get(name), theirs[name]) <= tolerance), None)


@dataclasses.dataclass
class Draw:
    """An input and the dy of its output.

    x: float64, (N, ...). args: further arguments of forward. dy: of the shape of y, 1 for a loss; loss: whether y is a number;
    `Subject.accept_output` sets both. number: 0 or 1. results: of the first pass; comparable: the tensors whose gradients have there
    the right shape and hold numbers."""

    x: np.ndarray
    args: list
    dy: np.ndarray | float = 1.0
    loss: bool = False
    number: int = 0
    results: Results | None = None
    comparable: tuple = ()

    def variant(self, x, dy):
        """A draw of the same kind with another x and dy of the same shapes."""
        return Draw(x, self.args, dy, self.loss)


class Subject:
    """Makes instances of the layer and calls their methods; turns what these raise into Blank, Stopped or Raised.

    make: a function without arguments that gives a layer. wrt_x: whether backward has to give a gradient of x. name: the layer's class.
    base: the instance of which `fresh` makes copies. attempts: parameter's name -> how often other values were chosen for it.
    evaluations: how often forward was called. random: whether two forwards of one instance differ."""

    def __init__(self, make, wrt_x, seed):
        self.make, self.wrt_x, self.seed, self.name = make, wrt_x, seed, ""
        self.base, self.attempts, self.evaluations, self.random = None, {}, 0, False

    def call(self, what, function, *arguments):
        try:
            return function(*arguments)
        except NotImplementedError as blank:
            raise Blank(str(blank) or f"{what} is not written yet") from None
        except (Blank, Stopped, Raised):
            raise
        except Exception as error:
            raise Raised(what, error) from None

    # Instances.

    def new(self, shift=0):
        """A new instance with random parameters from N(0, 1) / sqrt(fan-in), so that no bias is 0 or 1. shift: 1 for another set of values.

        Raises TypeError if it has no forward or backward."""
        layer = self.call("the constructor", self.make)
        for method in ("forward", "backward"):
            if not callable(getattr(layer, method, None)):
                raise TypeError(f"check_layer: a layer needs forward and backward, but {type(layer).__name__} has no {method}")
        self.name = type(layer).__name__
        layer, names = self.astype(layer, np.float64), {"x", "y"}
        for p in self.parameters(layer):
            if not isinstance(p.name, str) or p.name in names:
                words = f"parameters() yields the name {p.name!r} twice, or it stands for the input or output."
                raise Stopped("contract", "parameters", str(p.name), words)
            kind = getattr(p.value, "dtype", type(p.value).__name__)
            if not isinstance(p.value, np.ndarray) or not np.issubdtype(p.value.dtype, np.floating):
                raise Stopped("contract", "parameters", p.name, f"{p.name} must be an array of floats, but is {kind}.")
            if kind != np.float64:
                raise Stopped("dtype", "precision", p.name, f"{p.name} is {kind} after astype(float64).")
            names.add(p.name)
            rng = np.random.default_rng((self.seed, 10 + shift, len(names), self.attempts.get(p.name, 0)))
            values = rng.standard_normal(p.value.shape) / np.sqrt(max(1, np.prod(p.value.shape[:-1])))
            self.call(f"writing into {p.name}", np.copyto, p.value, values)
        return layer

    def copy(self, layer):
        return self.call("a deep copy of the layer", copy.deepcopy, layer)

    def fresh(self):
        """A copy of `base`: the same parameters and the same random state."""
        return self.copy(self.base)

    def astype(self, layer, dtype):
        converted = self.call("astype", layer.astype, dtype) if hasattr(layer, "astype") else layer
        return layer if converted is None else converted

    # What is asked of an instance.

    def parameters(self, layer):
        found = self.call("parameters", lambda: list(layer.parameters())) if hasattr(layer, "parameters") else []
        if not all(hasattr(p, field) for p in found for field in ("name", "value")):
            raise Stopped("contract", "parameters", "", "parameters() must yield objects with name, value and grad.")
        return found

    def tensors(self, layer, draw):
        """name -> the array in use, for x and every parameter."""
        return ({"x": draw.x} if self.wrt_x else {}) | {p.name: p.value for p in self.parameters(layer)}

    def forward(self, layer, x, draw):
        self.evaluations += 1
        y = self.call("forward", layer.forward, x, *copy.deepcopy(draw.args))
        if y is None or y is ...:
            raise Blank(f"forward returns {y}: it is not written yet")
        return y

    def accept_output(self, y, draw):
        """Choose a random dy for this output. Stops the examination if y is no array of finite float64 numbers, nor such a number."""
        kind = getattr(y, "dtype", type(y).__name__)
        if not isinstance(y, (np.ndarray, np.generic, float)) or not np.issubdtype(np.asarray(y).dtype, np.floating):
            words = f"forward returns {kind}, where an array of floats is expected, or the loss as a number."
            raise Stopped("contract", "shape", "y", words)
        y = np.asarray(y)
        if y.dtype != np.float64:
            raise Stopped("dtype", "precision", "y", f"float64 went in, but y is {kind}.")
        if not np.isfinite(y).all():
            index = first_index(~np.isfinite(y))
            raise Stopped("contract", "not-finite", "y", f"y holds {y[index]}, first at {index}.")
        draw.loss = y.ndim == 0
        if not draw.loss:
            draw.dy = np.random.default_rng((self.seed, 2 + draw.number)).standard_normal(y.shape)

    def backward(self, layer, dy, draw):
        dx = self.call("backward", layer.backward) if draw.loss else self.call("backward", layer.backward, dy)
        if dx is ... or (dx is None and self.wrt_x):
            raise Blank(f"backward returns {dx}: it is not written yet")
        return dx

    def gradients(self, layer, dx):
        """name -> a copy of the tensor's gradient, or None. parameters() is called again: backward may have made new arrays."""
        found = {"x": dx} if self.wrt_x else {}
        found |= {p.name: self.call("grad", getattr, p, "grad", None) for p in self.parameters(layer)}
        return {name: None if gradient is None else copied(gradient) for name, gradient in found.items()}

    def backward_gradients(self, layer, draw):
        """The gradients of one backward with the draw's dy."""
        return self.gradients(layer, self.backward(layer, copied(draw.dy), draw))

    def one_pass(self, layer, draw, dtype=np.float64, layout=np.array, factor=1.0):
        """The `Results` of forward and backward, with x and factor * dy in another dtype or memory layout (a function of an array)."""
        y = copied(self.forward(layer, layout(draw.x.astype(dtype)), draw))
        dy = None if draw.loss else layout((factor * draw.dy).astype(dtype))
        return Results(y, self.gradients(layer, self.backward(layer, dy, draw)))


def copied(array):
    """A copy of an array or of a number; anything else becomes an empty array of objects, which stands for what is no gradient."""
    return np.array(array) if isinstance(array, (np.ndarray, np.generic, float)) else np.empty((), object)


def gradient_name(tensor):
    """What the gradient of a tensor is called: "dx" for "x", "tower0.conv1.dW" for "tower0.conv1.W"; y stands for itself."""
    prefix, dot, name = tensor.rpartition(".")
    return tensor if tensor == "y" else f"{prefix}{dot}d{name}"
