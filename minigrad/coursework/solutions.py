"""Where solutions come from: the model, blanks, a file, a folder, a module, a notebook. And judging one in a process of its own."""

import ast
import importlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from minigrad.coursework.cases import settings
from minigrad.coursework.runner import Result, cause_of, quiet, raised, run, title
from minigrad.coursework.source import file_text, plant
from minigrad.gradcheck import Finding, Report

PATIENCE = 20  # seconds; a solution has these, or ten times what the model takes


class NoSuchPlace(ValueError):
    """--impl names nothing that is there: a sentence."""


class Broken(Exception):
    """A file that cannot be read as a module: a sentence."""


# ---- loading


def parts_of(exercises):
    """What `file_text` wants: each source once, with the functions to write and what they are called."""
    parts = {}
    for exercise in exercises:
        parts.setdefault(exercise.source, {}).update({name: exercise.id for name in exercise.write})
    return list(parts.items())


def heading(exercises, impl="student"):
    """The docstring of a file of blanks."""
    lines = [f"{exercises[0].group}: write what is blank.", ""]
    lines += [f"{e.id:22} {e.title} ({e.minutes} minutes; {e.reading})".replace("\\", "") for e in exercises]
    place = "" if impl == "student" else f" --impl {impl}"
    lines += ["", f"Check it with   python -m minigrad.coursework check {exercises[0].group}{place}"]
    return "\n".join(lines)


def path_in(place, exercise):
    """The file that holds an exercise: the place itself, or, in a folder, the one called after its group."""
    return place / f"{exercise.group}.py" if place.is_dir() else place


def load(place, exercise):
    """The class or function that solves an exercise, or None if there is none.

    place: "reference", "blank", a .py file, a folder, or the name of a module or package. Raises NoSuchPlace, Broken."""
    if place == "reference":
        return plant(exercise.source)
    if place == "blank":
        space = {"__name__": "blank"}
        exec(compile(file_text("", parts_of([exercise])), "<blank>", "exec"), space)
        return space[exercise.source.__name__]
    path = Path(place)
    if path.suffix == ".py" or path.is_dir() or os.sep in str(place):
        if not path.exists():
            raise NoSuchPlace(f"there is no {'file' if path.suffix == '.py' else 'folder'} {place}")
        file = path_in(path, exercise)
        return getattr(import_file(file), exercise.source.__name__, None) if file.exists() else None
    for name in (f"{place}.{exercise.group}", str(place)):
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name and (name == error.name or name.startswith(error.name + ".")):
                continue
            raise Broken(f"{name} cannot be imported: {raised(error)}") from None
        if hasattr(module, exercise.source.__name__):
            return getattr(module, exercise.source.__name__)
    if importlib.util.find_spec(str(place).split(".")[0]) is None:
        raise NoSuchPlace(f"there is no file, folder or module {place}")
    return None


def import_file(path):
    """A file as a module, always read anew. Files beside it can be imported. Raises Broken."""
    path = Path(path).resolve()
    folder, before = str(path.parent), sys.dont_write_bytecode
    sys.dont_write_bytecode = True  # nothing is written beside a student's file
    if folder not in sys.path:
        sys.path.append(folder)
    try:
        text = path.read_text(encoding="utf-8")
        spec = importlib.util.spec_from_loader(f"_solution_{path.stem}", loader=None, origin=str(path))
        module = importlib.util.module_from_spec(spec)
        module.__file__ = str(path)
        sys.modules[module.__name__] = module
        exec(compile(text, str(path), "exec"), vars(module))
    except UnicodeDecodeError:
        raise Broken(f"{path.name} is not a text file in UTF-8") from None
    except SyntaxError as error:
        raise Broken(f"{path.name}, line {error.lineno}: {error.msg}") from None
    except (Exception, SystemExit) as error:
        raise Broken(f"{path.name} cannot be imported: {raised(error)}") from None
    finally:
        sys.dont_write_bytecode = before
    return module


def from_notebook(file, content, names):
    """Of a notebook's code cells the imports and the definitions of these names and of what stands beside them: the text of a module.

    What a cell does else, `check` or plots, is left out; the last definition of a name counts. Raises Broken."""
    try:
        cells = json.loads(content.decode("utf-8-sig"))["cells"]
        sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    except (ValueError, KeyError, TypeError, UnicodeDecodeError):
        raise Broken(f"{file} is not a notebook") from None
    imports, kept = [], {}
    for source in sources:
        lines = [line for line in source.splitlines() if not line.lstrip().startswith(("%", "!"))]
        try:
            nodes = ast.parse("\n".join(lines)).body
        except SyntaxError as error:
            if any(f"class {name}" in source or f"def {name}" in source for name in names):
                raise Broken(f"{file}, in the cell of {names[0]}, line {error.lineno}: {error.msg}") from None
            continue
        for node in nodes:
            text = "\n".join(lines[min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))]) - 1 : node.end_lineno])
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                imports.append(text)
            elif isinstance(node, (ast.ClassDef, ast.FunctionDef)):
                kept.pop(node.name, None)
                kept[node.name] = text
            elif isinstance(node, ast.Assign) and all(isinstance(target, ast.Name) for target in node.targets):
                if not any(isinstance(part, ast.Call) for part in ast.walk(node.value)):  # constants
                    kept[node.targets[0].id] = text
    return "\n".join(dict.fromkeys(imports)) + "\n\n\n" + "\n\n\n".join(kept.values()) + "\n"


