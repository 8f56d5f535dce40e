"""The process of a student's code as the judge sees it: requests go in, answers come out, on time or not at all."""

import contextlib
import functools
import os
import secrets
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from minigrad.coursework.judge.caged.wire import HEAD, LARGEST, LARGEST_HEADER, BadMessage, header_of
from minigrad.coursework.judge.ending import descendants

MEMORY_LIMIT = 4 << 30  # bytes of address space
PROCESSES = 64  # processes and threads, in the sandbox
DISK = 1 << 29  # bytes of all files together, in the sandbox
OFF = (
    "Sandbox: off. A solution runs as you do: Python refuses it files, processes and the network, but code that is not Python's could "
    "still reach them. Install bubblewrap, or grade in a container."
)
SANDBOXES = ("auto", "require", "off")


NUMPY = str(Path(np.__file__).parent.parent)  # the folder that it lies in: not always one that Python knows without its environment


class CageError(Exception):
    """There is no sandbox where one is required: a sentence."""


class Ended(BaseException):
    """The student's process is over, or has no time left: a sentence. Nothing but the judge itself catches it."""


def sandbox_for(wish):
    """ "bwrap" or "off". wish: "auto", "require" or "off". Raises CageError."""
    if wish == "off":
        return "off"
    if bubblewrap_works():
        return "bwrap"
    if wish == "require":
        raise CageError("--sandbox require: there is no bubblewrap here that works; install it (Debian: apt-get install bubblewrap)")
    return "off"


@functools.cache
def bubblewrap_works():
    """Whether bwrap is here and may make namespaces."""
    program = shutil.which("bwrap") if sys.platform.startswith("linux") else None
    if program is None:
        return False
    with tempfile.TemporaryDirectory() as folder:
        command = [*walls(program, folder, folder), sys.executable, "-S", "-c", "pass"]
        return subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, env={}).returncode == 0


@functools.cache
def takes_size(program):
    """Whether this bwrap can limit what is written; older ones than 0.8 cannot."""
    return b"--size" in subprocess.run([program, "--help"], capture_output=True, env={}).stdout


def walls(program, library, work):
    """bwrap's words: no network, nothing of the file system but Python and the two folders, which can only be read, a /tmp of its own,
    its own processes, no environment."""
    words = [
        program,
        "--unshare-all",
        "--die-with-parent",
        "--new-session",
        "--clearenv",
        "--proc",
        "/proc",
        "--dev",
        "/dev",
        *files_in_memory(program, "/tmp"),
        *files_in_memory(program, "/dev/shm"),
        "--remount-ro",
        "/dev",
    ]
    for place in ("/usr", "/etc/ld.so.cache", "/etc/alternatives", "/lib", "/lib64", "/lib32", "/bin"):
        if os.path.islink(place):
            words += ["--symlink", os.readlink(place), place]
        elif os.path.exists(place):
            words += ["--ro-bind", place, place]
    for place in pythons():
        words += ["--ro-bind", place, place]
    for place in hidden_places():
        words += ["--tmpfs", place, "--remount-ro", place]
    for name, value in environment("/tmp").items():
        words += ["--setenv", name, value]
    return [*words, "--ro-bind", str(library), "/cage", "--ro-bind", str(work), "/work", "--remount-ro", "/", "--chdir", "/tmp"]


def files_in_memory(program, place):
    """bwrap's words for a folder in which anything may be written, up to a limit."""
    return [*(["--size", str(DISK)] if takes_size(program) else []), "--tmpfs", place]


def pythons():
    """The folders of Python and of NumPy."""
    places = [
        sys.base_prefix,
        sys.prefix,
        sys.exec_prefix,
        NUMPY,
        os.path.dirname(os.path.realpath(sys.executable)),
    ]
    return [place for place in dict.fromkeys(places) if place not in ("/", "/usr") and not place.startswith("/usr/")]


def hidden_places():
    """Where the whole of this project lies within these folders."""
    package = str(Path(__file__).resolve().parents[2])
    return [package] if any(package.startswith(place + os.sep) for place in [*pythons(), "/usr"]) else []


def environment(folder):
    """All that a student's process knows of the environment."""
    one_thread = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    names = {"HOME": folder, "TMPDIR": folder, "LANG": "C.UTF-8", "PATH": "/usr/bin:/bin", "MPLBACKEND": "Agg", "PYTHONIOENCODING": "utf-8"}
    return names | one_thread | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0"}


