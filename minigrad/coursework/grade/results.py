"""Results: the table for the teacher, and the feedback for students in the form that Gradescope reads.

verdicts: those of one submission, one for each exercise, as `grade_submission` gives them."""

import csv
import io
import json

from minigrad.coursework.feedback import feedback_on

COLUMNS = ("submission", "exercise", "earned", "possible", "status", "cause")


# ---- for the teacher


def table(names, graded, homework):
    """The text of a .csv file. names: of the submissions. graded: the verdicts of each."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for name, verdicts in zip(names, graded, strict=True):
        for verdict in verdicts:
            earned, possible = verdict["points"], homework.points[verdict["exercise"]]
            writer.writerow(
                [no_formula(name), verdict["exercise"], f"{earned:g}", f"{possible:g}", verdict["status"], no_formula(verdict["cause"])]
            )
    return out.getvalue()


def no_formula(text):
    """A cell that a spreadsheet does not take for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


# ---- for students


def feedback_for(name, verdicts, homework, reveal=False):
    """What a student may see of a submission, a dict. reveal: hidden cases are shown as public ones are."""
    return {
        "submission": name,
        "score": round(sum(verdict["points"] for verdict in verdicts), 2),
        "max_score": sum(homework.points.values()),
        "tests": [exercise_feedback(verdict, homework, reveal) for verdict in verdicts],
    }


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
    if len({case["cause"] for case in verdict["cases"]}) == 1 and verdict["status"] != "passes":
        texts = [verdict["cause"]]  # the file is missing, broken, or did not end
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
