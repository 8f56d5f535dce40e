"""What a system that is not ours needs to grade: this project's Python files, the homework, and the versions it was made with."""

import importlib.metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]  # the folder that holds the package


def archive_files(homework):
    """Everything a grading archive holds: name -> bytes."""
    files = {name: path.read_bytes() for name, path in package_files()}
    return files | {"homework.ini": homework.path.read_bytes(), "requirements.txt": requirements().encode()}


def package_files():
    """(name in the archive, path) of the project's Python files, sorted. No data: grading needs none."""
    found = [(f"minigrad/{path.relative_to(ROOT / 'minigrad').as_posix()}", path) for path in (ROOT / "minigrad").rglob("*.py")]
    found += [("alexnet.py", ROOT / "alexnet.py")] if (ROOT / "alexnet.py").exists() else []
    return sorted(found)


def requirements():
    """requirements.txt: the versions with which the model got full marks."""
    lines = []
    for name in ("numpy", "threadpoolctl"):
        try:
            lines.append(f"{name}=={importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            lines.append(name)
    return "\n".join(lines) + "\n"
