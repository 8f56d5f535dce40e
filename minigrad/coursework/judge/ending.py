"""Ending a process with all its descendants, also those that have left its session or whose parent has gone.

A process whose parent ends is handed to the next "subreaper" above it (Linux, `adopt_orphans`), so nothing that a solution starts can
leave the grader's family: what is found there and was not started by the grader is ended. Elsewhere the session of a process is all that is
known."""

import contextlib
import ctypes
import os
import signal
import subprocess
import threading
import time

MOST_PROCESSES = 64  # that a solution may have started at a time
MOST_MEMORY = 8 << 30  # bytes that they may take together
PR_SET_CHILD_SUBREAPER = 36  # of Linux's prctl
STARTED, LOCK = set(), threading.Lock()  # ids of the processes that were started here and have not been ended yet


class TooMuch(Exception):
    """What a solution has started takes too much of the machine: a sentence."""


def started(command, **options):
    """`subprocess.Popen` of a command, in a session of its own where there are sessions. It is known as ours until `end`."""
    with LOCK:  # or `end_orphans` would take it for an orphan
        process = subprocess.Popen(command, start_new_session=os.name == "posix", **options)
        STARTED.add(process.pid)
    return process


def wait(process, seconds, begin):
    """Wait until the process, started at `begin` (time.monotonic()), has ended, whatever its children do. Raises TimeoutExpired,
    TooMuch.

    Seconds of computing are counted, where the system says them, so that nobody has less time because others run beside; whoever waits,
    for input or another process, has so many seconds on the clock, and nobody more than four times as many."""
    looked, pause = 0.0, 0.005
    while process.poll() is None:
        passed = time.monotonic() - begin
        if passed > seconds:
            computed = computing_seconds(process.pid, passed)
            if computed > seconds or computed < passed / 10 or passed > 4 * seconds:
                raise subprocess.TimeoutExpired(process.args, seconds)
        if passed - looked > 0.1:
            looked = passed
            family = descendants(process.pid)
            if len(family) > MOST_PROCESSES:
                raise TooMuch(f"It starts more than {MOST_PROCESSES} processes.")
            if sum(map(memory_of, family)) > MOST_MEMORY:
                raise TooMuch(f"Together its processes take more than {MOST_MEMORY >> 30} GB of memory.")
        time.sleep(pause)
        pause = min(2 * pause, 0.02)


def limit_memory():
    """Limit the memory of this process, which judges, where the system can: an answer that grows in it ends it, and not the machine."""
    try:
        import resource  # missing on Windows
    except ImportError:
        return
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))


def computing_seconds(pid, otherwise):
    """The processor's seconds of a process; `otherwise` where the system does not say."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return otherwise + 1e-3


def memory_of(pid):
    """The bytes of memory that a process has for itself; 0 where the system does not say."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            _, resident, shared, *_ = map(int, file.read().split())
        return (resident - shared) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 0


def end(process):
    """End a process and all its descendants. It has ended when this returns."""
    for _ in range(100):  # a process that forks while its children are listed has new ones the next time
        family = descendants(process.pid)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL) if os.name == "posix" else process.kill()
        for pid in family:
            kill(pid)
        if not family:
            break
        time.sleep(0.005)
    process.wait()
    with LOCK:
        STARTED.discard(process.pid)
    end_orphans()


def end_all():
    """End all processes that were started here and have not been ended yet. Whoever waits for them goes on."""
    with LOCK:
        pids = list(STARTED)
    for pid in pids:
        for descendant in [pid, *descendants(pid)]:
            kill(descendant)


def kill(pid):
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


# ---- the family


def parents():
    """pid -> pid of its parent, of all processes that are alive; empty where the system does not say."""
    found = {}
    for name in os.listdir("/proc") if os.path.isdir("/proc/self") else ():
        if name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                with open(f"/proc/{name}/stat", "rb") as file:
                    state, parent = file.read().rpartition(b")")[2].split()[:2]  # the name before it may hold anything
                if state != b"Z":
                    found[int(name)] = int(parent)
    return found


def descendants(pid):
    """The processes below `pid`, a list."""
    children = {}
    for child, parent in parents().items():
        children.setdefault(parent, []).append(child)
    found = list(children.get(pid, ()))
    for child in found:  # grows while it is read
        found += children.get(child, ())
    return found


FAMILY = []  # [the process's own id, ids of the children that it had before it adopted any]; empty: it adopts none


@contextlib.contextmanager
def adopt_orphans():
    """Within the `with` block, processes below this one whose parent has ended become its children, where the system can, and `end_orphans`
    ends them."""
    adopts = set_subreaper(True)
    if adopts:
        FAMILY[:] = [os.getpid(), {child for child, parent in parents().items() if parent == os.getpid()}]
    try:
        yield
    finally:
        end_orphans()
        if adopts:
            set_subreaper(False)
            FAMILY.clear()


def set_subreaper(wanted):
    """Whether the system did it."""
    try:
        return ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, int(wanted), 0, 0, 0) == 0
    except (AttributeError, OSError, TypeError):
        return False


def end_orphans():
    """End the children of this process that it did not start, with all their descendants. Nothing where it adopts none."""
    for _ in range(100):
        with LOCK:
            if not FAMILY:
                return
            me, before = FAMILY
            orphans = [pid for pid, parent in parents().items() if parent == me and pid not in STARTED and pid not in before]
            for pid in orphans:
                for descendant in [*descendants(pid), pid]:
                    kill(descendant)
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, 0)
        if not orphans:
            return
