"""Grading a folder of submissions: each exercise of each in a fresh process, with nothing of the student's but the files asked for."""

import csv
import io
import json
import os
import tempfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

from minigrad.coursework.exercises import hidden
from minigrad.coursework.homework import HomeworkError, read_homework, shown
from minigrad.coursework.solutions import Broken, apart, failed, from_notebook, verdict

LARGEST = 2_000_000  # bytes of a file that is looked at
MEMORY = 4 << 30  # bytes of address space of a solution's process
COLUMNS = ("submission", "exercise", "earned", "possible", "status", "cause")


def grade(options):
    """Write what the options ask for -> lines to print. Raises HomeworkError."""
    homework, folder = read_homework(options.homework), Path(options.submissions)
    if not folder.is_dir():
        raise HomeworkError(f"there is no folder {folder}; it holds a folder, an archive or a file for each submission")
    if options.workers < 1:
        raise HomeworkError(f"--workers must be at least 1, not {options.workers}")
    for path in (options.out, options.json):
        if path and not Path(path).absolute().parent.is_dir():
            raise HomeworkError(f"{path} cannot be written: there is no folder {Path(path).absolute().parent}")
    if not (options.out or options.json or options.form):
        raise HomeworkError("nothing would be written: name a table with --out, or results with --json")
    submissions = [folder] if options.form else entries(folder)
    if not submissions:
        raise HomeworkError(f"{folder} is empty; it should hold a folder, an archive or a file for each submission")
    with ThreadPoolExecutor(options.workers) as pool:
        graded = list(pool.map(lambda path: grade_one(path, homework), submissions))
    names = ["submission"] if options.form else [name_of(path) for path in submissions]
    results = [
        {"submission": name, "score": total(found), "max_score": sum(homework.points.values()), "tests": tests(found, homework, options)}
        for name, found in zip(names, graded, strict=True)
    ]
    if options.out:
        save(options.out, table(names, graded, homework), "utf-8-sig")  # spreadsheets know UTF-8 by its mark
    if options.json:
        found = results[0] | {"output": homework.title} if options.form else {"homework": homework.title, "submissions": results}
        found.pop("submission", None)
        save(options.json, json.dumps(found, indent=1, ensure_ascii=False) + "\n", "utf-8")
    if options.form == "autolab":  # the last line counts, and nothing may follow it
        outputs = [test["output"] for test in results[0]["tests"]]
        scores = {found["exercise"]: found["points"] for found in graded[0]}
        return [*outputs, json.dumps({"scores": scores})]
    width = max(map(len, names))
    lines = [f"{name:{width}}  {result['score']:g} of {result['max_score']:g}" for name, result in zip(names, results, strict=True)]
    return lines + [f"{path} written" for path in (options.out, options.json) if path]


def entries(folder):
    """A submission is a folder, an archive, a file or a notebook."""
    found = [path for path in folder.iterdir() if not path.name.startswith(".") and path.name != "__MACOSX"]
    return sorted(path for path in found if path.is_dir() or path.suffix in (".zip", ".py", ".ipynb"))


def name_of(path):
    return path.name if path.is_dir() else path.stem


def save(path, text, encoding):
    try:
        Path(path).write_text(text, encoding=encoding, newline="")
    except OSError as error:
        raise HomeworkError(f"{path} cannot be written: {error.strerror}") from None


# ---- one submission


def grade_one(path, homework):
    """Verdicts on all exercises of the homework, in its order, each with the points it earns."""
    graded = []
    with tempfile.TemporaryDirectory() as folder:
        for group, exercises in homework.groups.items():
            problem = fetch(path, group, exercises, Path(folder))
            for exercise in exercises:
                cases = exercise.cases + hidden(exercise, homework.seed)
                if problem:
                    found = verdict(exercise, failed(exercise, cases, 0, problem), cases)
                    found["status"] = "not started" if problem.startswith("there is no") else "wrong"
                else:
                    request = {
                        "place": str(Path(folder) / f"{group}.py"),
                        "exercise": exercise.id,
                        "seed": 0,
                        "secret": homework.seed,
                        "again": f"python -m minigrad.coursework check {exercise.id} --case {{case}} --seed {{seed}}",
                        "guard": True,
                        "forbidden": homework.forbidden,
                        "memory": MEMORY,
                    }
                    found = apart(request, exercise, cases)
                share = found["earned"] / found["possible"]
                graded.append(found | {"points": round(share * homework.points[exercise.id], 2), "public": len(exercise.cases)})
    return graded


