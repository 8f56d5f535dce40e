"""Writing a file whole or not at all: no reader ever sees half of it, and a failed write leaves what was there before.

The content goes into a temporary file in the same folder, which is then renamed; renaming is a single step of the file system."""

import os
from contextlib import contextmanager, suppress
from pathlib import Path


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
    try:
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
    return sorted(folder.glob("*.tmp*"))


def flush(path):
    """Return when the content of the file `path` is on the disk."""
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def flush_folder(folder):
    """Return when the names in `folder` are on the disk; only POSIX systems can say so, and need to."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
