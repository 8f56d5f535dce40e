"""Builds the notebooks of this folder from source/*.py: python notebooks/build.py

A source is a Python script whose cells begin with `# %%` or `# %% [markdown]`; it runs as it is. A cell that begins with
`# %% exercise="conv2d.backward"` is empty: it is filled with the class to write, blank or solved, cut from the library's own source,
below a text that says what it will be tried with, and followed by the cell that checks it. Several ids, one space between them, are
blanks of one class. A text that begins with `# %% [markdown] mistakes="conv2d.backward"` gets the table of the known mistakes and of
what the checker says of them."""

import argparse
import hashlib
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jupytext
import nbformat

from minigrad.coursework.exercises import find
from minigrad.coursework.explain import looked_at
from minigrad.coursework.release.address import first_cell, source_address
from minigrad.coursework.release.notebooks import cell_id, check_text, class_text
from minigrad.files import write_text

HERE = Path(__file__).resolve().parent
FIRST = first_cell(source_address())


def build(source, solutions=False):
    """The notebook of a source: a student's, or with the exercises solved. The same source always gives the same bytes."""
    script, cells, taken = jupytext.reads(source.read_text(encoding="utf-8"), fmt="py:percent"), [], Counter()

    def add(cell_type, text, id=None):
        if id is None:  # of the text alone, so that a new cell changes the id of no other
            id = "c" + hashlib.sha256(f"{source.stem}\n{text}".encode()).hexdigest()[:10]
        taken[id] += 1
        id += f"-{taken[id]}" * (taken[id] > 1)
        make = nbformat.v4.new_markdown_cell if cell_type == "markdown" else nbformat.v4.new_code_cell
        cells.append(make(text, id=id))

    for number, cell in enumerate(script.cells):
        exercises = find(cell.metadata.get("exercise", "").split()) if "exercise" in cell.metadata else []
        if exercises:
            add("markdown", "\n\n".join(f"*{exercise.id}.* {looked_at(exercise)}" for exercise in exercises))
            add("code", class_text(exercises[0].source, exercises, "solution" if solutions else "blank"), cell_id(exercises))
            for exercise in exercises:
                add("code", check_text(exercise), f"{cell_id([exercise])}-check")
        else:
            add(cell.cell_type, cell.source + mistakes(cell.metadata.get("mistakes", "").split()))
        if number == 0:
            add("code", FIRST.rstrip(), "install")
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel, "language_info": {"name": "python"}})


def mistakes(ids):
    """A table: what is often done wrong, and the sentence it is known by."""
    rows = dict.fromkeys((m.name, m.hint) for exercise in (find(ids) if ids else ()) for m in exercise.mistakes if m.hint)
    lines = [f"| {name} | {hint} |" for name, hint in rows]
    return "\n\n" + "\n".join(["| what was done | what the report says |", "|---|---|", *lines]) if rows else ""


def execute(notebook, name, seconds=600):
    """Run all cells in a fresh kernel and an empty folder; the outputs come into the notebook. Raises CellExecutionError."""
    from nbclient import NotebookClient

    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(notebook, timeout=seconds, kernel_name="python3", resources={"metadata": {"path": folder}})
        start = time.perf_counter()
        client.execute()
    print(f"{name}: {time.perf_counter() - start:.1f} s", file=sys.stderr)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # times of day
    return notebook


def main():
    parser = argparse.ArgumentParser(description="Build the notebooks from their sources.")
    parser.add_argument("only", nargs="*", metavar="NN", help="numbers of notebooks (default: all)")
    parser.add_argument("--check", action="store_true", help="write nothing; say which notebooks are not what their sources give")
    parser.add_argument("--solutions", action="store_true", help="with the exercises solved")
    parser.add_argument("--execute", action="store_true", help="run them, two at a time, and keep the outputs")
    parser.add_argument("--out", type=Path, default=HERE, metavar="DIR", help="where they go (default: here)")
    options = parser.parse_args()
    if (options.solutions or options.execute) and options.out.resolve() == HERE and not options.check:
        parser.error("--solutions and --execute need an --out: this folder holds the students' edition, without outputs")
    sources = [s for s in sorted((HERE / "source").glob("[0-9]*.py")) if not options.only or s.stem.split("_")[0] in options.only]
    if not sources:
        parser.error(f"there is no notebook {', '.join(options.only)} in {HERE / 'source'}")
    options.out.mkdir(parents=True, exist_ok=True)

    def one(source):
        notebook = build(source, options.solutions)
        return execute(notebook, source.stem) if options.execute else notebook

    stale = []
    with ThreadPoolExecutor(2) as pool:
        for source, notebook in zip(sources, pool.map(one, sources), strict=True):
            path, text = options.out / f"{source.stem}.ipynb", nbformat.writes(notebook) + "\n"
            if not options.check:
                write_text(path, text)
            elif not path.exists() or path.read_text(encoding="utf-8") != text:
                stale.append(path.name)
    if stale:
        print(f"{', '.join(stale)}: not what the sources give; run python notebooks/build.py", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
