"""The cage on a machine that is busy, or in trouble: neither costs a student points. And its limits for all that a solution starts."""

import os
import shutil
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from minigrad.coursework.exercises import find
from minigrad.coursework.judge import cage as cages
from minigrad.coursework.judge import ending
from minigrad.coursework.judge import request as requests
from minigrad.coursework.judge.cage import Cage, Ended
from minigrad.coursework.worksheets import parts_of, worksheet


@pytest.mark.parametrize("failures, status, cause", [
    (2, "passes", ""), (3, "wrong", "It was not graded, for no fault of its own: its process did not start. No room"),
])  # fmt: skip
def test_a_process_that_does_not_start_is_started_again(failures, status, cause, tmp_path, monkeypatch):
    closed = []

    class Failing(Cage):
        def fence_request(self, forbidden):
            if len(closed) < failures:
                raise Ended("No room")
            return super().fence_request(forbidden)

        def close(self):
            closed.append(self.process)
            super().close()

    monkeypatch.setattr(requests, "Cage", Failing)
    monkeypatch.setattr(requests, "PAUSE", 0)
    (tmp_path / "relu.py").write_text(worksheet("", parts_of(find(["relu"])), "solution"))
    verdict = requests.judge({"impl": str(tmp_path / "relu.py"), "exercise": "relu.backward", "seed": 0, "sandbox": "off"})
    assert (verdict["status"], verdict["cause"]) == (status, cause)
    assert len(closed) == 3 and all(process.poll() is not None for process in closed)


@pytest.mark.skipif(os.name != "posix", reason="pipes can be waited for on POSIX alone")
def test_time_in_which_others_have_the_cores_does_not_count(monkeypatch):
    cage = object.__new__(Cage)
    cage.seconds, cage.process = 100, SimpleNamespace(pid=os.getpid())
    reading, writing = os.pipe()
    asked = []

    def kept_waiting(pid, most):
        """What is waited for comes while the time goes on."""
        asked.append((pid, most))
        os.write(writing, b"x")
        return 1e6

    monkeypatch.setattr(cages, "seconds_without_a_core", kept_waiting)
    cage.wait_for([reading], [], time.monotonic() - 1)
    assert asked == [(os.getpid(), 100)]
    os.read(reading, 1)
    with pytest.raises(Ended, match="did not end within 100 seconds"):  # twelve times as long is enough for anybody
        cage.wait_for([reading], [], time.monotonic() - 901)
    os.read(reading, 1)
    monkeypatch.setattr(cages, "seconds_without_a_core", lambda pid, most: 0.0)
    with pytest.raises(Ended):
        cage.wait_for([reading], [], time.monotonic() - 1)


def test_whoever_computes_too_much_was_not_kept_waiting(tmp_path, monkeypatch):
    """Two processes compute for three seconds each; one waits for five, the other for two."""
    for pid, times in {1: "3000000000 5000000000 9", 2: "3000000000 2000000000 9"}.items():
        (tmp_path / f"{pid}").write_text(times)
    monkeypatch.setattr(cages, "Path", lambda name: tmp_path / name.split("/")[2])
    monkeypatch.setattr(cages, "descendants", lambda pid: [2, 3])  # the third one has ended
    assert cages.seconds_without_a_core(1, 7) == 5
    assert cages.seconds_without_a_core(1, 5) == 0


# ---- limits for the whole tree

TWO = """
import subprocess, sys, time
other = subprocess.Popen([sys.executable, "-c", "import time; x = bytearray(60_000_000); time.sleep(60)"])
time.sleep(60)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the memory of others is said on Linux alone")
@pytest.mark.parametrize(
    "limit, words", [("MOST_MEMORY", "Together its processes take more than"), ("MOST_PROCESSES", "It starts more than 0")]
)
def test_all_that_is_started_is_counted(limit, words, monkeypatch):
    monkeypatch.setattr(ending, limit, {"MOST_MEMORY": 50_000_000, "MOST_PROCESSES": 0}[limit])
    process = ending.started([sys.executable, "-c", TWO])
    try:
        with pytest.raises(ending.TooMuch, match=words):
            ending.wait(process, 50, time.monotonic())
    finally:
        family = ending.descendants(process.pid)
        ending.end(process)
    assert family and not any(ending.memory_of(pid) for pid in family)


@pytest.mark.skipif(not cages.bubblewrap_works(), reason="there is no bubblewrap")
def test_what_is_written_in_the_sandbox_is_limited(tmp_path, monkeypatch):
    """All files together, and not by what one of them may hold."""
    program = shutil.which("bwrap")
    if not cages.takes_size(program):
        pytest.skip("this bwrap cannot limit what is written")
    monkeypatch.setattr(cages, "DISK", 1 << 20)
    write = "for i in range(8): open(f'/tmp/{i}', 'wb').write(bytes(1 << 18))"
    command = [*cages.walls(program, tmp_path, tmp_path), sys.executable, "-S", "-c", write]
    done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, env={}, text=True)
    assert done.returncode == 1 and "No space left on device" in done.stderr


TRY_TO_WRITE = """
import os
for folder, below, _ in os.walk("/"):
    below[:] = [name for name in below if folder.count("/") < 3 and name != "proc"]
    try:
        open(folder + "/written", "w").close()
        print(folder)
    except OSError:
        pass
"""


@pytest.mark.skipif(not cages.bubblewrap_works(), reason="there is no bubblewrap")
def test_only_two_folders_of_the_sandbox_can_be_written_to(tmp_path):
    for name in ("library", "work"):
        (tmp_path / name).mkdir()
    command = [*cages.walls(shutil.which("bwrap"), tmp_path / "library", tmp_path / "work"), sys.executable, "-S", "-c", TRY_TO_WRITE]
    done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, env={}, text=True)
    folders = {folder for folder in done.stdout.splitlines() if not folder.startswith("/tmp/")}  # where this Python itself lies in /tmp
    assert folders == {"/dev/shm", "/tmp"} and not done.stderr


def test_a_bwrap_that_cannot_limit_files_is_not_asked_to(tmp_path, monkeypatch):
    monkeypatch.setattr(cages, "takes_size", lambda program: False)
    assert "--size" not in cages.walls("bwrap", tmp_path, tmp_path)
