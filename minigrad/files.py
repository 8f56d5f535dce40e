"""Writing a file whole or not at all: no reader ever sees half of it, and a failed write leaves what was there before.

The content goes into a temporary file in the same folder, which is then renamed; renaming is a single step of the file system."""

import errno
import os
import re
from contextlib import contextmanager, suppress
from pathlib import Path

if os.name == "posix":
    import fcntl

TEMPORARY = re.compile(r"\.\d+\.tmp(\.|$)")  # in the names of temporary files: the number of the process that writes
LOCK = "in-use.tmp"  # on Windows, which can lock files only, the file in a locked folder
UNKNOWN = {
    getattr(errno, name) for name in ("EINVAL", "ENOSYS", "ENOTSUP", "EOPNOTSUPP", "EBADF", "ENOLCK", "EPERM") if hasattr(errno, name)
}


@contextmanager
def replacing(path, durable=False):
    """Yield the `Path` of a temporary file to write; it takes the place of `path` when the block succeeds.

    When the block fails, the temporary file is removed and `path` is left alone. Its name ends in the suffix of `path`, by which some
    libraries choose a format. If `path` is a symbolic link, the file that it points to is replaced.

    durable: the content, then the renaming, are on the disk before this returns, so that a power cut leaves the old file or the new one.
    Raises OSError."""
    path = Path(path)
    if path.is_symlink():
        path = Path(os.path.realpath(path))
    temporary = path.with_name(f"{path.stem}.{os.getpid()}.tmp{path.suffix}")
    with suppress(FileNotFoundError):
        os.remove(temporary)  # of a killed process with the same number, or a link to somewhere else
    try:
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        yield temporary
        if durable:
            flush(temporary)
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.remove(temporary)
        raise
    if durable:
        flush_folder(path.parent)


def write_bytes(path, content, durable=False):
    """Write bytes to the file `path`, whole or not at all; `durable` and errors as in `replacing`.

    What is there but no file, such as a pipe or /dev/stdout, is written to as it is."""
    if os.path.exists(path) and not os.path.isfile(path):
        Path(path).write_bytes(content)
        return
    with replacing(path, durable) as temporary:
        temporary.write_bytes(content)


def write_text(path, text, encoding="utf-8", durable=False):
    """Write text to the file `path`, whole or not at all. Line ends are kept as they are: the same bytes on every system."""
    write_bytes(path, text.encode(encoding), durable)


def leftovers(folder):
    """The temporary files in `folder` of processes that were killed while writing, or of others that are writing now: a list of paths."""
    return sorted(path for path in folder.glob("*.tmp*") if TEMPORARY.search(path.name))


def sweep(folder):
    """Remove the leftovers in a folder that nobody else writes to; what cannot be removed stays."""
    for path in leftovers(folder):
        with suppress(OSError):
            os.remove(path)


@contextmanager
def removed_if_empty(folder):
    """When the block fails, remove a folder that was made for it, if nothing was put there."""
    try:
        yield
    except BaseException:
        with suppress(OSError):
            os.rmdir(folder)
        raise


@contextmanager
def locked(folder):
    """Hold an existing folder for this process alone. Raises BlockingIOError if another one holds it.

    The lock goes with the process, however that ends, and leaves no file behind. Where a file system knows no locks there is none."""
    try:
        lock = locked_now(folder)
    except (BlockingIOError, FileExistsError):
        raise BlockingIOError(errno.EWOULDBLOCK, os.strerror(errno.EWOULDBLOCK), str(folder)) from None
    except OSError as error:
        if error.errno not in UNKNOWN:
            raise
        lock = None
    try:
        yield
    finally:
        if lock is not None:
            os.close(lock)


def locked_now(folder):
    """The descriptor that holds the lock: of the folder itself or, on Windows, of a file that is gone when it is closed."""
    if os.name != "posix":
        return os.open(Path(folder, LOCK), os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_TEMPORARY)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def flush(path):
    """Return when the content of the file `path` is on the disk, if its file system can say so."""
    with open(path, "rb+") as file:
        synchronise(file.fileno())


def flush_folder(folder):
    """Return when the names in `folder` are on the disk; only POSIX systems can say so, and need to, and not all of their file systems."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            synchronise(descriptor)
        finally:
            os.close(descriptor)


def synchronise(descriptor):
    """fsync; CIFS, FUSE and others refuse it for folders, some for files, which is no error of ours."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in UNKNOWN:
            raise
