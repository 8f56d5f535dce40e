"""A training step recorded as CUDA graphs: the host launches two of them in place of a hundred kernels and products. The first has forward
and the loss, the second backward and the update; between them the host looks at the loss, as in any step.

A graph is launched with the addresses and the numbers it was recorded with. So the memory it works in stays its own, and what is another in
each step comes by way of memory: the images are copied to where they were, and labels, learning rates and the step's number are written
where the graph itself fetches them."""

import weakref
from contextlib import suppress

import numpy as np

from minigrad.cuda.upload import pinned
from minigrad.interrupts import Whole


class CannotRecord(RuntimeError):
    """A step holds what a CUDA graph cannot hold. Nothing has changed."""


class Recorder:
    """Training steps of networks whose devices are all GPUs. step: `training.train_on_batch`, as which this one is called.

    The first step with batches of a shape is made as ever, so that kernels are compiled and memory is found; the second is recorded. The
    bits are those of `step`. Parameters and velocities are changed in place and have to stay the arrays they are; dropout's p, momentum and
    weight decay stay those of the recording; no gradients are left. Logits are a host array, which the next step overwrites. Raises what
    `step` raises, and CannotRecord."""

    def __init__(self, step):
        self.step, self.recorded, self.memory, self.pool = step, {}, [], None

    def __call__(self, net, loss, optimizer, x, labels, inspect=None):
        key = net, loss, optimizer, x.shape, x.dtype, net.training, *(rate == 0 for rate in optimizer.rates())
        recorded = self.recorded.get(key)
        if recorded is None:
            try:
                if key not in self.recorded:
                    made = self.step(net, loss, optimizer, x, labels, inspect)
                    self.recorded[key] = None
                    return made
                self.forget(net, loss)  # a graph makes all that it reads, but for weights and velocities
                with net.device.xp.cuda.using_allocator(self.pool_for(net).malloc):
                    recorded = self.recorded[key] = RecordedStep(net, loss, optimizer, x, labels)
            except MemoryError:
                if self.pool:
                    self.end()  # room for whoever says how much there is
                raise
            finally:
                self.forget(net, loss)  # what lies where graphs work, and what the others' memory pool holds for a step like this
                for device in net.towers.devices:
                    with device.gpu:
                        device.xp.get_default_memory_pool().free_all_blocks()
        return recorded(x, labels, inspect)

    def pool_for(self, net):
        """The graphs' own memory pool. It ends with this object, or when `end` is called."""
        if self.pool is None:
            cuda, gpus = net.device.xp.cuda, [device.gpu for device in net.towers.devices]
            self.pool = cuda.MemoryPool(kept_in(self.memory, cuda))
            self.end = weakref.finalize(self, give_back, self.recorded, self.memory, self.pool, gpus)
            self.end.atexit = False
        return self.pool

    def forget(self, net, loss):
        """Let go of all that steps leave behind."""
        net.forget()
        loss.release()
        for device in net.towers.devices:
            device.forget()

    def held(self, device):
        """Bytes of the graphs on a GPU."""
        return sum(memory.size for memory in self.memory if memory.device_id == device.index)


def kept_in(memory, cuda):
    """What gives a pool its memory, kept in a list: the pool may hand it out again, but never give it back, for graphs work there."""

    def allocate(size):
        memory.append(cuda.Memory(size))
        return cuda.MemoryPointer(memory[-1], 0)

    return allocate


def give_back(recorded, memory, pool, gpus):
    """Let go of all graphs, and then of the memory that they worked in: a pool that is forgotten before its blocks are free keeps them."""
    recorded.clear()
    memory.clear()
    for gpu in gpus:
        with gpu:
            pool.free_all_blocks()


class RecordedStep:
    """A step with batches of that shape, recorded; called with images and labels it is made."""

    def __init__(self, net, loss, optimizer, x, labels):
        self.net, self.loss, self.optimizer, self.devices = net, loss, optimizer, list(net.towers.devices)
        self.first, *self.others = self.devices
        self.shape = net.output_shape(x.shape)
        self.images = self.first.empty(x.shape, x.dtype)
        self.logits, self.losses = pinned(self.first, self.shape, x.dtype), pinned(self.first, self.shape[:1], x.dtype)
        rates = [(dtype, dtype, 2) for dtype in ("float32", "float64")]  # of weights and of biases
        self.numbers = pinned(self.first, (), [("labels", "int64", len(labels)), ("step", "uint64"), *rates])
        step = net.step
        try:
            with net.towers.entered(), self.first:
                self.forward = self.graph(self.tell_forward)
                self.backward = self.graph(self.tell_backward)
        finally:
            net.step = step
            for device in self.devices:
                device.changing = {}
        self.changed = [p.value for p in optimizer.parameters] + optimizer.velocities  # kept, for the graphs know their addresses alone

    def graph(self, tell):
        """A graph of what tell() tells the devices. It begins and ends on the stream of the first, from which the others' part and which
        they join."""
        stream = self.first.stream
        stream.begin_capture()
        try:
            for device in self.others:
                device.stream.wait_event(self.first.record())
            tell()
            for device in self.others:
                stream.wait_event(device.record())
            return stream.end_capture()
        except BaseException as error:
            with suppress(RuntimeError):  # for what the error has spoiled has no end
                stream.end_capture()
            if isinstance(error, RuntimeError):
                why = f"{type(error).__name__}: {error}"
                raise CannotRecord(f"A training step cannot be recorded as CUDA graphs here ({why}): make it without --graph.") from error
            raise

    def tell_forward(self):
        """Up to the loss, whose parts and the logits are copied to the host."""
        first, layout = self.first, self.numbers.dtype
        numbers = first.empty((self.numbers.nbytes,), np.uint8)
        self.copy(numbers.data.ptr, self.numbers.ctypes.data, numbers.nbytes)
        self.told = [first.send(numbers, device) for device in self.devices]  # kept: the graphs read them to their end
        for device, there in zip(self.devices, self.told, strict=True):
            device.changing = {name: there.data.ptr + layout.fields[name][1] for name in layout.names}
        logits = self.net.forward(self.images)
        losses = self.loss.forward_cuda(logits, first.xp.ndarray(self.shape[:1], np.int64, numbers.data))
        for there, here in ((losses, self.losses), (logits, self.logits)):
            self.copy(here.ctypes.data, there.data.ptr, here.nbytes)

    def copy(self, target, source, nbytes):
        """A copy between the host's pinned memory and the GPU, by their addresses: CuPy's arrays refuse to be copied while a stream
        captures."""
        runtime = self.first.xp.cuda.runtime
        runtime.memcpyAsync(target, source, nbytes, runtime.memcpyDefault, self.first.stream.ptr)

    def tell_backward(self):
        self.net.backward(self.loss.backward())
        self.optimizer.step()

    def __call__(self, x, labels, inspect=None):
        net, first, stream, numbers = self.net, self.first, self.first.stream, self.numbers
        labels = self.loss.checked(labels, self.shape)
        with Whole(), net.towers.entered(), first:
            x = first.asarray(x)
            self.images.data.copy_from_device_async(x.data, x.nbytes, stream)
            numbers["labels"], numbers["step"] = labels, net.step
            numbers["float32"] = numbers["float64"] = self.optimizer.rates()
            for device in self.others:
                stream.wait_event(device.record())
            self.forward.launch(stream)
            stream.synchronize()  # so that losses are there, and numbers have been fetched
            value, logits = float(self.losses.mean()), self.logits
            if inspect is not None:
                logits = inspect(value, logits)
            net.step += 1
            self.backward.launch(stream)
            for device in self.others:
                device.stream.wait_event(first.record())
        return value, logits
