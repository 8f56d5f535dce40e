"""The code of a notebook that was handed in, as the text of a module: its imports, classes, functions and constants.

What else a cell does, `check` or plots, is left out. Cells are not executed."""

import ast
import json


class CannotRead(Exception):
    """A notebook whose code cannot be read: a sentence."""


def module_text(file, content, names):
    """The text of a module with all that stands in the code cells; of a name that is defined several times the last definition counts.

    file: the notebook's name, for the sentence. content: bytes. names: the classes or functions that are asked for; a cell that defines
    none of them may hold an error. Raises CannotRead."""
    imports, definitions = [], {}
    for text in code_cells(file, content):
        lines = [line for line in text.splitlines() if not line.lstrip().startswith(("%", "!"))]
        try:
            nodes = ast.parse("\n".join(lines)).body
        except SyntaxError as error:
            if any(f"class {name}" in text or f"def {name}" in text for name in names):
                raise CannotRead(f"{file}, in the cell of {names[0]}, line {error.lineno}: {error.msg}") from None
            continue
        for node in nodes:
            first = min([node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", ()))])
            statement = "\n".join(lines[first - 1 : node.end_lineno])
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                imports.append(statement)
            elif isinstance(node, (ast.ClassDef, ast.FunctionDef)):
                definitions.pop(node.name, None)  # the last definition stands where it was made, below what it uses
                definitions[node.name] = statement
            elif is_constant(node):
                definitions[node.targets[0].id] = statement
    return "\n".join(dict.fromkeys(imports)) + "\n\n\n" + "\n\n\n".join(definitions.values()) + "\n"


def code_cells(file, content):
    """The texts of the code cells. Raises CannotRead."""
    try:
        cells = json.loads(content.decode("utf-8-sig"))["cells"]
        return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    except (ValueError, KeyError, TypeError, UnicodeDecodeError):
        raise CannotRead(f"{file} is not a notebook") from None


def is_constant(node):
    """Whether a statement gives names to a value that is computed without a call."""
    is_assignment = isinstance(node, ast.Assign) and all(isinstance(target, ast.Name) for target in node.targets)
    return is_assignment and not any(isinstance(part, ast.Call) for part in ast.walk(node.value))