class Cage:
    """A student's process.

    library: the folder that `write_library` wrote; work: that of the solution. sandbox: "bwrap" or "off". seconds: how long all its answers
    may take together; sleeping counts a third, and standing ready while others have the cores nothing, up to twelve times as long."""

    def __init__(self, library, work, sandbox, seconds):
        self.seconds, self.waited, self.sandbox, self.started = seconds, 0.0, sandbox, time.monotonic()
        self.token = f"MINIGRAD_CAGE={secrets.token_hex(16)}"
        self.home = tempfile.mkdtemp()
        inside = sandbox == "bwrap"
        start = "import sys; sys.path.insert(0, sys.argv[1]); sys.path.append(sys.argv[2]); from caged.actor import main; main()"
        command = [sys.executable, "-c", start, "/cage" if inside else str(library), NUMPY]
        self.library, self.work = ("/cage", "/work") if inside else (str(library), str(work))
        if inside:
            command = [*walls(shutil.which("bwrap"), library, work), "--setenv", *self.token.split("="), *command]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={} if inside else environment(self.home) | windows_needs() | dict([self.token.split("=")]),
            cwd=self.home,
            start_new_session=os.name == "posix",
        )
        self.pending = b""
        if os.name == "posix":
            for pipe in (self.process.stdin, self.process.stdout):
                os.set_blocking(pipe.fileno(), False)

    def fence_request(self, forbidden):
        """The request that puts up the fences."""
        folders = [
            sys.base_prefix,
            sys.prefix,
            NUMPY,
            "/usr",
            "/lib",
            "/etc/ld.so.cache",
            "/dev/null",
            "/dev/urandom",
        ]
        readable = [*folders, "/proc/meminfo", "/proc/cpuinfo", "/sys/devices/system/cpu", self.library, self.work]
        return {
            "do": "fence",
            "memory": MEMORY_LIMIT,
            "seconds": self.seconds,
            "processes": PROCESSES if self.sandbox == "bwrap" else None,
            "forbidden": list(forbidden),
            "readable": readable,
            "writeable": [self.home],
            "alone": self.sandbox == "bwrap",
        }

    def ask(self, message):
        """Send a request, bytes -> header and body of the answer. Raises Ended."""
        begin = time.monotonic()
        deadline = begin + self.seconds * 3 - self.waited
        try:
            self.send(message, deadline)
            length, size = HEAD.unpack(self.receive(HEAD.size, deadline))
            if length > LARGEST_HEADER or length + size > LARGEST:
                raise Ended("The solution's process gave an answer that is no answer.")
            return header_of(self.receive(length, deadline)), self.receive(size, deadline)
        except BadMessage:
            raise Ended("The solution's process gave an answer that is no answer.") from None
        except (BrokenPipeError, ConnectionError):
            raise Ended(self.how_it_ended()) from None
        finally:
            self.waited += time.monotonic() - begin

    def send(self, data, deadline):
        data = memoryview(data)
        while len(data):
            try:
                data = data[os.write(self.process.stdin.fileno(), data) :]
            except BlockingIOError:
                self.wait_for([], [self.process.stdin], deadline)

    def receive(self, length, deadline):
        while len(self.pending) < length:
            if os.name == "posix":
                self.wait_for([self.process.stdout], [], deadline)
            part = os.read(self.process.stdout.fileno(), 1 << 20)
            if not part:
                raise Ended(self.how_it_ended())
            self.pending = self.pending + part if self.pending else part
        found, self.pending = self.pending[:length], self.pending[length:]
        return found

    def wait_for(self, reading, writing, deadline):
        """Wait until a pipe is ready. Raises Ended."""
        end = deadline
        while not any(select.select(reading, writing, [], max(0.0, end - time.monotonic()))):
            end = deadline + min(seconds_without_a_core(self.process.pid, self.seconds), 9 * self.seconds)
            if end <= time.monotonic():
                raise Ended(self.too_long())

    def too_long(self):
        return f"It did not end within {self.seconds:.0f} seconds: is there an endless loop?"

    def how_it_ended(self):
        try:
            code = self.process.wait(2)
        except subprocess.TimeoutExpired:
            return "The solution's process closed its pipe before there was a result."
        if self.sandbox == "bwrap" and code > 128:
            code = 128 - code
        if code in (-signal.SIGKILL, -getattr(signal, "SIGXCPU", 24)) and self.waited_long():
            return self.too_long()
        how = f"was ended by signal {-code}" if code < 0 else f"ended itself with code {code}"
        return f"The solution's process {how} before there was a result."

    def waited_long(self):
        """Whether the system's limit on the processor's time can have ended it."""
        return time.monotonic() - self.started >= self.seconds

    def close(self):
        """End the process with all that it has started."""
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(OSError):
                pipe.close()
        end_tree(self.process, self.token)
        shutil.rmtree(self.home, ignore_errors=True)


def windows_needs():
    """Without these variables Windows starts no Python."""
    return {name: os.environ[name] for name in ("SYSTEMROOT", "PATHEXT") if os.name == "nt" and name in os.environ}


def seconds_without_a_core(pid, most):
    """How long a process and those below it, the one of them that waited longest, stood ready while others had the cores. 0 where the
    system does not say, and where together they have computed for more than `most` seconds: they wait for each other."""
    computed, waited = 0.0, [0.0]
    for each in [pid, *descendants(pid)]:
        with contextlib.suppress(OSError, ValueError):
            computing, waiting, _ = Path(f"/proc/{each}/schedstat").read_text().split()
            computed += int(computing) / 1e9
            waited.append(int(waiting) / 1e9)
    return max(waited) if computed <= most else 0.0


# ---- the end of processes


def end_tree(process, token):
    """End a process, its session and, on Linux, whatever it has started that still has the token in its environment."""
    while True:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.name == "posix":
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
        left = marked(token)
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        if not left:
            return
        time.sleep(0.005)


def marked(token):
    """The processes that have the token in their environment; none where there is no /proc."""
    found = []
    for folder in Path("/proc").glob("[0-9]*") if sys.platform.startswith("linux") else ():
        with contextlib.suppress(OSError):
            if token.encode() in (folder / "environ").read_bytes() and "\nState:\tZ" not in (folder / "status").read_text():
                found.append(int(folder.name))
    return found
