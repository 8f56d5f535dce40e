"""One process at a time in a folder. The lock is the system's: it ends with the process that holds it, however that ends."""

import errno
import os
from contextlib import contextmanager
from pathlib import Path

from minigrad.data.checks import DataError

if os.name == "nt":
    import msvcrt
else:
    import fcntl

BUSY = {errno.EAGAIN, errno.EACCES, errno.EDEADLK}  # other errors: a file system without locks, on which nothing is locked


@contextmanager
def alone_in(folder):
    """Hold the lock of `folder` within the block. Raises DataError at once if another process holds it."""
    held = take(folder)
    try:
        yield
    finally:
        if held is not None:
            os.close(held)


def take(folder):
    """The descriptor whose closing gives the lock back, or None on a file system without locks."""
    # POSIX locks the folder itself; Windows can lock files only.
    held = os.open(Path(folder) / ".lock", os.O_RDWR | os.O_CREAT) if os.name == "nt" else os.open(folder, os.O_RDONLY)
    try:
        if os.name == "nt":
            msvcrt.locking(held, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(held)
        if error.errno in BUSY:
            raise DataError(f"Another process is writing into {folder}: wait until it has ended, or name another --out.") from None
        return None
    return held
