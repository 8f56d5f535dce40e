"""Ranks: processes, on one machine or many, that train one network, each on its part of every batch.

An MPI launcher starts them: `mpirun -n 4 python alexnet.py ...`, or Slurm's `srun`. Starting weights, the order of the images, their
augmentation and the dropout masks follow from seeds and numbers, so that every rank knows its part without being told; what travels is the
gradients and a few sums. MPI gives all ranks the same sums to the last bit, so their weights never differ."""

import atexit
import contextlib
import io
import os
import pickle
import socket
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet  # Python 3.10's is not the built-in one

import numpy as np

from minigrad.cuda import nccl
from minigrad.device import share_cores

LAUNCHERS = {  # what launchers tell a process: how many they have started, and which of them it is
    "OMPI_COMM_WORLD_SIZE": "OMPI_COMM_WORLD_RANK",
    "PMI_SIZE": "PMI_RANK",
    "SLURM_STEP_NUM_TASKS": "SLURM_PROCID",
}
PATIENCE = 5  # seconds in which a rank waits for what others have to say: of an error, that it is theirs, too
SPIN = 2e-4  # seconds in which a rank looks for the others without a pause; later it pauses, for a twentieth of what it has waited
SILENCE = 60  # seconds without a rank that the others wait for, before they say so
WAITING, FAILED = 1, 2  # tags of notes


class RankError(Exception):
    """Ranks that cannot work together: what is wrong and what would be right, in one sentence."""


class Ranks:
    """A process alone: all is its own, and nothing travels. `join()` gives the ranks of an MPI launcher, if there was one."""

    rank, size = 0, 1

    def deal(self, device, towers):
        """What --device means here: of "auto" this rank's part, where several see the same GPUs; at most one for each of so many towers."""
        return device

    def use(self, devices):
        """Say on which devices this rank's towers are. Returns how their gradients travel: half a sentence, empty if they do not."""
        return ""

    def share(self, N):
        """Which of N things in a row are this rank's: a slice. Where there are fewer things than ranks, some have none."""
        return slice(N * self.rank // self.size, N * (self.rank + 1) // self.size)

    def add(self, parameters):
        """Begin to sum the gradients of a list of `Parameter`s over all ranks, in place; the next `sum` waits for them."""

    def sum(self, *numbers):
        """A tuple of the numbers, each summed over all ranks."""
        return numbers

    def told(self, work):
        """What work() returns, or raises, on rank 0, which alone calls it."""
        return work()

    def first(self, error):
        """The error of the lowest rank that has one, on all ranks; else None."""
        return error

    def all(self, value):
        """A list of every rank's value."""
        return [value]

    def same(self, what, value):
        """Raises RankError on all ranks unless `value` is the same on all."""
        values = self.all(value)
        for rank, other in enumerate(values):
            if other != values[0]:
                raise RankError(f"Rank 0 and rank {rank} do not have the same {what}: {values[0]} and {other}.")

    def run(self, program):
        """program(), which returns an exit code. What is printed meanwhile is printed by rank 0 alone. A rank that ends with an error which
        the others do not share says so, and ends them all."""
        return program()


ALONE = Ranks()


class MpiRanks(Ranks):
    """One of the processes of an mpi4py communicator. Whatever all take part in goes through one thread, in the order of the program, which
    is the same on every rank: so gradients travel while others are computed. (MPI moves data inside its calls alone.)"""

    def __init__(self, comm, MPI):
        self.comm, self.MPI, self.rank, self.size = comm, MPI, comm.rank, comm.size
        self.last, self.notes = comm.Dup(), comm.Dup()  # for the end of `run`, and for what is told in passing
        self.hosts = comm.allgather(socket.gethostname())
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="minigrad-ranks")
        self.under_way, self.calls, self.sent, self.nccl = [], 0, [], None
        self.heard = {WAITING: {self.rank: 0}, FAILED: {}}
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
        counts = self.all(len({device.index for device in devices}) if nccl.available(devices) else 0)
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

    # ---- what all take part in

    def call(self, function, *arguments):
        """function(*arguments) in the thread of all calls. If others do not come, a line says so."""
        self.calls += 1
        future = self.thread.submit(self.together, function, *arguments)
        with contextlib.suppress(NotYet):
            return future.result(SILENCE)
        if not future.done():
            self.note(WAITING, self.calls)
            with contextlib.suppress(NotYet):
                return future.result(PATIENCE)  # in which all that wait have said so
            self.name_missing()
        return future.result()

    def together(self, function, *arguments):
        """function(*arguments), once all ranks are here: MPI's own waiting would keep a core busy, which others may need."""
        all_here, began = self.comm.Ibarrier(), time.monotonic()
        while not all_here.Test():
            waited = time.monotonic() - began
            if waited > SPIN:
                time.sleep(min(0.01, waited / 20))
        return function(*arguments)

    def name_missing(self):
        here = {self.rank, *(rank for rank, call in self.noted(WAITING).items() if call >= self.calls)}
        missing = [rank for rank in range(self.size) if rank not in here]
        if missing and self.rank == min(here):
            names = ", ".join(f"rank {rank} of {self.size} on {self.hosts[rank]}" for rank in missing)
            self.say(f"Nothing has come from {names} for {SILENCE} s: the others wait. Ctrl-C twice ends the run.\n")

    def add(self, parameters):
        if self.nccl is not None:
            return self.nccl.add(parameters)
        arrays = [np.ascontiguousarray(p.device.numpy(p.grad)) for p in parameters]  # MPI takes arrays of the host that lie in one piece
        self.under_way.append((self.thread.submit(self.together, self.add_up, arrays), parameters, arrays))

    def add_up(self, arrays):
        for array in arrays:
            self.comm.Allreduce(self.MPI.IN_PLACE, array)

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

    def note(self, tag, number):
        """Tell all others a number, without waiting."""
        self.sent += [self.notes.isend(number, other, tag) for other in range(self.size) if other != self.rank]

    def noted(self, tag):
        """{rank: the number that it told last}."""
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


