"""What a layer is: `forward` computes y from x, `backward` computes dx from dy and leaves the gradients of the parameters.

Every layer but Linear, Flatten and the loss treats images one by one. Such a layer writes its arithmetic for a *slab* of a few images, so
that several of them in a row can take one slab through all of them while it is still in the processor's cache (engine/slabs.py). Its twin
for a GPU takes the whole batch at once: kernels cut their work up themselves."""

import copy

import numpy as np

from minigrad.device import CPU, Device
from minigrad.interrupts import Whole
from minigrad.layers import chain
from minigrad.layers.parameter import LayerParameter, inside

FLOATS = np.dtype("float32"), np.dtype("float64")  # what layers compute in


class Layer:
    """The contract of all layers.

    forward(x) -> y keeps what backward needs; backward(dy) -> dx overwrites the gradients of the parameters, and may be called again with
    the same result. dy has the shape and dtype of y, dx those of x. Neither x, dy nor the parameters are ever written to, and parameters
    must not change between the two. float32 gives float32, float64 gives float64.

    Both raise TypeError for other dtypes and ValueError for shapes that do not fit; backward before forward is a RuntimeError."""

    names = ()  # the attributes that hold parameters
    device = CPU
    training = True
    is_relu = is_norm = False
    takes_relu = takes_norm = False  # whether an ImageLayer's `relu` and `norm` may be set
    before_relu = False  # whether a ReLU before this layer may as well come behind it
    remembers = True  # False while `infer` is at work: forward then keeps nothing for backward
    least_tasks = 2  # of a batch, from two images on; 1 where other towers beside this one keep other threads busy
    owned = None  # where processes share this layer, which of its outputs this one has (minigrad/hybrid.py)
    input_gradient = True  # False for the first layers of a network: nothing needs the gradient of the images

    def __repr__(self):
        return f"{type(self).__name__}({self.arguments()})"

    def arguments(self):
        return ""

    def children(self):
        """Yields (name, layer) of each layer inside this one."""
        return iter(())

    def parameters(self):
        """Yields each `Parameter` of this layer and of those inside it."""
        for name in self.names:
            yield LayerParameter(name, self, name)
        for name, layer in self.children():
            yield from inside(name, layer)

    def own_parameters(self):
        """A list of the parameters that belong to no layer inside this one."""
        inner = {p.name for name, layer in self.children() for p in inside(name, layer)}
        return [p for p in self.parameters() if p.name not in inner]

    def train(self, mode=True):
        """Switch to training, where Dropout drops. Returns self."""
        if not mode:
            self.release()
        self.training = mode
        for _, layer in self.children():
            layer.train(mode)
        return self

    def eval(self):
        """Switch to test mode, where nothing is random; what the last forward kept for backward is let go. Returns self."""
        return self.train(False)

    def infer(self, x):
        """forward(x), for those who will not call backward: nothing is kept for it, so that no more memory is taken than the layer at work
        needs. The numbers are those of `forward`, and in training so are Dropout's masks. Raises what `forward` raises."""
        try:
            try:
                self.remember(False)
                return self.forward(x)
            finally:
                self.end_inference()
        finally:
            self.end_inference()  # again, for a Ctrl-C that comes where the first begins

    def end_inference(self):
        with Whole():
            self.remember(True)
            self.release()

    def remember(self, remembers):
        self.remembers = remembers
        for _, layer in self.children():
            layer.remember(remembers)

    def stand_beside(self, towers):
        """Told by `Towers`: so many towers of the same work are side by side, this layer in one of them."""
        self.least_tasks = 2 if towers == 1 else 1
        for _, layer in self.children():
            layer.stand_beside(towers)

    def to(self, device):
        """Move the parameters to a device: a `Device`, or its name. Gradients of another device are gone until the next `backward`.

        Returns self. Raises ValueError for a device that does not exist."""
        device = device if isinstance(device, Device) else Device(device)
        for _, layer in self.children():
            layer.to(device)
        if device.memory_space != self.device.memory_space:
            self.forget()
        self.device = device
        for p in self.own_parameters():
            p.value = device.asarray(p.value)
        return self

    def __getstate__(self):
        """What a file or another process is given: all but what the last forward and backward left."""
        state = object.__new__(type(self))
        vars(state).update(vars(self))
        if not list(self.children()):  # those inside do it themselves
            state.release()
            for name in self.names:
                setattr(state, "d" + name, None)
        return vars(state)

    def __deepcopy__(self, memo):
        """A copy in memory has that, too: its backward is that of the same forward."""
        twin = memo[id(self)] = object.__new__(type(self))
        vars(twin).update(copy.deepcopy(vars(self), memo))
        return twin

    def release(self):
        """Let go of what the last forward kept for backward."""
        for _, layer in self.children():
            layer.release()

    def forget(self):
        """Let go of all that the last forward and backward left, gradients included."""
        self.release()
        for p in self.own_parameters():
            p.grad = None
        for _, layer in self.children():
            layer.forget()

    def astype(self, dtype):
        """Convert the parameters to float32 or float64; gradients are gone until the next `backward`. Returns self.

        Raises TypeError for another dtype."""
        dtype = np.dtype(dtype)
        if dtype not in (np.float32, np.float64):
            raise TypeError(f"{type(self).__name__}: layers compute in float32 or float64, not {dtype}")
        for _, layer in self.children():
            layer.astype(dtype)
        with self.device:
            for p in self.own_parameters():
                p.value, p.grad = p.value.astype(dtype), None
        return self

    def check(self, x, name="x"):
        """x as an array of this device. Raises TypeError unless it holds float32 or float64, ValueError if it holds no image."""
        x = self.device.asarray(x)
        if x.dtype not in FLOATS:
            raise TypeError(f"{type(self).__name__}: {name} must be float32 or float64, not {x.dtype}")
        if x.ndim == 0 or len(x) == 0:
            raise ValueError(f"{type(self).__name__}: {name} must hold at least one image, but has shape {x.shape}")
        return x

    def check_dy(self, dy, shape, dtype):
        """dy as an array of the dtype of x. Raises ValueError unless it has the shape of y."""
        dy = self.check(dy, "dy")
        if dy.shape != shape:
            raise ValueError(f"{type(self).__name__}: dy has shape {dy.shape}, but y had {shape}")
        return dy.astype(dtype, copy=False)

    def check_forward(self, done):
        """Raises RuntimeError unless a forward is done whose backward this could be."""
        if not done:
            raise RuntimeError(f"{type(self).__name__}: backward was called before forward")

    def multiply_adds(self, x_shape):
        """The multiply-adds of a forward of an x of that shape (N, ...)."""
        return 0

    def keeps(self):
        """What a forward keeps for backward on a GPU: "x", "y", "winners" (a byte for each number of y), or "" for next to nothing."""
        return ""

    def unfolded(self, x_shape):
        """The bytes that a GPU makes of a float32 x of that shape (N, ...), to multiply them by the weights; 0: it takes x itself."""
        return 0


