"""Batches on their way to a GPU: while the caller works on one, the next is copied from pinned memory, on a stream of its own."""

from collections import deque
from contextlib import closing

import numpy as np


def pinned(device, shape, dtype):
    """An uninitialised NumPy array in memory that the system leaves where it is, so that a GPU reads it without the host. Raises
    MemoryError if there is no room for it."""
    count, dtype = int(np.prod(shape)), np.dtype(dtype)
    try:
        with device.gpu:
            memory = device.xp.cuda.alloc_pinned_memory(count * dtype.itemsize)
    except device.xp.cuda.runtime.CUDARuntimeError as error:
        raise MemoryError(f"no room for {count * dtype.itemsize:,} bytes of pinned memory: {error}") from error
    return np.frombuffer(memory, dtype, count).reshape(shape)


def one_ahead(device, batches):
    """Yields (images, labels) with the images on the GPU; see `Device.upload`."""
    coming = deque()
    try:
        with closing(batches):
            for images, labels in batches:
                coming.append((images, labels, *begun(device, images)))
                if len(coming) == 2:
                    yield from arrived(device, *coming.popleft())
            while coming:
                yield from arrived(device, *coming.popleft())
    finally:
        device.copies.synchronize()


def begun(device, images):
    """Begin to copy images to the GPU: the array they will be in, and the event of their arrival."""
    target = device.empty(images.shape, images.dtype)
    with device.gpu:
        done = device.xp.cuda.Event(disable_timing=True)
    device.copies.wait_event(device.record())  # the memory may still be in use by what the stream holds
    target.data.copy_from_host_async(images.ctypes.data, images.nbytes, device.copies)
    done.record(device.copies)
    return target, done


def arrived(device, images, labels, target, done):
    with device:
        device.stream.wait_event(done)
    yield target, labels
    done.synchronize()  # long past; only now may the memory of `images` be filled anew
