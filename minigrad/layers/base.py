"""What a layer is: `forward` computes y from x, `backward` computes dx from dy and leaves the gradients of the parameters.

Every layer but Linear, Flatten and the loss treats images one by one. Such a layer writes its arithmetic for a *slab* of a few images, and
several of them in a row take one slab through all of them while it is still in the processor's cache. Its twin for a GPU takes the whole
batch at once: kernels cut their work up themselves."""

import threading

import numpy as np

from minigrad.device import CPU, Device

TASKS = 16  # a batch is cut into so many tasks at most, whatever the number of threads: sums are the same on every machine
SLAB = 1 << 21  # bytes of the largest array between layers, so that a slab stays in cache, and is worth handing to a thread


class Parameter:
    """A named array that is learned. value: the live array; grad: the gradient of the last `backward`, of the same shape and dtype,
    None before the first; device: where both lie."""

    device = CPU

    def __init__(self, name, value, grad=None):
        self.name, self.value, self.grad = name, value, grad

    def __repr__(self):
        return f"{type(self).__name__}({self.name!r}, shape {tuple(self.value.shape)}, {self.value.dtype})"


class LayerParameter(Parameter):
    """A layer's own W or b: always the array that the layer uses now and the gradient it computed last."""

    def __init__(self, name, layer, attribute):
        self.name, self.layer, self.attribute = name, layer, attribute

    @property
    def device(self):
        return self.layer.device

    @property
    def value(self):
        return getattr(self.layer, self.attribute)

    @value.setter
    def value(self, array):
        setattr(self.layer, self.attribute, array)

    @property
    def grad(self):
        return getattr(self.layer, "d" + self.attribute)

    @grad.setter
    def grad(self, array):
        setattr(self.layer, "d" + self.attribute, array)

    def within(self, place):
        """The same parameter under the name "place.name"."""
        return LayerParameter(f"{place}.{self.name}", self.layer, self.attribute)


class Layer:
    """The contract of all layers.

    `forward` keeps what `backward` needs; `backward` overwrites the gradients and may be called again. Inputs are never written to, and
    parameters must not change between the two.
    float32 gives float32, float64 gives float64; other dtypes are a TypeError."""

    names = ()  # the attributes that hold parameters
    device = CPU
    training = True

    def __repr__(self):
        return f"{type(self).__name__}({self.arguments()})"

    def arguments(self):
        return ""

    def parameters(self):
        """Yields each `Parameter` of this layer."""
        for name in self.names:
            yield LayerParameter(name, self, name)

    def train(self, mode=True):
        """Switch to training, where Dropout drops."""
        self.training = mode
        return self

    def eval(self):
        """Switch to testing, where nothing is random."""
        return self.train(False)

    def to(self, device):
        """Move the parameters to a device: a `Device`, or its name. What the last passes left on another one is gone until the next."""
        device = device if isinstance(device, Device) else Device(device)
        if device.place != self.device.place:
            self.forget()
        self.device = device
        for p in self.parameters():
            p.value = device.asarray(p.value)
        return self

    def forget(self):
        """Let go of all that the last forward and backward left."""
        for p in self.parameters():
            p.grad = None

    def astype(self, dtype):
        """Convert the parameters, float32 or float64; gradients are gone until the next `backward`."""
        dtype = np.dtype(dtype)
        if dtype not in (np.float32, np.float64):
            raise TypeError(f"{type(self).__name__}: layers compute in float32 or float64, not {dtype}")
        with self.device:
            for p in self.parameters():
                p.value, p.grad = p.value.astype(dtype), None
        return self

    def check(self, x, name="x"):
        """x as an array of this device. Raises TypeError unless it holds float32 or float64, ValueError if it holds no image."""
        x = self.device.asarray(x)
        if x.dtype not in (np.float32, np.float64):
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
        if not done:
            raise RuntimeError(f"{type(self).__name__}: backward was called before forward")


class ImageLayer(Layer):
    """A layer that treats images independently. It defines

    output_shape((N, ...)) -> (N, ...)             checks the input's shape on the way
    forward_slab(x, first) -> y, kept              x: some images, `first`: the number of the first of them in the batch
    backward_slab(dy, kept) -> dx, gradients       gradients: a tuple, in the order of `names`, of this slab's images alone
    forward_cuda(x) -> y, kept                     the same for a whole batch on a GPU; x and dy are contiguous
    backward_cuda(dy, kept) -> dx, gradients"""

    call = None  # the memory of the last forward

    def forward(self, x):
        """x (N, ...) -> y (N, ...)."""
        return forward_slabs([self], x)

    def backward(self, dy):
        """dy, shaped as y -> dx, shaped as x."""
        return backward_slabs([self], dy)

    def begin(self):
        """Called once before each forward of a whole batch."""

    def gradients(self, sums):
        """The gradients of the parameters, from those of all slabs added up."""
        return sums

    def forget(self):
        self.call = None
        super().forget()


class Call:
    """What a layer remembers of one forward: shapes, dtype and what its backward needs, for each slab or for the whole batch."""

    def __init__(self, x_shape, y_shape, dtype, tasks=()):
        self.x_shape, self.y_shape, self.dtype, self.tasks = x_shape, y_shape, dtype, tasks
        self.kept = [[None] * len(slabs) for slabs in tasks]


