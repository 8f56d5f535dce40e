"""Unpacking one submission, a script of its own: whatever a damaged or hostile archive does to it happens in a process that holds nothing.

It copies the Python files and notebooks of a submission, and those in archives in it, into a new folder, and writes a list of them to
stdout. Names become ones that every file system takes, links are not followed, and what an archive says it holds is added up before any of
it is unpacked. It uses Python's library alone: it is started once for each submission."""

import io
import json
import os
import stat
import sys
import tarfile
import zipfile

LARGEST = {".py": 2_000_000, ".ipynb": 20_000_000}  # bytes of a file that is looked at; a notebook holds its pictures, too
LARGEST_ARCHIVE = 100_000_000
MOST_BYTES, MOST_FILES = 50_000_000, 2_000  # of all files copied
MOST_MEMBERS, DEEPEST = 200_000, 3  # of an archive or a folder, wanted or not; archives in archives
LONGEST_NAME = 150  # bytes of a part of a path
FOREIGN = ("site-packages", "dist-packages", "node_modules")  # folders of what is installed: whole libraries, handed in by accident
SUFFIXES = (".py", ".ipynb")
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
OTHER_ARCHIVES = (".7z", ".rar", ".gz", ".bz2", ".xz", ".zst", ".dmg", ".iso")


class Refused(Exception):
    """A submission that is not unpacked: a sentence."""


def kind(name):
    """The suffix that counts, ".py", ".ipynb" or one of those of archives; "" for other files. A ".txt" behind it, which mail programs and
    editors add, and capital letters change nothing."""
    name = name.lower()
    name = name[:-4] if name.endswith((".py.txt", ".ipynb.txt")) else name
    return next((suffix for suffix in (*SUFFIXES, *ARCHIVES, *OTHER_ARCHIVES) if name.endswith(suffix)), "")


def safe(part):
    """A part of a path as every file system takes it."""
    part = part[:-4] if part.lower().endswith((".py.txt", ".ipynb.txt")) else part
    stem, dot, suffix = part.rpartition(".")
    part = f"{stem}.{suffix.lower()}" if f".{suffix.lower()}" in SUFFIXES else part
    part = "".join(sign if sign.isprintable() and sign not in '<>:"/\\|?*' else "_" for sign in part)
    return part.encode()[-LONGEST_NAME:].decode(errors="ignore")


def parts_of(name):
    """The parts of a path in an archive, however it was written."""
    return [part for part in name.replace("\\", "/").split("/") if part not in ("", ".", "..")]


def own(folder):
    """Whether a student's own work may lie in a folder of this name: it is not hidden, and no system, editor or installer adds it."""
    return not folder.startswith((".", "__")) and folder not in FOREIGN


def wanted(parts):
    """Whether a file is of a kind that is looked at, and in no folder that somebody else adds."""
    return bool(parts and kind(parts[-1]) and all(map(own, parts[:-1])) and not parts[-1].startswith("."))


class Unpacking:
    """Copies files below a folder. `files`: a list of [name as the student knows it, path below the folder]; `problems`: sentences."""

    def __init__(self, folder):
        self.folder, self.files, self.problems, self.size = folder, [], [], 0

    def add(self, parts, size, read, depth=0):
        """Take one file. read: a number of bytes at most -> bytes."""
        name, suffix = "/".join(parts), kind(parts[-1])
        if suffix in OTHER_ARCHIVES:
            self.problems.append(f"{name} is an archive of a kind that is not opened here: hand in a .zip")
            return
        largest = LARGEST.get(suffix, LARGEST_ARCHIVE)
        content = read(largest + 1) if size <= largest else None
        if content is None or len(content) > largest:
            self.problems.append(f"{name} is larger than {largest // 1_000_000} MB, or cannot be read")
        elif suffix in SUFFIXES:
            self.write(name, [safe(part) for part in parts], content)
        elif depth == DEEPEST:
            self.problems.append(f"{name} is an archive in an archive in an archive")
        else:
            try:
                self.open_archive(parts, suffix, content, depth)
            except Refused:
                raise
            except Exception:  # of modules for a dozen formats; nothing else that was handed in is to suffer from it
                self.problems.append(f"{name} is no archive that can be opened")

    def write(self, name, parts, content):
        self.size += len(content)
        if self.size > MOST_BYTES or len(self.files) == MOST_FILES:
            raise Refused(too_much())
        path, number = os.path.join(*parts), 1
        os.makedirs(os.path.join(self.folder, *parts[:-1]), exist_ok=True)
        while os.path.lexists(os.path.join(self.folder, path)):  # names that differ in what `safe` has replaced, or in case
            number += 1
            stem, suffix = os.path.splitext(os.path.join(*parts))
            path = f"{stem}_{number}{suffix}"
        with open(os.path.join(self.folder, path), "xb") as file:
            file.write(content)
        self.files.append([name, path])

    def open_archive(self, parts, suffix, content, depth):
        if suffix == ".zip":
            archive = zipfile.ZipFile(io.BytesIO(content))
            members = archive.infolist()
            found = [(parts_of(info.filename), info.file_size, info) for info in members if is_plain(info)]
            opened = archive.open
        else:
            archive = tarfile.open(fileobj=io.BytesIO(content))
            members = bounded(archive)
            found = [(parts_of(info.name), info.size, info) for info in members if info.isreg()]
            opened = archive.extractfile
        if len(members) > MOST_MEMBERS:
            raise Refused(f"{parts[-1]} holds more than {MOST_MEMBERS:,} files")
        found = [(inner, size, info) for inner, size, info in found if wanted(inner)]
        sizes = {suffix: 0 for suffix in (*SUFFIXES, *ARCHIVES, *OTHER_ARCHIVES)}
        for inner, size, _ in found:
            sizes[kind(inner[-1])] += size
        if len(found) > MOST_FILES or sum(sizes[suffix] for suffix in SUFFIXES) > MOST_BYTES or sum(sizes.values()) > LARGEST_ARCHIVE:
            raise Refused(too_much())
        for inner, size, info in found:
            try:
                with opened(info) as file:
                    self.add([*parts, *inner], size, file.read, depth + 1)
            except Refused:
                raise
            except Exception:
                self.problems.append(f"{'/'.join([*parts, *inner])} is damaged, or cannot be opened")


