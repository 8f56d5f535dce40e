"""Ranks that an MPI launcher has started."""

import contextlib
import io
import os
import pickle
import socket
import sys
import time
import traceback
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet  # Python 3.10's is not the built-in one

import numpy as np

from minigrad.cuda import nccl
from minigrad.ranks.alone import RankError, Ranks
from minigrad.ranks.team import Team

PATIENCE = 5  # seconds in which a rank waits for what others have to say: of an error, that it is theirs, too
SPIN = 2e-4  # seconds in which a rank looks for the others without a pause; later it pauses, for a twentieth of what it has waited
SILENCE = 60  # seconds without a rank that the others wait for, before they say so
WAITING, FAILED = 1, 2  # tags of notes


class MpiRanks(Ranks):
    """One of the processes of an mpi4py communicator. Whatever all take part in goes through one thread, in the order of the program, which
    is the same on every rank: so gradients travel while others are computed. (MPI moves data inside its calls alone.)"""

    def __init__(self, comm, MPI):
        self.comm, self.MPI, self.rank, self.size = comm, MPI, comm.rank, comm.size
        self.last, self.notes = comm.Dup(), comm.Dup()  # for the end of `run`, and for what is told in passing
        self.hosts = comm.allgather(socket.gethostname())
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="minigrad-ranks")
        self.under_way, self.sent, self.nccl, self.team = [], [], None, None
        self.summed = Counter()  # bytes of gradients by the number of ranks that they were summed over
        self.heard = {WAITING: {}, FAILED: {}}
        self.screen = sys.stderr

    def deal(self, device, towers):
        """Raises RankError on all ranks where some see fewer GPUs than there are of them."""
        if device != "auto":
            return device
        error, everybody = None, self.all(nccl.buses())
        gpus = everybody[self.rank]
        peers = [rank for rank in range(self.size) if (self.hosts[rank], everybody[rank]) == (self.hosts[self.rank], gpus)]
        if 0 < len(gpus) < len(peers):
            fewer = f"{len(gpus)} GPU{'s' * (len(gpus) > 1)} for {len(peers)} processes"
            error = RankError(f"{self.hosts[self.rank]} has {fewer}: start as many as there are GPUs, or name a --device.")
        error = self.first(error)
        if error is not None:
            raise error
        place, names = peers.index(self.rank), list(map(str, range(len(gpus))))
        return ",".join(names[len(gpus) * place // len(peers) : len(gpus) * (place + 1) // len(peers)][:towers]) or "cpu"

    def use(self, devices):
        """Raises RankError if two ranks have the same GPU, which NCCL cannot do."""
        counts = self.all(len({device.index for device in devices}) if nccl.available(devices) and self.team is None else 0)
        if 0 in counts or len(set(counts)) > 1:
            gpus = any(self.all(any(device.is_gpu for device in devices)))
            return "gradients of GPUs go through host memory" if gpus else "gradients go by MPI"
        owners = {}
        for rank, buses in enumerate(self.all(sorted({nccl.bus(device) for device in devices}))):
            for bus in buses:
                other = owners.setdefault((self.hosts[rank], bus), rank)
                if other != rank:
                    raise RankError(
                        f"Ranks {other} and {rank} would both use the GPU {bus} of {self.hosts[rank]}: start no more processes than there "
                        "are GPUs, with --device auto."
                    )
        self.nccl = nccl.Nccl(devices, self.size, self.rank, self.told)
        return "gradients go from GPU to GPU by NCCL"

    def divide(self, size):
        if self.size % size or size < 2:
            raise RankError(f"{self.size} processes cannot be {size} to a team: their number must be a multiple of it, and it at least 2.")
        self.team = Team(self, size)

    @property
    def traffic(self):
        """Bytes that this rank has sent so far: of gradients, if they are summed in rings, and of activations."""
        rings = sum(2 * (ranks - 1) / ranks * nbytes for ranks, nbytes in self.summed.items())
        return rings, self.team.sent if self.team else 0

    # ---- what all take part in

    def call(self, function, *arguments, comm=None):
        """function(*arguments) in the thread of all calls; comm: of some of the ranks. If others do not come, a line says so."""
        future = self.thread.submit(self.together, comm or self.comm, function, *arguments)
        with contextlib.suppress(NotYet):
            return future.result(SILENCE)
        if future.done():
            return future.result()
        self.note(WAITING, True)
        try:
            with contextlib.suppress(NotYet):
                return future.result(PATIENCE)  # in which all that wait have said so
            self.name_missing()
            return future.result()
        finally:
            self.note(WAITING, False)

    def together(self, comm, function, *arguments):
        """function(*arguments), once all ranks are here: MPI's own waiting would keep a core busy, which others may need."""
        all_here, began = comm.Ibarrier(), time.monotonic()
        while not all_here.Test():
            waited = time.monotonic() - began
            if waited > SPIN:
                time.sleep(min(0.01, waited / 20))
        return function(*arguments)

    def name_missing(self):
        here = {self.rank, *(rank for rank, waits in self.noted(WAITING).items() if waits)}
        missing = [f"rank {rank} of {self.size} on {self.hosts[rank]}" for rank in range(self.size) if rank not in here]
        if self.rank > min(here):
            return
        if missing:
            what = f"Nothing has come from {', '.join(missing)} for {SILENCE} s: the others wait."
        else:
            what = (
                f"All {self.size} ranks have waited for one another for {SILENCE} s: the network between them has come to a halt, or they "
                "do not take part in the same exchange."
            )
        self.say(f"{what} Ctrl-C twice ends the run.\n")

    def add(self, parameters):
        columns = [p for p in parameters if p.owned is not None]
        if columns:
            self.add_over(self.team.others, columns)
        whole = [p for p in parameters if p.owned is None]
        if self.nccl is not None:
            self.summed[self.size] += sum(p.grad.nbytes for p in whole)
            self.nccl.add(whole)
        elif whole:
            self.add_over(self.comm, whole)

    def add_over(self, comm, parameters):
        arrays = [np.ascontiguousarray(p.device.numpy(p.grad)) for p in parameters]  # MPI takes arrays of the host that lie in one piece
        self.summed[comm.size] += sum(array.nbytes for array in arrays)
        self.under_way.append((self.thread.submit(self.together, comm, self.add_up, comm, arrays), parameters, arrays))

    def add_up(self, comm, arrays):
        for array in arrays:
            comm.Allreduce(self.MPI.IN_PLACE, array)

    def sum(self, *numbers):
        sums = np.array(numbers, np.float64)
        self.call(self.comm.Allreduce, self.MPI.IN_PLACE, sums)
        if self.nccl is not None:
            self.nccl.finish()
        while self.under_way:
            future, parameters, arrays = self.under_way.pop(0)
            future.result()
            for p, array in zip(parameters, arrays, strict=True):
                if p.grad is not array:
                    p.grad = p.device.asarray(array)
        return tuple(sums.tolist())

    def whole(self, parameters, arrays):
        if self.team is None:
            return arrays
        return [a if p.owned is None else self.team.whole(p.device.numpy(a)) for p, a in zip(parameters, arrays, strict=True)]

    def told(self, work):
        result = error = None
        if self.rank == 0:
            try:
                result = work()
            except Exception as e:
                error = e
        result, theirs = self.call(self.comm.bcast, (result, portable(error)))
        if theirs is not None:
            raise theirs if error is None else error
        return result

    def first(self, error):
        who = np.array([self.size if error is None else self.rank])
        self.call(self.comm.Allreduce, self.MPI.IN_PLACE, who, self.MPI.MIN)
        if who[0] == self.size:
            return None
        theirs = self.call(self.comm.bcast, portable(error), who[0])
        return error if self.rank == who[0] else theirs

    def all(self, value):
        return self.call(self.comm.allgather, value)

    # ---- the end

    def run(self, program):
        said = io.StringIO()
        with contextlib.ExitStack() as stack:
            if self.rank > 0:  # what all ranks say, rank 0 says; what this one alone has to say comes below
                stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
                stack.enter_context(contextlib.redirect_stderr(said))
            try:
                code = program()
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else int(end.code is not None)
            except BaseException:
                traceback.print_exc()
                code = 1
        codes = self.codes(code, said)
        if self.rank and codes[self.rank] and not any(codes[: self.rank]):
            self.say(last_words(said))
        return code

    def codes(self, code, said):
        """The exit codes of all ranks, once all have ended."""
        codes = np.zeros(self.size, int)
        ended, deadline, noted = self.last.Iallgather(np.array([code]), codes), time.monotonic() + PATIENCE, False
        while not ended.Test():
            if code and not noted:
                self.note(FAILED, code)
                noted = True
            if code and time.monotonic() > deadline:
                if not any(rank < self.rank for rank in self.noted(FAILED)):
                    where = f"rank {self.rank} of {self.size} on {self.hosts[self.rank]}"
                    self.say(f"{last_words(said)}{where} has ended with this error, so all ranks end.\n")
                time.sleep(1)  # for the launcher to pass it on: what it has not read when it is told of the end is lost
                self.comm.Abort(code)
                os._exit(code)  # should Abort return: nothing is to be said twice
            time.sleep(0.01)
        return codes

    def say(self, text):
        """Print, on any rank."""
        with contextlib.suppress(OSError, ValueError, AttributeError):  # full, closed or none
            self.screen.write(text)
            self.screen.flush()

    # ---- notes: told in passing, so that ranks learn of each other while a call of all cannot end

    def note(self, tag, what):
        """Tell all others something, without waiting."""
        self.sent += [self.notes.isend(what, other, tag) for other in range(self.size) if other != self.rank]

    def noted(self, tag):
        """{rank: what it told last}."""
        status = self.MPI.Status()
        while self.notes.iprobe(tag=tag, status=status):
            self.heard[tag][status.source] = self.notes.recv(source=status.source, tag=tag)
        return self.heard[tag]


def portable(error):
    """An error that others can be sent: the same one, or one that says the same."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RankError(f"{type(error).__name__}: {error}")
    return error


def last_words(said):
    """Of what a rank has said, what it ended with: a traceback, or a sentence."""
    text = said.getvalue()
    start = text.rfind("Traceback (most recent call last)")
    return text[start:] if start >= 0 else "".join(text.splitlines(keepends=True)[-1:])