class ImageLayer(Layer):
    """A layer that treats images independently. It defines

    output_shape((N, ...)) -> (N, ...)             checks the input's shape on the way
    forward_slab(x, first) -> y, kept              x: some images, `first`: the number of the first of them in the batch
    backward_slab(dy, kept) -> dx, gradients       gradients: a tuple, in the order of `names`, of this slab's images alone
    forward_cuda(x) -> y, kept                     the same for a whole batch on a GPU; x and dy are contiguous
    backward_cuda(dy, kept) -> dx, gradients

    kept: whatever backward needs. On a CPU the first two run on several threads at a time."""

    call = None  # what the last forward left for backward, a `chain.Call`
    relu = False  # whether in this forward a GPU's kernels take in the ReLU before this layer: they read max(x, 0) in place of x
    norm = None  # the struct `Lrn` of the normalisation before this layer, where its kernels take that in

    def output_shape(self, shape):
        """The shape (N, ...) of y for an x of that shape. Raises ValueError for an x that does not fit."""
        return tuple(shape)

    def forward(self, x):
        """x (N, ...) -> y (N, ...), float32 or float64 like x. Raises TypeError and ValueError for what does not fit."""
        return chain.forward([self], x)

    def backward(self, dy):
        """dy, shaped as y -> dx, shaped as x. Raises RuntimeError without a forward before, ValueError for another shape."""
        return chain.backward([self], dy)

    def begin(self, x_shape, y_shape, dtype):
        """Called once before each forward of a whole batch."""

    def begin_backward(self):
        """Called once before each backward of a whole batch on a CPU."""

    def gradients(self, sums):
        """The gradients of the parameters, from those of all slabs added up."""
        return sums

    def release(self):
        self.call = None
