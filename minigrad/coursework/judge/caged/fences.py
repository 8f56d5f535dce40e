"""Fences around a student's code inside its own process: limits of the system, and what Python refuses to do (PEP 578).

No sandbox: they stop what Python code asks Python for. bubblewrap, where there is one, stops the rest."""

import contextlib
import os
import pathlib
import socket
import subprocess
import sys

OUTSIDE = (  # beginnings of the audit events that reach out of the process, or into what Python keeps of itself
    "socket.", "subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.startfile", "os.kill", "pty.", "ctypes.",
    "signal.", "gc.", "fcntl.", "resource.", "ftplib.", "http.", "smtplib.", "urllib.", "webbrowser.", "winreg.", "syslog.",
    "sqlite3.", "code.__new__", "sys._current",
)  # fmt: skip
CHANGES = ("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "os.chmod", "os.chown", "os.utime",
           "os.setxattr", "os.removexattr", "os.lockf", "os.chflags")  # fmt: skip
LISTS = ("os.listdir", "os.scandir", "os.walk", "os.fwalk", "glob.glob", "os.chdir")


def limit(memory, seconds, processes):
    """Limit this process and those that it starts, where the system can. memory: bytes of address space; processes: None for no limit."""
    try:
        import resource  # missing on Windows, which has no such limits
    except ImportError:
        return
    wanted = [
        ("RLIMIT_AS", memory),
        ("RLIMIT_CPU", int(seconds) + 1),
        ("RLIMIT_FSIZE", 1 << 26),
        ("RLIMIT_CORE", 0),
        ("RLIMIT_NPROC", processes),
    ]
    for name, size in wanted:
        if size is not None and hasattr(resource, name):
            with contextlib.suppress(OSError, ValueError):  # macOS refuses limits below what it maps into every process
                resource.setrlimit(getattr(resource, name), (size, size))


UNASKED = ("mkfifo", "mknod", "chroot", "sync", "setpriority", "sched_setaffinity", "sched_setparam", "sched_setscheduler")
SHARED = {"_posixsubprocess": ("fork_exec",), "_posixshmem": ("shm_open", "shm_unlink"), "_multiprocessing": ("SemLock", "sem_unlink")}


def take_away():
    """Take away what Python does outside without asking any hook: to files, to other processes, to memory that outlives this one."""
    for module, names in ({"os": UNASKED, "posix": UNASKED} | SHARED).items():
        for name in names:
            with contextlib.suppress(ImportError, AttributeError):
                delattr(__import__(module), name)
    subprocess._fork_exec = None


def refuse(forbidden, readable, writeable, alone):
    """From now on imports of `forbidden` packages raise ImportError; unless `alone` (in a sandbox), so does PermissionError whatever leaves
    the process: files outside of the folders `readable` and `writeable`, other processes, the network.

    Nothing takes an audit hook away again, and its own data lie in no module."""
    fsdecode, isabs, realpath, is_folder, separator = os.fsdecode, os.path.isabs, os.path.realpath, os.path.isdir, os.sep
    text, octets, paths = str, bytes, (pathlib.PosixPath, pathlib.WindowsPath)
    forbidden = tuple(forbidden)
    readable, writeable = (tuple(realpath(folder) for folder in folders) for folders in (readable, writeable))
    outside, changes, lists, any_of, pair = OUTSIDE, CHANGES, LISTS, any, getattr(socket, "AF_UNIX", None)
    error, missing, integer, writes = PermissionError, ImportError, int, os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
    if not alone:
        take_away()

    def inside(path, folders):
        if isinstance(path, integer):
            return True  # a file that is open already
        if isinstance(path, text):
            path = text.__str__(path)  # whatever a subclass says of itself
        elif isinstance(path, octets):
            path = fsdecode(octets.__getitem__(path, slice(None)))
        elif type(path) in paths:
            path = text(path)
        else:
            return False
        if not isabs(path) and ".." in path.split(separator):  # which may be meant from another folder than this one
            return False
        path = realpath(path)
        return any_of(path == folder or path.startswith(folder + separator) for folder in folders)

    def hook(event, arguments):
        if event == "import":
            for name in forbidden:
                if arguments[0] == name or arguments[0].startswith(name + "."):
                    raise missing(f"{arguments[0]} may not be used here: write it with NumPy")
        if alone:
            return
        if event.startswith(outside) and not (event == "socket.__new__" and arguments[1] == pair):  # asyncio's own, connected to nothing
            raise error(f"{event} is not allowed while work is graded")
        if event == "open":
            path, _, flags = arguments
            changing = isinstance(flags, integer) and flags & writes  # or a folder, in which others may then be named
            if not inside(path, writeable if changing or not isinstance(path, integer) and is_folder(path) else readable + writeable):
                raise error(f"{path!r} may not be opened while work is graded")
        elif event.startswith(changes):
            for path in arguments[:2] if event.startswith(("os.rename", "os.link", "os.symlink")) else arguments[:1]:
                if not inside(path, writeable):
                    raise error(f"{event} is not allowed while work is graded")
        elif event.startswith(lists) and not inside(arguments[0] if arguments[0] is not None else ".", readable + writeable):
            raise error(f"{event} is not allowed while work is graded")

    sys.addaudithook(hook)
