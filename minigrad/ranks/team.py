"""A team: neighbouring ranks, best of one machine, that share the fully connected layers of a network (minigrad/hybrid.py)."""

import numpy as np


class Team:
    """So many ranks of `MpiRanks`, of which this one is number `rank`. Ranks that have the same number in different teams have the same
    columns of each layer: `others` are the communicator of those.

    sent: bytes of activations, and of gradients with respect to them, that this rank has sent to the others of its team."""

    def __init__(self, ranks, size):
        self.ranks, self.first = ranks, ranks.rank < size
        self.comm, self.others = ranks.comm.Split(ranks.rank // size), ranks.comm.Split(ranks.rank % size)
        self.rank, self.size, self.sent = self.comm.rank, self.comm.size, 0

    def all(self, value):
        """A list of the value of every rank of the team."""
        return self.ranks.call(self.comm.allgather, value, comm=self.comm)

    def swap(self, parts, shapes):
        """Send parts[i], an array of the host, to rank i of the team, which sends one of shapes[i]: a list of what has come from all, this
        rank's own included."""
        arrived = [np.empty(shape, parts[0].dtype) for shape in shapes]
        arrived[self.rank] = parts[self.rank]
        self.sent += sum(part.nbytes for part in parts) - parts[self.rank].nbytes
        self.ranks.call(self.exchange, [np.ascontiguousarray(part) for part in parts], arrived, comm=self.comm)
        return arrived

    def exchange(self, parts, arrived):
        others = [rank for rank in range(self.size) if rank != self.rank]
        coming = [self.comm.Irecv(arrived[rank], rank) for rank in others]
        self.ranks.MPI.Request.Waitall(coming + [self.comm.Isend(parts[rank], rank) for rank in others])

    def whole(self, array):
        """An array of the host with the columns of all ranks side by side, on the first rank of the first team; None on all others."""
        if not self.first:
            return None
        parts = self.ranks.call(self.comm.gather, array, comm=self.comm)
        return None if parts is None else np.concatenate(parts, axis=-1)
