"""Standard output and error that are closed, full, or lack letters."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import FLAGS

from minigrad.commands.streams import Patient, usable_streams
from minigrad.training import load_checkpoint

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(os.name != "posix", reason="redirections of a POSIX shell")


def shell(redirections, *argv, **more):
    command = " ".join(f'"{a}"' for a in (sys.executable, ROOT / "alexnet.py", *argv))
    return subprocess.run(["sh", "-c", f"{command} {redirections}"], capture_output=True, text=True, check=False, **more)


@pytest.mark.parametrize("redirections", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-", "2>/dev/full", ">/dev/full"])
def test_training_ends_as_usual_whatever_its_streams(folder, tmp_path, redirections):
    if "full" in redirections and not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full")
    done = shell(redirections, "--data", folder, "--epochs", "1", "--output", tmp_path / "run", *FLAGS)
    assert done.returncode == 0 and "Traceback" not in done.stderr and "Exception" not in done.stderr
    assert load_checkpoint(tmp_path / "run").metadata["epoch"] == 1


def test_answers_that_cannot_be_printed_are_told(run):
    if not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full")
    done = shell(">/dev/full", "summary", "--variant", "small")
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "Standard output cannot be" in done.stderr
    done = shell(">&-", "summary", "--variant", "small")
    assert done.returncode == 0 and done.stderr == ""
    assert shell(">&- 2>&-", "--device", "tpu").returncode == 2


def test_letters_that_the_output_lacks_come_as_escapes(monkeypatch):
    for encoding in ("cp1252", "ascii", "utf-8"):
        out = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        monkeypatch.setattr(sys, "stdout", out)
        with usable_streams():
            print("猫 \udce9")
        assert out.errors == "strict"
        out.flush()
        assert out.buffer.getvalue().decode(encoding).strip() == ("猫 \\udce9" if encoding == "utf-8" else "\\u732b \\udce9")


def test_streams_are_put_back_and_leave_no_descriptor(monkeypatch):
    before = sys.stdout, sys.stderr
    with usable_streams():
        assert isinstance(sys.stderr, Patient) and sys.stderr.encoding == before[1].encoding
    assert (sys.stdout, sys.stderr) == before


def test_no_file_takes_the_place_of_a_closed_stream(tmp_path):
    """Libraries in C write their warnings to descriptor 2, whatever is open there."""
    code = (
        "import os, sys; from minigrad.commands.streams import usable_streams\n"
        "with usable_streams():\n    descriptor = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY)\n"
        "    os.write(descriptor, str(descriptor).encode())"
    )
    subprocess.run(["sh", "-c", f'"{sys.executable}" -c "$0" "$1" <&- >&- 2>&-', code, tmp_path / "a"], cwd=ROOT, check=True)
    assert int((tmp_path / "a").read_text()) > 2
