"""Imports point one way: device, layers, towers, alexnet.py; and `import minigrad` brings in nothing heavy."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted([ROOT / "alexnet.py", *(ROOT / "minigrad").rglob("*.py")])

# What a part may import of the project; whole packages by their names. Parts that are not listed may import all but alexnet.
MAY_IMPORT = {
    "minigrad.device": {"minigrad.cuda"},
    "minigrad.cuda": {"minigrad.cuda", "minigrad.device"},
    "minigrad.layers": {"minigrad.layers", "minigrad.device"},
    "minigrad.towers": {"minigrad.layers", "minigrad.device"},
    "minigrad.optim": {"minigrad.device"},
    "minigrad.gradcheck": {"minigrad.gradcheck"},
    "minigrad.plots": {"minigrad.device"},
    "minigrad.data": {"minigrad.data", "minigrad.device"},
    "minigrad.training": {"minigrad.data", "minigrad.device", "minigrad.plots"},
}


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


def test_imports_are_found():
    source = (
        "import os.path\nfrom minigrad import SGD, device\nfrom . import pool\nfrom ..towers import Towers\ndef f():\n    import alexnet"
    )
    found = list(imports(ROOT / "minigrad" / "layers" / "conv.py", source))
    assert found == ["os.path", "minigrad", "minigrad.device", "minigrad.layers.pool", "minigrad.towers", "alexnet"]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_arrows(path):
    name = name_of(path)
    part = ".".join(name.split(".")[:2])
    for module in imports(path):
        if inside(module, ["minigrad"]) and part in MAY_IMPORT:
            assert inside(module, MAY_IMPORT[part]), f"{name} imports {module}"
        if inside(module, ["alexnet"]):
            assert part == "minigrad.coursework", f"{name} imports {module}"
        if inside(module, ["cupy"]):
            assert part == "minigrad.cuda", f"{name} imports {module}"
        if inside(module, ["torch"]):
            assert part in ("minigrad.benchmark", "minigrad.benchmark_gpu", "minigrad.weights"), f"{name} imports {module}"


def test_import_minigrad_brings_in_nothing_heavy():
    code = "import sys, minigrad; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert "minigrad.layers.conv" in loaded
    assert not {"matplotlib", "cupy", "torch", "PIL", "tqdm"} & set(loaded)
