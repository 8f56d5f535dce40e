"""Files are written whole or not at all."""

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from minigrad import files

ROOT = Path(__file__).parents[1]


def test_the_new_file_takes_the_place_of_the_old_one_at_the_end(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with files.replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old" and temporary.parent == tmp_path and temporary.suffix == ".txt"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("durable", [False, True])
def test_a_file_that_fails_leaves_the_old_one(tmp_path, durable):
    path = tmp_path / "old.png"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError, match="half way"):
        with files.replacing(path, durable) as temporary:
            with open(temporary, "wb") as file:
                file.write(b"new")
            raise RuntimeError("half way")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("where", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch, where):
    path = tmp_path / "a.txt"
    files.write_text(path, "old", durable=True)

    def full(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, where, full)
    with pytest.raises(OSError, match="No space"):
        files.write_text(path, "new", durable=True)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_durable_file_is_on_the_disk_before_it_is_renamed(tmp_path, monkeypatch):
    done = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: done.append("flushed"))
    rename = os.replace
    monkeypatch.setattr(os, "replace", lambda *names: done.append("renamed") or rename(*names))
    files.write_text(tmp_path / "a.txt", "text", durable=True)
    assert done == ["flushed", "renamed"] + ["flushed"] * (os.name == "posix")
    done.clear()
    files.write_text(tmp_path / "b.txt", "text")
    assert done == ["renamed"]


def test_text_keeps_its_line_ends_and_its_encoding(tmp_path):
    files.write_text(tmp_path / "a.txt", "naïve\r\nline\n")
    assert (tmp_path / "a.txt").read_bytes() == "naïve\r\nline\n".encode()
    files.write_text(tmp_path / "a.txt", "1", encoding="utf-8-sig")
    assert (tmp_path / "a.txt").read_bytes() == b"\xef\xbb\xbf1"
    files.write_bytes(tmp_path / "b", b"\0\n")
    assert (tmp_path / "b").read_bytes() == b"\0\n"


@pytest.mark.skipif(os.name != "posix", reason="elsewhere links need rights")
def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "link.txt").symlink_to(tmp_path / "disk" / "a.txt")
    files.write_text(tmp_path / "link.txt", "text")
    assert (tmp_path / "link.txt").is_symlink() and (tmp_path / "disk" / "a.txt").read_text() == "text"


@pytest.mark.skipif(os.name != "posix", reason="named pipes are POSIX's")
def test_a_pipe_is_written_to_and_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    read = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_text()), daemon=True)
    reader.start()
    files.write_text(tmp_path / "pipe", "text")
    reader.join(10)
    assert read == ["text"] and (tmp_path / "pipe").is_fifo()


def test_a_folder_is_an_error_and_stays(tmp_path):
    (tmp_path / "a.txt").mkdir()
    with pytest.raises(OSError):
        files.write_text(tmp_path / "a.txt", "text")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_folder_that_does_not_exist_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        files.write_text(tmp_path / "nowhere" / "a.txt", "text")


def test_what_a_killed_process_leaves_is_found(tmp_path):
    code = (
        "import os, sys; from pathlib import Path; from minigrad import files\n"
        "with files.replacing(Path(sys.argv[1]) / 'a.bin') as temporary:\n    temporary.write_text('half'); os._exit(1)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, check=False)
    (left,) = files.leftovers(tmp_path)
    assert left.read_text() == "half" and list(tmp_path.iterdir()) == [left]
    files.write_text(tmp_path / "a.bin", "whole")
    assert files.leftovers(tmp_path) == [left]


@pytest.mark.skipif(os.name != "posix", reason="elsewhere links need rights")
def test_a_temporary_name_that_is_a_link_is_not_followed(tmp_path):
    (tmp_path / "other").write_text("precious")
    (tmp_path / f"a.{os.getpid()}.tmp.txt").symlink_to(tmp_path / "other")
    files.write_text(tmp_path / "a.txt", "text")
    assert (tmp_path / "other").read_text() == "precious" and (tmp_path / "a.txt").read_text() == "text"
    assert not (tmp_path / "a.txt").is_symlink()


@pytest.mark.parametrize("number", ["EINVAL", "ENOTSUP", "ENOSYS"])
def test_a_file_system_that_cannot_flush_is_no_error(tmp_path, monkeypatch, number):
    """CIFS and FUSE know no fsync of folders."""

    def unknown(descriptor):
        raise OSError(getattr(errno, number), "unknown")

    monkeypatch.setattr(os, "fsync", unknown)
    files.write_text(tmp_path / "a.txt", "text", durable=True)
    assert (tmp_path / "a.txt").read_text() == "text"


def test_names_that_only_look_like_leftovers_are_none(tmp_path):
    for name in ("a.tmp", "my.tmp.txt", "12.tmp", "a.12.tmpx", "b.12.tmp.csv", "c.12.tmp"):
        (tmp_path / name).write_text("")
    assert [path.name for path in files.leftovers(tmp_path)] == ["b.12.tmp.csv", "c.12.tmp"]
    files.sweep(tmp_path)
    assert not files.leftovers(tmp_path) and len(list(tmp_path.iterdir())) == 4


def test_a_folder_is_locked_for_one_and_nothing_is_left(tmp_path):
    code = (
        "import sys; from minigrad import files\ntry:\n    with files.locked(sys.argv[1]):\n        print('free')\n"
        "except BlockingIOError as error:\n    print('held')"
    )

    def other():
        return subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, capture_output=True, text=True).stdout.strip()

    with files.locked(tmp_path):
        assert other() == "held"
        with pytest.raises(BlockingIOError):
            with files.locked(tmp_path):
                pass
    assert other() == "free" and not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name != "posix", reason="flock is POSIX's")
def test_a_file_system_without_locks_is_no_error(tmp_path, monkeypatch):
    import fcntl

    def unknown(*arguments):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", unknown)
    with files.locked(tmp_path):
        pass
