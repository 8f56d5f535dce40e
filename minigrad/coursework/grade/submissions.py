"""What was handed in: a folder, an archive, a file or a notebook for each submission; and which of its files holds a group's solution.

Nothing of an archive is unpacked under a name of its own: only the one file that is asked for is copied, under the name it should have."""

import os
import zipfile
from pathlib import PurePosixPath

from minigrad.coursework.grade.notebook_code import CannotRead, module_text

LARGEST = 2_000_000  # bytes of a file that is looked at


def submissions_in(folder):
    """The paths of all submissions in a folder, sorted: folders, archives, .py files, notebooks."""
    found = [path for path in folder.iterdir() if not path.name.startswith(".") and path.name != "__MACOSX"]
    return sorted(path for path in found if path.is_dir() or path.suffix in (".zip", ".py", ".ipynb"))


def name_of(path):
    """What a submission is called: the name of its folder, or of its file without the suffix."""
    return path.name if path.is_dir() else path.stem


def fetch(path, group, exercises, file):
    """Copy the solution of a group from a submission to `file` -> "", or a sentence that says why it cannot be done.

    A file with the group's name counts before a notebook, one higher in the folder before one deeper; a single .py file counts as it is."""
    contents = readers(path)
    if isinstance(contents, str):
        return contents

    def from_the_top(names):
        return sorted(names, key=lambda name: (name.count("/"), name))

    candidates = from_the_top(name for name in contents if PurePosixPath(name).name == f"{group}.py")
    candidates += from_the_top(name for name in contents if name.endswith(".ipynb"))
    candidates += contents if path.is_file() and path.suffix == ".py" else []
    if not candidates:
        return f"there is no {group}.py and no notebook"
    name = candidates[0]
    content, short_name = contents[name](), PurePosixPath(name).name
    if content is None:
        return f"{short_name} is larger than {LARGEST // 1_000_000} MB, or cannot be read"
    if name.endswith(".ipynb"):
        try:
            content = module_text(short_name, content, [exercise.source.__name__ for exercise in exercises]).encode()
        except CannotRead as error:
            return str(error)
    file.write_bytes(content)
    return ""


def readers(path):
    """name -> a function that reads this file of a submission: bytes, or None if it is too large or cannot be read. Or a sentence that
    says why nothing can be read."""
    if path.suffix == ".zip" and path.is_file():
        try:
            with zipfile.ZipFile(path) as archive:
                infos = [info for info in archive.infolist() if not info.is_dir() and may_hold_solution(info.filename)]
                contents = {info.filename: unzipped(archive, info) for info in infos}
            return {name: (lambda content=content: content) for name, content in contents.items()}
        except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError):
            return f"{path.name} is no archive that can be opened"
    if path.is_file():
        return {path.name: lambda: read(path)}
    found = [file for file in path.rglob("*") if file.is_file() and not file.is_symlink()]
    names = {file.relative_to(path).as_posix(): file for file in found}
    return {name: (lambda file=file: read(file)) for name, file in names.items() if may_hold_solution(name)}


def may_hold_solution(name):
    """Whether a file is Python or a notebook, and in no folder that is hidden or that a system or an editor adds."""
    return name.endswith((".py", ".ipynb")) and not any(part.startswith((".", "__")) for part in PurePosixPath(name).parts[:-1])


def unzipped(archive, info):
    """The bytes of a file in an archive, or None if it is too large."""
    with archive.open(info) as file:
        data = file.read(LARGEST + 1)
    return data if len(data) <= LARGEST else None


def read(file):
    """The bytes of a file, or None if it is too large or cannot be read."""
    try:
        return file.read_bytes() if os.path.getsize(file) <= LARGEST else None
    except OSError:
        return None
