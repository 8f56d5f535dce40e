"""The beginning: how processes that a launcher has started become ranks."""

import atexit
import os
import sys
import threading

from minigrad.device import share_cores
from minigrad.ranks import mpi
from minigrad.ranks.alone import ALONE, RankError

LAUNCHERS = {  # what launchers tell a process: how many they have started, and which of them it is
    "OMPI_COMM_WORLD_SIZE": "OMPI_COMM_WORLD_RANK",
    "PMI_SIZE": "PMI_RANK",
    "SLURM_STEP_NUM_TASKS": "SLURM_PROCID",
}


def join():
    """The ranks with which this process was started, which share the cores of their machines; a `Ranks` if it was started alone.

    Raises RankError if they cannot find together, on the first of them; the others end in silence, with the same exit code."""
    size, rank = next(((int(os.environ[s]), int(os.environ.get(r, 0))) for s, r in LAUNCHERS.items() if s in os.environ), (1, 0))
    if size == 1:
        return ALONE
    try:
        MPI = started(size, rank)
        ranks = mpi.MpiRanks(MPI.COMM_WORLD, MPI)
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
    late = threading.Timer(mpi.SILENCE, missing_at_the_start, (size,))
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
    print(f"After {mpi.SILENCE} s not all of the {size} processes have begun: this one waits for the others.", file=sys.stderr, flush=True)
