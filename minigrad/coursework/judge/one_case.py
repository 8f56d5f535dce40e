"""One case of an exercise, tried with a solution -> Report."""

import time
from dataclasses import replace

from minigrad.coursework.judge.gradients import by_gradients
from minigrad.coursework.judge.values import NotWritten, by_values, report_title
from minigrad.gradcheck import Finding, Report


def run_case(exercise, solution, case, seed, notes):
    """Try a solution with one case -> Report. notes: the list to which `captured` appends warnings; those of this case are reported."""
    start, notes_before = time.perf_counter(), len(notes)
    try:
        if case.kind == "gradients":
            report = by_gradients(exercise, solution, case, seed)
        else:
            report = by_values(exercise, solution, case, seed)
    except NotWritten as blank:
        report = Report("not started", report_title(exercise, case), seed, 0.0, notes=(str(blank),))
    except SystemExit:
        report = error_report(exercise, case, seed, "The solution ends the program (sys.exit or quit): raise an error, or return.")
    all_notes = tuple(dict.fromkeys([*report.notes, *notes[notes_before:]]))
    return replace(report, notes=all_notes, seconds=time.perf_counter() - start)


def error_report(exercise, case, seed, sentence):
    finding = Finding("contract", "raises", "", sentence)
    return Report("error", report_title(exercise, case), seed, 0.0, findings=(finding,), cause=sentence)
