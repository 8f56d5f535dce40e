"""A pytest plugin: every public case is a test, with an id that stays.

    python -m pytest -p minigrad.coursework.suite --impl student/
    python -m pytest -p minigrad.coursework.suite --impl student/ conv2d "lrn.backward[paper]"

Arguments that are not files are ids, or their beginnings. Only these tests run; -k, -x, --junitxml and the rest work as always."""

import sys
from pathlib import Path

import pytest

from minigrad.coursework.exercises import ALL, EXERCISES, find
from minigrad.coursework.judge.loading import NoSuchImpl
from minigrad.coursework.judge.runner import attempt
from minigrad.coursework.judge.verdict import message, status_of


def pytest_addoption(parser):
    group = parser.getgroup("minigrad.coursework")
    group.addoption("--impl", metavar="WHERE", help="where the solutions are: reference, blank, PATH.py, FOLDER or package.module")
    group.addoption("--seed", type=int, default=0, help="seed of the numbers that the cases are tried with (default: 0)")


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session):
    """With --impl the tests are the public cases, and nothing else is collected. Raises pytest.UsageError for an id, a
    case or --impl that is not there."""
    config = session.config
    impl = config.getoption("impl")
    if impl is None:
        return None
    # pytest counts the folders of its settings as arguments, too; only those that were typed are ids.
    typed = [arg for arg in config.invocation_params.args if arg in config.args and not Path(arg.split("::")[0]).exists()]
    try:
        asked = find([arg.split("[")[0] for arg in typed], ALL) if typed else EXERCISES
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None
    with_all_cases = {e.id for e in find([arg for arg in typed if "[" not in arg], ALL)} if typed else {e.id for e in asked}
    sys.path.insert(0, str(config.invocation_params.dir))
    try:
        attempt(impl, asked[0], ())
    except NoSuchImpl as error:
        raise pytest.UsageError(f"--impl: {error}") from None
    items = [
        CaseItem.from_parent(session, name=f"{exercise.id}[{case.name}]", exercise=exercise, case=case)
        for exercise in asked
        for case in exercise.cases
    ]
    items = [item for item in items if item.exercise.id in with_all_cases or item.name in typed]
    if not items:
        raise pytest.UsageError(f"there is no case {', '.join(typed)}")
    session.items = items
    config.hook.pytest_collection_modifyitems(session=session, config=config, items=session.items)
    config.hook.pytest_collection_finish(session=session)
    session.testscollected = len(session.items)
    return True


class CaseItem(pytest.Item):
    """One public case."""

    def __init__(self, *, exercise, case, **more):
        super().__init__(**more)
        self.exercise, self.case = exercise, case
        self._nodeid = self.name  # "conv2d.backward[stride2-pad]", wherever pytest is called

    def runtest(self):
        seed = self.config.getoption("seed")
        result = attempt(self.config.getoption("impl"), self.exercise, (self.case,), seed)
        self.user_properties += [("status", result.status), ("earned", result.earned), ("possible", result.possible)]
        if result.output:
            self.add_report_section("call", "stdout", result.output)
        report = result.reports[0]
        if status_of(report) != "passes":
            again = f"python -m minigrad.coursework check {self.exercise.id} --case {self.case.name} --seed {seed}"
            raise NotPassed(message(self.exercise, self.case, report, again))

    def repr_failure(self, excinfo):
        """The message alone: the checker's frames would not help."""
        return str(excinfo.value) if isinstance(excinfo.value, NotPassed) else super().repr_failure(excinfo)

    def reportinfo(self):
        return Path(self.exercise.id), None, self.name


class NotPassed(Exception):
    """A case that did not pass, with its message."""


@pytest.hookimpl(tryfirst=True)
def pytest_report_teststatus(report):
    """A blank is reported as "not started", not as a failure; the run does not pass either."""
    if report.when == "call" and report.failed and ("status", "not started") in report.user_properties:
        return "not started", "o", "NOT STARTED"
    return None