def attempt(place, exercise, cases=None, seed=0):
    """Load a solution and try it -> Result. A file that is broken or missing is a result, too. Raises NoSuchPlace."""
    cases, notes = exercise.cases if cases is None else tuple(cases), []
    with quiet(notes) as printed:
        try:
            solution, broken = load(place, exercise), ""
        except Broken as error:
            broken = str(error)
    if broken:
        return failed(exercise, cases, seed, broken, printed.getvalue())
    result = run(exercise, solution, cases, seed)
    return replace(result, output=printed.getvalue() + result.output)


def failed(exercise, cases, seed, sentence, output=""):
    """The result of a solution that could not be tried."""
    finding = Finding("contract", "raises", "", sentence)
    reports = tuple(Report("error", title(exercise, case), seed, 0.0, findings=(finding,), cause=sentence) for case in cases)
    return Result(exercise.id, "wrong", 0.0, exercise.points, reports, output)


# ---- verdicts: results as plain data, which go from process to process


def verdict(exercise, result, cases, again=""):
    """A result as JSON types. again: what to type to repeat a case; {case} and {seed} are replaced."""
    hints, rows = {mistake.hint for mistake in exercise.mistakes + exercise.others}, []
    for case, report in zip(cases, result.reports, strict=True):
        command, cause = again.format(case=case.name, seed=report.seed) if again else None, cause_of(report)
        row = {"name": case.name, "kind": case.kind, "weight": case.weight, "status": status_of(report), "cause": cause}
        # What may be said of a hidden case: a known mistake's hint or a rule of the contract, but no numbers.
        row["hint"] = cause if cause in hints or any(f.check != "values" and f.sentence == cause for f in report.findings) else ""
        if case.name.startswith("hidden-"):  # nobody can repeat it
            command = None
        rows.append(row | {name: message(exercise, case, report, command, name == "plain") for name in ("message", "plain")})
    plain = {name: getattr(result, name) for name in ("exercise", "status", "earned", "possible", "cause", "output")}
    return plain | {"cases": rows}


def message(exercise, case, report, again=None, plain=False):
    """What is said of a case: the checker's message, with the case's settings. again: the command that repeats it, if there is one."""
    head, *lines = report.text(again=again, plain=plain).splitlines()
    if not again:
        lines = [line for line in lines if not line.startswith("  again:")]
    if report.status in ("failed", "error") and case.kind != "property":
        lines = [f"  {settings(exercise.source, case)}", *lines][-24:]
    return "\n".join([head, *lines])


def status_of(report):
    return {"passed": "passes", "not started": "not started"}.get(report.status, "wrong")


# ---- a process of its own


def apart(request, exercise, cases, patience=PATIENCE):
    """Judge a solution in a fresh process -> verdict. A solution that hangs, crashes or ends the process is wrong, with a sentence.

    request: what minigrad.coursework.child reads."""
    threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    own_group = {"start_new_session": True} if os.name == "posix" else {}
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("child.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | threads | {"PYTHONIOENCODING": "utf-8"},
        **own_group,
    )
    text, limit = json.dumps(request).encode(), patience
    try:
        try:
            out, err = process.communicate(text, timeout=limit)
        except subprocess.TimeoutExpired:
            start = time.perf_counter()  # the model is timed only now, when it matters
            run(exercise, plant(exercise.source), cases, request["seed"])
            limit = max(patience, 10 * (time.perf_counter() - start))
            out, err = process.communicate(timeout=max(0.1, limit - patience))
    except subprocess.TimeoutExpired:
        sentence = f"It did not end within {limit:.0f} seconds: is there an endless loop?"
        return verdict(exercise, failed(exercise, cases, request["seed"], sentence), cases, request.get("again", ""))
    finally:
        end(process)
    try:
        return json.loads(out.decode("utf-8").rstrip().rsplit("\n", 1)[-1])
    except (ValueError, UnicodeDecodeError):
        last = (err.decode("utf-8", "replace").strip().splitlines() or [""])[-1]
        how = f"was ended by signal {-process.returncode}" if process.returncode < 0 else f"ended itself with code {process.returncode}"
        sentence = f"The solution's process {how} before there was a result{': ' + last if last else ''}."
        return verdict(exercise, failed(exercise, cases, request["seed"], sentence), cases, request.get("again", ""))


def end(process):
    """End a process and all that it started."""
    try:
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    except (ProcessLookupError, PermissionError):
        pass
    process.communicate()