def shares(start, stop, n):
    """n slices of nearly equal length from start to stop."""
    edges = [start + (stop - start) * i // n for i in range(n + 1)]
    return [slice(a, b) for a, b in zip(edges[:-1], edges[1:], strict=True)]


def cut(N, bytes_per_image):
    """The tasks of a batch of N images: a list of lists of slices, each slice a slab.

    The number of tasks depends on the work alone. It is a power of two, so that two, four or eight threads get equal shares, and a
    task is at least a slab, since handing it over has its price; but from two images on there are always two."""
    per_slab = max(1, SLAB // max(1, bytes_per_image))
    tasks = TASKS
    while tasks > 2 and N * bytes_per_image < tasks * SLAB:
        tasks //= 2
    parts = shares(0, N, min(tasks, N))
    return [shares(part.start, part.stop, -(-(part.stop - part.start) // per_slab)) for part in parts]


def forward_slabs(layers, x, place=lambda layer, error: error):
    """y of several image layers in a row. `place(layer, error)` may say more about where an error happened."""
    first = layers[0]
    with first.device:
        x, shapes = checked(layers, x, place)
        return (forward_whole if first.device.is_gpu else forward_cut)(layers, x, shapes)


def checked(layers, x, place):
    """x, and the shapes of x and of the output of every layer."""
    first = layers[0]
    shapes = []
    for layer in layers:
        try:
            if layer is first:
                x = layer.check(x)
                shapes.append(x.shape)
            shapes.append(layer.output_shape(shapes[-1]))
        except (TypeError, ValueError) as error:
            raise place(layer, error) from None
    return x, shapes


def forward_whole(layers, x, shapes):
    """On a GPU, layer by layer."""
    dtype, h = x.dtype, x
    for layer, x_shape, y_shape in zip(layers, shapes[:-1], shapes[1:], strict=True):
        layer.call = None
        call = Call(x_shape, y_shape, dtype)
        layer.begin()
        h, call.kept = layer.forward_cuda(h)
        layer.call = call
    return h.copy() if h is call.kept else h  # what comes back belongs to the caller


def forward_cut(layers, x, shapes):
    """On a CPU, slab by slab."""
    N, dtype, device = len(x), x.dtype, layers[0].device
    largest = max(int(np.prod(shape[1:], dtype=np.int64)) for shape in shapes)
    tasks = cut(N, largest * dtype.itemsize)
    for layer, x_shape, y_shape in zip(layers, shapes[:-1], shapes[1:], strict=True):
        layer.call = None  # free the last call's memory before this one asks for some
        layer.call = Call(x_shape, y_shape, dtype, tasks)
        layer.begin()
    y = device.empty(shapes[-1], dtype)

    def work(t):
        for s, images in enumerate(tasks[t]):
            h = x[images]
            for layer in layers:
                h, layer.call.kept[t][s] = layer.forward_slab(h, images.start)
            y[images] = h

    device.run(work, range(len(tasks)))
    return y


def backward_slabs(layers, dy):
    """dx of several image layers in a row, after their forward; their gradients are summed in the order of the images."""
    last, first = layers[-1], layers[0]
    for layer in reversed(layers):
        layer.check_forward(layer.call)
    with first.device:
        dy = last.check_dy(dy, last.call.y_shape, last.call.dtype)
        for layer in layers:
            for name in layer.names:
                setattr(layer, "d" + name, None)  # free the last gradients' memory before these ask for some
        return (backward_whole if first.device.is_gpu else backward_cut)(layers, dy)


def backward_whole(layers, dy):
    """On a GPU, layer by layer."""
    for layer in reversed(layers):
        dy, gradients = layer.backward_cuda(dy, layer.call.kept)
        for name, gradient in zip(layer.names, gradients, strict=True):
            setattr(layer, "d" + name, gradient.astype(getattr(layer, name).dtype, copy=False))
    return dy


def backward_cut(layers, dy):
    """On a CPU, slab by slab."""
    first, call = layers[0], layers[-1].call
    dtype, tasks = call.dtype, call.tasks
    wanted = getattr(first, "input_gradient", True)
    dx = first.device.empty(first.call.x_shape, dtype) if wanted else None

    totals, waiting, turn, lock = [None] * len(layers), {}, 0, threading.Lock()

    def work(t):
        nonlocal turn
        sums = [None] * len(layers)
        for s, images in enumerate(tasks[t]):
            d = dy[images]
            for i in reversed(range(len(layers))):
                d, gradients = layers[i].backward_slab(d, layers[i].call.kept[t][s])
                add(sums, i, gradients)
            if wanted:
                dx[images] = d
        with lock:  # whoever finds the next task's sums complete adds them: the order is that of the images, and few sums wait
            waiting[t] = sums
            while turn in waiting:
                for i, gradients in enumerate(waiting.pop(turn)):
                    add(totals, i, gradients)
                turn += 1

    first.device.run(work, range(len(tasks)))
    for layer, sums in zip(layers, totals, strict=True):
        for name, total in zip(layer.names, layer.gradients(sums), strict=True):
            value = getattr(layer, name)
            setattr(layer, "d" + name, np.ascontiguousarray(total.reshape(value.shape), value.dtype))
    return dx


def add(sums, i, gradients):
    """sums[i] += gradients, arrays one by one; the first are taken as they are."""
    if sums[i] is None:
        sums[i] = gradients
        return
    for total, gradient in zip(sums[i], gradients, strict=True):
        total += gradient
