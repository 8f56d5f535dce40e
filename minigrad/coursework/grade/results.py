"""Results: the table for the teacher, and the feedback for students in the form that Gradescope reads.

verdicts: those of one submission, one for each exercise, as `grade_submission` gives them. A row is a dict: COLUMNS -> text."""

import csv
import io
import json

from minigrad.coursework.feedback import feedback_on
from minigrad.coursework.grade.judging import fails_as_a_whole
from minigrad.coursework.judge.answer import shown
from minigrad.names import FORMULA, no_formula

COLUMNS = ("submission", "exercise", "earned", "possible", "status", "cause", "file", "late", "id")


# ---- for the teacher


def rows_of(submission, verdicts, homework):
    """The rows of a submission."""
    return [
        {
            "submission": submission.name,
            "exercise": verdict["exercise"],
            "earned": f"{verdict['points']:g}",
            "possible": f"{0 if verdict['exercise'] in homework.bonus else homework.points[verdict['exercise']]:g}",
            "status": verdict["status"],
            "cause": verdict["cause"],
            "file": verdict["file"],
            "late": f"{verdict['days_late']}" if homework.late else "",
            "id": submission.id,
        }
        for verdict in verdicts
    ]


def table(rows, heading=True):
    """The text of a .csv file."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    if heading:
        writer.writerow(COLUMNS)
    writer.writerows([no_formula(shown(row[column], 500)) for column in COLUMNS] for row in rows)
    return out.getvalue()


def rows_in(text):
    """The rows of a table that `table` has made. Raises ValueError."""
    reader = csv.DictReader(io.StringIO(text, newline=""))
    if tuple(reader.fieldnames or ()) != COLUMNS:
        raise ValueError("not a table of grades")
    return [
        {column: cell[1:] if cell.startswith(tuple("'" + sign for sign in FORMULA)) else cell for column, cell in row.items()}
        for row in reader
    ]


# ---- for students


def feedback_for(submission, verdicts, homework, reveal=False):
    """What a student may see of a submission, a dict. reveal: hidden cases are shown as public ones are."""
    tests = [exercise_feedback(verdict, homework, reveal) for verdict in verdicts]
    return {"submission": submission.name} | ({"id": submission.id} if submission.id else {}) | totals(tests, homework) | {"tests": tests}


def totals(tests, homework):
    """The points of a submission: those of bonus exercises are earned, but not expected."""
    expected = [homework.points[test["name"]] for test in tests if test["name"] not in homework.bonus]
    return {"score": round(sum(test["score"] for test in tests), 2), "max_score": sum(expected)}


def exercise_feedback(verdict, homework, reveal):
    """What a student may see of an exercise, a dict: a "test" of Gradescope's."""
    return {
        "name": verdict["exercise"],
        "score": verdict["points"],
        "max_score": homework.points[verdict["exercise"]],
        "output": "\n\n".join([verdict["status"], *messages(verdict, homework, reveal)]),
        "visibility": "visible",
        "status": "passed" if verdict["status"] == "passes" else "failed",
    }


def messages(verdict, homework, reveal):
    """The texts below the status of an exercise, each once, none empty."""
    texts = []
    for i, case in enumerate(verdict["cases"]):
        is_hidden = i >= verdict["public"] and not reveal
        if case["status"] == "wrong" or (is_hidden and homework.feedback != "none"):
            texts.append(feedback_on(case, homework.feedback, is_hidden))
    if fails_as_a_whole(verdict):
        texts = [verdict["cause"]]
    if verdict["file"]:
        texts.insert(0, f"file: {verdict['file']}")
    if verdict["days_late"]:
        days, off = verdict["days_late"], min(100, 100 * homework.late * verdict["days_late"])
        texts.append(f"{days} day{'s' * (days > 1)} late: {off:g} % of the points are taken off")
    if verdict["output"]:
        texts.append("printed:\n" + verdict["output"].rstrip())
    return [text for text in dict.fromkeys(texts) if text]


# ---- for other systems, which grade one submission at a time


def gradescope_results(submission, homework):
    """results.json as Gradescope reads it. submission: its feedback."""
    return {key: value for key, value in submission.items() if key != "submission"} | {"output": homework.title}


def autolab_lines(submission):
    """What Autolab reads from stdout: texts for the student, then the scores. The last line counts, and nothing may follow it."""
    scores = {test["name"]: test["score"] for test in submission["tests"]}
    return [*(test["output"] for test in submission["tests"]), json.dumps({"scores": scores})]
