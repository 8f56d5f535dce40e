"""Grading a folder of submissions: each exercise of each in a fresh process, with nothing of the student's but the files asked for."""

import json
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from minigrad.coursework.grade import results
from minigrad.coursework.grade.submissions import fetch, name_of, submissions_in
from minigrad.coursework.hidden import hidden_cases
from minigrad.coursework.homework import HomeworkError, read_homework
from minigrad.coursework.judge.process import judge_in_process
from minigrad.coursework.judge.runner import untried
from minigrad.coursework.judge.verdict import verdict_of
from minigrad.files import write_text

MEMORY_LIMIT = 4 << 30  # bytes of address space of a solution's process


def grade(submissions, homework, csv_file=None, json_file=None, workers=2, reveal=False, system=None):
    """Grade submissions, write what is asked for -> lines to print.

    submissions: a folder with a folder, an archive or a file for each; with `system`, a single submission. homework: its .ini file.
    csv_file: the table to write, one row for each submission and exercise. json_file: the file to write with what students may see.
    workers: how many submissions are graded at once. reveal: students see the full reports of hidden cases. system: None, or "gradescope"
    or "autolab", for which the results are written.

    Raises HomeworkError for a bad homework, for a folder that is not there or empty, and for a file that cannot be written."""
    homework, folder = read_homework(homework), Path(submissions)
    check_arguments(folder, csv_file, json_file, workers, system)
    paths = [folder] if system else submissions_in(folder)
    if not paths:
        raise HomeworkError(f"{folder} is empty; it should hold a folder, an archive or a file for each submission")
    with ThreadPoolExecutor(workers) as pool:
        graded = list(pool.map(lambda path: grade_submission(path, homework), paths))
    names = ["submission"] if system else [name_of(path) for path in paths]
    feedback = [results.feedback_for(name, verdicts, homework, reveal) for name, verdicts in zip(names, graded, strict=True)]
    if csv_file:
        save(csv_file, results.table(names, graded, homework), "utf-8-sig")  # spreadsheets know UTF-8 by its mark
    if json_file:
        content = results.gradescope_results(feedback[0], homework) if system else {"homework": homework.title, "submissions": feedback}
        save(json_file, json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")
    if system == "autolab":
        return results.autolab_lines(feedback[0])
    width = max(map(len, names))
    lines = [f"{each['submission']:{width}}  {each['score']:g} of {each['max_score']:g}" for each in feedback]
    return lines + [f"{path} written" for path in (csv_file, json_file) if path]


def check_arguments(folder, csv_file, json_file, workers, system):
    """Raises HomeworkError for what would fail after the class was graded, or would do nothing."""
    if not folder.is_dir():
        raise HomeworkError(f"there is no folder {folder}; it holds a folder, an archive or a file for each submission")
    if workers < 1:
        raise HomeworkError(f"--workers must be at least 1, not {workers}")
    for path in (csv_file, json_file):
        if path and not Path(path).absolute().parent.is_dir():
            raise HomeworkError(f"{path} cannot be written: there is no folder {Path(path).absolute().parent}")
    if not (csv_file or json_file or system):
        raise HomeworkError("nothing would be written: name a table with --out, or results with --json")


def save(path, text, encoding):
    """Write a text, line ends as they are. Raises HomeworkError."""
    try:
        write_text(path, text, encoding)
    except OSError as error:
        raise HomeworkError(f"{path} cannot be written: {error.strerror}") from None


# ---- one submission


def grade_submission(path, homework):
    """Verdicts on all exercises of the homework, in its order. Beside what a verdict holds, each has "points", what it earns in this
    homework, and "public", the number of its public cases, which come first."""
    verdicts = []
    with tempfile.TemporaryDirectory() as folder:
        for group, exercises in homework.groups.items():
            file = Path(folder) / f"{group}.py"
            problem = fetch(path, group, exercises, file)
            for exercise in exercises:
                verdict = untried_verdict(exercise, homework, problem) if problem else grade_file(file, exercise, homework)
                points = round(verdict["earned"] / verdict["possible"] * homework.points[exercise.id], 2)
                verdicts.append(verdict | {"points": points, "public": len(exercise.cases)})
    return verdicts


def untried_verdict(exercise, homework, problem):
    """The verdict on an exercise of which there is no file to try. problem: a sentence."""
    cases = exercise.cases + hidden_cases(exercise, homework.seed)
    verdict = verdict_of(exercise, untried(exercise, cases, 0, problem), cases)
    return verdict | {"status": "not started" if problem.startswith("there is no") else "wrong"}


def grade_file(file, exercise, homework):
    """The verdict on the exercise that a file holds, its hidden cases included."""
    request = {
        "impl": str(file),
        "exercise": exercise.id,
        "seed": 0,
        "secret": homework.seed,
        "again": f"python -m minigrad.coursework check {exercise.id} --case {{case}} --seed {{seed}}",
        "guarded": True,
        "forbidden": homework.forbidden,
        "memory_limit": MEMORY_LIMIT,
    }
    return judge_in_process(request, exercise, exercise.cases + hidden_cases(exercise, homework.seed))