# ---- the beginning


def join():
    """The ranks with which this process was started, which share the cores of their machines; a `Ranks` if it was started alone.

    Raises RankError if they cannot find together, on the first of them; the others end in silence, with the same exit code."""
    size, rank = next(((int(os.environ[s]), int(os.environ.get(r, 0))) for s, r in LAUNCHERS.items() if s in os.environ), (1, 0))
    if size == 1:
        return ALONE
    try:
        MPI = started(size, rank)
        ranks = MpiRanks(MPI.COMM_WORLD, MPI)
    except RankError:
        if rank == 0:
            raise
        sys.exit(2)
    local = MPI.COMM_WORLD.Split_type(MPI.COMM_TYPE_SHARED)
    share_cores(local.allgather)
    return ranks


def started(size, rank):
    """mpi4py's MPI, initialised. Raises RankError unless it is that of the launcher, which has started `size` processes."""
    try:
        import mpi4py

        mpi4py.rc.initialize = False  # MPICH would end the process itself, under the launcher of another MPI
        from mpi4py import MPI
    except (ImportError, OSError, RuntimeError) as error:  # no mpi4py, or no MPI that it can load
        raise RankError(f'{size} processes were started, but mpi4py cannot be used here ({error}): pip install -e ".[mpi]"') from None
    name, version = MPI.get_vendor()
    library = f"{name} {'.'.join(map(str, version))}"
    advice = "start it with the mpirun of that MPI (or srun --mpi=pmix or --mpi=pmi2)"
    if ("OMPI_COMM_WORLD_SIZE" in os.environ) != ("Open MPI" in library) and "SLURM_STEP_NUM_TASKS" not in os.environ:
        raise RankError(f"{size} processes were started by the launcher of another MPI than that of mpi4py, which is {library}: {advice}.")
    late = threading.Timer(SILENCE, missing_at_the_start, (size,))
    if rank == 0:
        late.daemon = True
        late.start()
    if not MPI.Is_initialized():  # by a program that uses mpi4py itself
        MPI.Init_thread()
        atexit.register(MPI.Finalize)
    late.cancel()
    if size != MPI.COMM_WORLD.size:
        raise RankError(f"{size} processes were started, but mpi4py knows of {MPI.COMM_WORLD.size}: its MPI is {library}; {advice}.")
    return MPI


def missing_at_the_start(size):
    print(f"After {SILENCE} s not all of the {size} processes have begun: this one waits for the others.", file=sys.stderr, flush=True)
