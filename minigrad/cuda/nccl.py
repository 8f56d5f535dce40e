"""Gradients of several processes' GPUs added up by NCCL: from GPU to GPU, on a stream of its own beside that of each GPU, so that they
travel while backward goes on. It waits for gradients, and weights for it, by events; the host waits for neither."""

import os

from minigrad.cuda import find


def available(devices):
    """Whether all of these devices are GPUs, and CuPy has NCCL."""
    return all(device.is_gpu and getattr(device.xp.cuda, "nccl", None) is not None for device in devices)


def bus(device):
    """What a GPU is called by its machine, however its processes number theirs."""
    return device.xp.cuda.runtime.deviceGetPCIBusId(device.index)


def buses():
    """That of all GPUs which this process sees, in their order; an empty list where none can be used."""
    try:
        cupy, count = find()
    except ValueError:
        return []
    return [cupy.cuda.runtime.deviceGetPCIBusId(index) for index in range(count)]


class Nccl:
    """One communicator for each GPU of this process: number i of every rank belong together, as they hold the same towers.

    devices: those of the towers, in order. told(work): what work() returns on rank 0."""

    def __init__(self, devices, size, rank, told):
        os.environ.setdefault("NCCL_NVLS_ENABLE", "0")  # sums that switches make differ from call to call (NVIDIA/nccl issue 1497)
        cuda = devices[0].xp.cuda
        self.nccl, self.wires, self.waiting = cuda.nccl, {}, set()
        for device in {device.index: device for device in devices}.values():
            identity = told(self.nccl.get_unique_id)
            with device.gpu:  # communicators, streams and events belong to the device that is current when they are made
                communicator = self.nccl.NcclCommunicator(size, identity, rank)
                self.wires[device.index] = communicator, cuda.Stream(non_blocking=True), cuda.Event(disable_timing=True)

    def add(self, parameters):
        """Begin to sum the gradients of a list of parameters over all ranks, in place."""
        for device in dict.fromkeys(p.device for p in parameters):
            self.wires[device.index][1].wait_event(device.record())  # the gradients are there
            self.waiting.add(device)
        self.nccl.groupStart()  # one launch for all; and a single thread that drives several GPUs must not wait for one of them
        for p in parameters:
            communicator, stream, _ = self.wires[p.device.index]
            kind = {"float32": self.nccl.NCCL_FLOAT32, "float64": self.nccl.NCCL_FLOAT64}[p.grad.dtype.name]
            communicator.allReduce(p.grad.data.ptr, p.grad.data.ptr, p.grad.size, kind, self.nccl.NCCL_SUM, stream.ptr)
        self.nccl.groupEnd()

    def finish(self):
        """What the devices do from now on comes after all sums."""
        for device in self.waiting:
            _, stream, done = self.wires[device.index]
            done.record(stream)
            device.stream.wait_event(done)
        self.waiting.clear()
