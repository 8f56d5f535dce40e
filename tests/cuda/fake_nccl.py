"""A stand-in for cupy.cuda.nccl between the fake GPUs (tests/cuda/fake) of several processes: the same names and arguments as CuPy's.

It takes what the array holds once the stream it is given has come that far, MPI adds it up, and the sum is copied back by that stream. So
whoever does not wait for the gradients sends others, and whoever does not wait for the sums does not see them."""

import ctypes
import types

import cupy
import numpy as np
from mpi4py import MPI

KINDS = {7: np.float32, 8: np.float64}
TO_DEVICE = 1  # cudaMemcpyHostToDevice
group, world, kept = [], None, []  # sums that have been asked for in this group; the ranks; memory that copies are made from


class NcclCommunicator:
    def __init__(self, ndev, commId, rank):
        global world
        world = world or MPI.COMM_WORLD.Dup()
        assert len(commId) == 128 and ndev == world.size and rank == world.rank
        self.device = cupy.cuda.Device().id

    def allReduce(self, sendbuf, recvbuf, count, datatype, op, stream):
        assert sendbuf == recvbuf and op == 0 and datatype in KINDS
        group.append((self.device, recvbuf, count, np.dtype(KINDS[datatype]), stream))


def group_end():
    for device, pointer, count, dtype, stream in group:
        memory = cupy.cuda.alloc_pinned_memory(count * dtype.itemsize)
        array = np.frombuffer(memory, dtype, count)
        with cupy.cuda.Device(device):
            cupy.cuda.runtime.streamSynchronize(stream)
            ctypes.memmove(array.ctypes.data, pointer, array.nbytes)
            world.Allreduce(MPI.IN_PLACE, array)
            cupy.cuda.runtime.memcpyAsync(pointer, array.ctypes.data, array.nbytes, TO_DEVICE, stream)
        kept.append(memory)
    group.clear()


def install(nccl, own_gpus):
    """Give CuPy names of its GPUs and, if nccl, the stand-in. own_gpus: each process has GPUs of its own, as on machines of its own."""
    cupy.cuda.runtime.deviceGetPCIBusId = lambda device: f"0000:{MPI.COMM_WORLD.rank if own_gpus else 0}{device}:00.0"
    stand_in = types.SimpleNamespace(
        get_unique_id=lambda: (0,) * 128,
        NcclCommunicator=NcclCommunicator,
        groupStart=lambda: None,
        groupEnd=group_end,
        NCCL_FLOAT32=7,
        NCCL_FLOAT64=8,
        NCCL_SUM=0,
    )
    cupy.cuda.nccl = stand_in if nccl else None
