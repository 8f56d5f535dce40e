"""Notebooks of a homework: a text, a cell with the class to write, and a cell that checks it, for each class or function."""

import json

from minigrad.coursework.explain import looked_at
from minigrad.coursework.release.address import how_to_install, source_address
from minigrad.coursework.worksheets import definitions, import_lines, parts_of

# ---- cells, as nbformat 4.5 has them


def cell(kind, id, text, metadata=None):
    """kind: "markdown", "code" or "raw". id: unique in its notebook; at most 64 characters are kept."""
    fields = {"cell_type": kind, "id": id[:64], "metadata": metadata or {}, "source": text.strip("\n").splitlines(keepends=True)}
    return fields | ({"execution_count": None, "outputs": []} if kind == "code" else {})


def as_text(cells):
    """The text of an .ipynb file. The same cells always give the same text."""
    metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}, "language_info": {"name": "python"}}
    notebook = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(notebook, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def cell_id(exercises):
    """conv2d-backward; conv2d-forward-backward."""
    words = [word for exercise in exercises for word in exercise.id.replace("_", "-").split(".")]
    return "-".join(dict.fromkeys(words))


# ---- the texts in them


def by_source(exercises):
    """source -> its exercises, in order: each source gets one cell."""
    found = {}
    for exercise in exercises:
        found.setdefault(exercise.source, []).append(exercise)
    return found


def class_text(source, exercises, form, beside=()):
    """A cell that holds all that its class needs: imports and definitions. form: "blank", "markers" or "solution". beside: names of what
    other cells of the notebook define."""
    functions = dict(parts_of(exercises))[source]
    return "\n".join(import_lines([source], beside)) + "\n\n\n" + definitions(source, functions, form).rstrip()


def names_asked(homework):
    """The names of the classes and functions that a homework asks for."""
    return {exercise.source.__name__ for exercise in homework.exercises}


def introduction(exercises):
    """The text above a class, in Markdown."""
    lines = [f"**{e.id}** {e.title} ({e.minutes} minutes). {looked_at(e)}" for e in exercises]
    return "\n\n".join([*lines, f"`python -m minigrad.coursework explain {exercises[0].group}` derives what is wanted."])


def heading(homework):
    """The text above all others, in Markdown."""
    due = f"\n\nDue: {homework.due}" if homework.due else ""
    text = f"Run a cell with Shift and Enter. Below each class a cell checks it. {how_to_install(source_address())}"
    return f"# {homework.title}{due}\n\n{text}"


def check_text(exercise):
    """The cell that checks an exercise."""
    return f'from minigrad.coursework import check\n\ncheck("{exercise.id}", {exercise.source.__name__})'


def notebook_text(homework, form):
    """The text of the notebook of a homework. form: "blank" or "solution"."""
    cells = [cell("markdown", "title", heading(homework))]
    for source, exercises in by_source(homework.exercises).items():
        id = cell_id(exercises)
        cells.append(cell("markdown", f"{id}-text", introduction(exercises)))
        cells.append(cell("code", id, class_text(source, exercises, form, names_asked(homework))))
        cells += [cell("code", f"{cell_id([exercise])}-check", check_text(exercise)) for exercise in exercises]
    return as_text(cells)
