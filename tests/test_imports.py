"""Imports point one way, there are no circles, and `import minigrad` brings in nothing heavy."""

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted([ROOT / "alexnet.py", *(ROOT / "minigrad").rglob("*.py")])

# What a room may import of the project; whole packages by their names. Rooms that are not listed may import all but alexnet and coursework.
MAY_IMPORT = {
    "minigrad.engine": {"minigrad.engine", "minigrad.interrupts"},
    "minigrad.device": {"minigrad.device", "minigrad.engine"},
    "minigrad.cuda": {"minigrad.cuda", "minigrad.device", "minigrad.interrupts"},
    "minigrad.layers": {"minigrad.layers", "minigrad.device", "minigrad.engine", "minigrad.cuda", "minigrad.interrupts"},
    "minigrad.towers": {"minigrad.layers", "minigrad.device"},
    "minigrad.hybrid": {"minigrad.towers", "minigrad.layers"},
    "minigrad.optim": {"minigrad.interrupts"},
    "minigrad.plain": {"minigrad.layers.base"},
    "minigrad.files": set(),
    "minigrad.names": set(),
    "minigrad.interrupts": set(),
    "minigrad.gradcheck": {"minigrad.gradcheck"},
    "minigrad.plots": {"minigrad.plots", "minigrad.files", "minigrad.names"},
    "minigrad.visualise": {"minigrad.visualise", "minigrad.layers"},
    "minigrad.data": {"minigrad.data", "minigrad.device", "minigrad.files", "minigrad.names", "minigrad.ranks"},
    "minigrad.training": {
        "minigrad.training",
        "minigrad.plots",
        "minigrad.files",
        "minigrad.interrupts",
        "minigrad.names",
        "minigrad.ranks",
    },
    "minigrad.ranks": {"minigrad.ranks", "minigrad.cuda.nccl", "minigrad.device"},
}
MAY_IMPORT_LATE = {"minigrad.device.cpu", "minigrad.device.parse"}  # cuda, which builds on device, through importlib


def name_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def inside(module, packages):
    return any(module == package or module.startswith(package + ".") for package in packages)


def imports(path, source=None):
    """The absolute names of all modules that a file imports, wherever in it; `from a import b` counts as a.b where b is a module."""
    name = name_of(path)
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8") if source is None else source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join(base + ([node.module] if node.module else []))
            for alias in node.names:
                submodule = ROOT / (base + "." + alias.name).replace(".", "/")
                yield f"{base}.{alias.name}" if submodule.with_suffix(".py").exists() or submodule.is_dir() else base


def circle(graph):
    """The modules of a circle in {module: modules it imports}, or None."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]


def test_imports_are_found():
    source = (
        "import os.path\nfrom minigrad import SGD, device\nfrom . import pool\nfrom ..towers import Towers\ndef f():\n    import alexnet"
    )
    found = list(imports(ROOT / "minigrad" / "layers" / "conv.py", source))
    assert found == ["os.path", "minigrad", "minigrad.device", "minigrad.layers.pool", "minigrad.towers", "alexnet"]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_arrows(path):
    name = name_of(path)
    room = ".".join(name.split(".")[:2])
    for module in imports(path):
        if inside(module, ["minigrad"]) and room in MAY_IMPORT:
            assert inside(module, MAY_IMPORT[room]), f"{name} imports {module}"
        if inside(module, ["alexnet"]):
            assert room == "minigrad.coursework", f"{name} imports {module}"
        if inside(module, ["minigrad.coursework"]):
            assert room == "minigrad.coursework", f"{name} imports {module}"
        if inside(module, ["cupy"]):
            assert room == "minigrad.cuda", f"{name} imports {module}"
        if inside(module, ["mpi4py"]):
            assert room == "minigrad.ranks", f"{name} imports {module}"
        if inside(module, ["torch"]):
            assert room == "minigrad.commands", f"{name} imports {module}"
    if "import_module(" in path.read_text(encoding="utf-8") and room != "minigrad.coursework":  # which loads students' files by name
        assert name in MAY_IMPORT_LATE, f"{name} imports what no test sees"


def test_there_is_no_circle_of_imports():
    """None among files, those hidden in functions included, whether they import a module or its package."""
    graph = {name_of(path): {module for module in imports(path) if inside(module, ["minigrad", "alexnet"])} for path in MODULES}
    assert circle(graph) is None
    graph["minigrad.engine.memory"].add("minigrad.layers.conv")
    assert circle(graph)


def test_import_minigrad_brings_in_nothing_heavy():
    code = "import sys, minigrad; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert "minigrad.layers.conv" in loaded
    heavy = {"matplotlib", "cupy", "mpi4py", "minigrad.ranks", "torch", "PIL", "tqdm", "importlib.metadata", "threadpoolctl"}
    assert not heavy & set(loaded)
