"""Known mistakes that some cases speak for and others against: they are not named."""

from dataclasses import replace

from minigrad.coursework.judge.one_case import run_case
from minigrad.coursework.judge.values import known
from minigrad.coursework.source import plant


def agreed(exercise, solution, cases, reports, seed):
    """The reports, in which a known mistake is named only if all cases are as they are with it: in one case two mistakes may give the same
    numbers. Where few cases are tried, the public ones are asked, too."""
    if len(cases) < 3 and any(mistake.hint in report.cause for report in reports for mistake in known(exercise)):
        more = [case for case in exercise.cases if case.name not in [tried.name for tried in cases]]
        others = [run_case(exercise, solution, case, seed, []) for case in more]
        return agreed(exercise, solution, [*cases, *more], [*reports, *others], seed)[: len(cases)] if more else reports
    while True:
        named = {hint for mistake in known(exercise) for report in reports if (hint := mistake.hint) in report.cause}
        doubtful = {hint for hint in named if not agree(exercise, solution, hint, cases, reports, seed)}
        if not doubtful:
            return reports
        exercise = without(exercise, doubtful)
        for i, (case, report) in enumerate(zip(cases, reports, strict=True)):
            if any(hint in report.cause for hint in doubtful):
                reports[i] = replace(run_case(exercise, solution, case, seed, []), notes=report.notes)


def without(exercise, hints):
    """The exercise without the known mistakes of these hints."""
    mistakes, others = (tuple(m for m in part if m.hint not in hints) for part in (exercise.mistakes, exercise.others))
    return replace(exercise, mistakes=mistakes, others=others)


def agree(exercise, solution, hint, cases, reports, seed):
    """Whether all cases, whose reports these are, may come out so with a mistake of this hint: it shows there; or it would not, and what is
    wrong there is something else; or the solution raised an error."""
    alone = without(exercise, {mistake.hint for mistake in known(exercise)} - {hint})
    models = [plant(exercise.source, mistake) for mistake in known(alone)]
    where = set().union(*(blamed(report) for report in reports if hint in report.cause))
    for case, report in zip(cases, reports, strict=True):
        if report.status == "error":  # nothing is known of the numbers
            continue
        explained = any(mistake.hint in report.cause for mistake in known(exercise))
        if hint in report.cause or not report.ok and hint in run_case(alone, solution, case, seed, []).cause:
            continue
        may_hide = report.ok or explained or not where & blamed(report)
        if not may_hide or not any(run_case(alone, model, case, seed, []).ok for model in models):
            return False
    return True


def blamed(report):
    """The names of what is wrong in a report: "x" and "dx" are one."""
    return {finding.tensor.removeprefix("d") for finding in report.findings}