def too_much():
    return f"it holds more than {MOST_FILES:,} Python files and notebooks, or more than {MOST_BYTES // 1_000_000} MB of them"


def bounded(archive):
    """The members of a tar archive, up to one more than are allowed."""
    members = []
    for member in archive:
        members.append(member)
        if len(members) > MOST_MEMBERS:
            break
    return members


def is_plain(info):
    """Whether a member of a zip is a file, and no folder or link."""
    return not info.is_dir() and stat.S_IFMT(info.external_attr >> 16) in (0, stat.S_IFREG)


def unpack(entries, folder):
    """Unpack what one student handed in -> {"files": as in `Unpacking`, but each with its entry's index first, "problems": sentences}.

    entries: a list of [path, name]; name: what a single file is called; of a folder the names begin below it. A folder or an archive gets
    a folder of its own, single files lie side by side, so that one may import the other."""
    files, problems, size = [], [], 0
    for i, (path, name) in enumerate(entries):
        single = kind(name) in SUFFIXES and not os.path.isdir(path)
        below = os.path.join(folder, "files" if single else str(i))
        unpacking = Unpacking(below)
        unpacking.size = size
        try:
            if os.path.islink(path):
                unpacking.problems.append(f"{name} is a link, which is not followed")
            elif os.path.isdir(path):
                walk(path, unpacking)
            elif kind(name):
                take(path, [name], unpacking)
            else:
                unpacking.problems.append(f"{name} is no Python file, notebook or archive")
        except Refused as refused:
            unpacking.files, unpacking.problems = [], [str(refused)]
        size = unpacking.size
        files += [[i, name, os.path.join(os.path.basename(below), copied)] for name, copied in unpacking.files]
        problems += unpacking.problems
    return {"files": files, "problems": problems}


def walk(top, unpacking):
    """Take the files of a folder, from the top, sorted by their names."""
    seen = 0
    for folder, folders, files in os.walk(top):  # which does not follow links
        folders[:] = sorted(filter(own, folders))
        for name in sorted(files):
            seen += 1
            if seen > MOST_MEMBERS:
                raise Refused(f"it holds more than {MOST_MEMBERS:,} files")
            parts = [*os.path.relpath(folder, top).split(os.sep), name]
            parts = [part for part in parts if part != "."]
            if wanted(parts):
                take(os.path.join(folder, name), parts, unpacking)


def take(path, parts, unpacking):
    """Take one file, unless it is a link, or no file at all."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except OSError:
        link = os.path.islink(path)
        unpacking.problems.append(f"{'/'.join(parts)} {'is a link, which is not followed' if link else 'cannot be read'}")
        return
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode):
            try:
                unpacking.add(parts, status.st_size, file.read)
            except OSError as error:  # such as a path that is longer here than where it was
                unpacking.problems.append(f"{'/'.join(parts)} cannot be read: {error.strerror}")


def limit(megabytes):
    """Limit the memory and the size of files of this process, where the system can."""
    try:
        import resource  # missing on Windows

        resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))
        resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_ARCHIVE, LARGEST_ARCHIVE))
    except (ImportError, OSError, ValueError):
        pass


if __name__ == "__main__":
    limit(1024)
    request = json.load(sys.stdin)  # {"entries": [[path, name], ...], "folder": "..."}
    try:
        done = unpack(request["entries"], request["folder"])
    except (MemoryError, RecursionError):
        done = {"files": [], "problems": ["it cannot be unpacked in 1 GB of memory"]}
    json.dump(done, sys.stdout)