def fetch(path, group, exercises, folder):
    """Copy one file of a submission, or the cells of a notebook, into a folder of its own -> what is wrong, or ""."""
    files = files_of(path)
    if isinstance(files, str):
        return files
    wanted = f"{group}.py"
    found = sorted((name for name in files if PurePosixPath(name).name == wanted), key=lambda name: (name.count("/"), name))
    notebooks = sorted((name for name in files if name.endswith(".ipynb")), key=lambda name: (name.count("/"), name))
    single = path.is_file() and path.suffix == ".py"
    if not found and not notebooks and not single:
        return f"there is no {wanted} and no notebook"
    name = found[0] if found else notebooks[0] if notebooks else next(iter(files))
    content = files[name]()
    if content is None:
        return f"{PurePosixPath(name).name} is larger than {LARGEST // 1_000_000} MB, or cannot be read"
    if name.endswith(".ipynb"):
        try:
            content = from_notebook(PurePosixPath(name).name, content, [exercise.source.__name__ for exercise in exercises]).encode()
        except Broken as broken:
            return str(broken)
    (folder / wanted).write_bytes(content)
    return ""


def files_of(path):
    """name -> a function that reads the file (None if it is too large), or a sentence. Nothing of an archive is unpacked by its name."""
    if path.suffix == ".zip" and path.is_file():
        try:
            with zipfile.ZipFile(path) as archive:
                infos = [info for info in archive.infolist() if not info.is_dir() and usual(info.filename)]
                contents = {info.filename: unzipped(archive, info) for info in infos}
            return {name: (lambda content=content: content) for name, content in contents.items()}
        except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError):
            return f"{path.name} is no archive that can be opened"
    if path.is_file():
        return {path.name: lambda: read(path)}
    found = [file for file in path.rglob("*") if file.is_file() and not file.is_symlink() and usual(file.relative_to(path).as_posix())]
    return {file.relative_to(path).as_posix(): (lambda file=file: read(file)) for file in found}


def usual(name):
    """No hidden files, nothing that an operating system or an editor adds, only what may hold a solution."""
    return name.endswith((".py", ".ipynb")) and not any(part.startswith((".", "__")) for part in PurePosixPath(name).parts[:-1])


def unzipped(archive, info):
    with archive.open(info) as file:
        data = file.read(LARGEST + 1)
    return data if len(data) <= LARGEST else None


def read(file):
    try:
        return file.read_bytes() if os.path.getsize(file) <= LARGEST else None
    except OSError:
        return None


# ---- results


def total(graded):
    return round(sum(found["points"] for found in graded), 2)


def table(names, graded, homework):
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for name, all_found in zip(names, graded, strict=True):
        for found in all_found:
            points = homework.points[found["exercise"]]
            writer.writerow([safe(name), found["exercise"], f"{found['points']:g}", f"{points:g}", found["status"], safe(found["cause"])])
    return out.getvalue()


def safe(text):
    """A cell that a spreadsheet does not take for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def tests(graded, homework, options):
    """What a student sees, exercise by exercise, in the form that Gradescope reads."""
    rows = []
    for found in graded:
        lines = []
        for i, row in enumerate(found["cases"]):
            is_hidden = i >= found["public"] and not options.reveal
            if row["status"] == "wrong" or (is_hidden and homework.feedback != "none"):
                lines.append(shown(row, homework.feedback, is_hidden))
        if len({row["cause"] for row in found["cases"]}) == 1 and found["status"] != "passes":
            lines = [found["cause"]]  # the file is missing, broken, or did not end
        if found["output"]:
            lines.append("printed:\n" + found["output"].rstrip())
        rows.append(
            {
                "name": found["exercise"],
                "score": found["points"],
                "max_score": homework.points[found["exercise"]],
                "output": "\n\n".join(line for line in [found["status"], *dict.fromkeys(lines)] if line),
                "visibility": "visible",
                "status": "passed" if found["status"] == "passes" else "failed",
            }
        )
    return rows
