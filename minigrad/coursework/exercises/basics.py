"""Exercises of notebooks 00 and 01: arrays, slopes by differences, reports to read."""

from minigrad.coursework import hidden, tasks
from minigrad.coursework.cases import Array, Case
from minigrad.coursework.exercise import Exercise
from minigrad.coursework.mistakes import functions


def hunt_exercise(number, mistakes):
    """Which of four mistakes does a report show? explain.py has the reports."""
    name, case = f"hunt_{number}", Case("answer", kind="property", property="answers")
    return Exercise(
        f"hunt.{number}", f"Which mistake has layer {number}? Its report tells", getattr(tasks, name),
        write=(name,), after=("numerical_gradient",),
        cases=(case,),
        vary=hidden.always(case), mistakes=mistakes,
        points=1, minutes=5, reading=f"notebook 01; `explain hunt.{number}` shows the report",
    )  # fmt: skip


BASICS = (
    Exercise(
        "arrays.windows", "All windows of an image, as a view", tasks.windows, write=("windows",), after=(),
        cases=(
            Case("plain", (2, 5, 4, 3), (3,), kind="property", property="is_view"),
            Case("stride2", (1, 7, 6, 2), (3, 2), kind="property", property="is_view", weight=2),
            Case("gaps", (3, 5, 8, 1), (2, 3), kind="property", property="is_view"),
        ),
        vary=hidden.windows, mistakes=functions.WINDOWS,
        points=2, minutes=15, reading="notebook 00; numpy.lib.stride_tricks.sliding_window_view",
    ),
    Exercise(
        "arrays.in_place", "Change an array where it lies", tasks.in_place, write=("in_place",), after=(),
        cases=(
            Case("matrix", (4, 3), (Array((4, 3)), 0.1), kind="property", property="changes_in_place"),
            Case("images", (3, 2, 5, 4), (Array((3, 2, 5, 4)), 0.5), kind="property", property="changes_in_place"),
        ),
        vary=hidden.in_place, mistakes=functions.IN_PLACE,
        points=1, minutes=5, reading="notebook 00",
    ),
    Exercise(
        "arrays.float64_leak", "float32 in, float32 out, whatever it is multiplied by", tasks.float64_leak,
        write=("float64_leak",), after=(),
        cases=(
            Case("third", (4, 3), (1 / 3,), kind="property", property="keeps_dtype"),
            Case("images", (2, 3, 5, 4), (2.5,), kind="property", property="keeps_dtype"),
        ),
        vary=hidden.float64_leak, mistakes=functions.FLOAT64_LEAK,
        points=1, minutes=5, reading="notebook 00; NumPy's promotion rules (NEP 50)",
    ),
    Exercise(
        "numerical_gradient", "Slopes by central differences", tasks.numerical_gradient, write=("numerical_gradient",), after=(),
        cases=(
            Case("cubes", (3, 4), ("cubes",), kind="property", property="differences"),
            Case("mixing", (2, 3), ("mixing",), kind="property", property="differences", weight=2),
            Case("reuses-memory", (2, 2), ("reuses",), kind="property", property="differences"),
        ),
        vary=hidden.numerical_gradient, mistakes=functions.NUMERICAL_GRADIENT,
        points=3, minutes=20, reading="notebook 01", library=("minigrad.gradcheck.differences.numerical_gradient",),
    ),
    hunt_exercise(1, functions.HUNT_1),
    hunt_exercise(2, functions.HUNT_2),
    hunt_exercise(3, functions.HUNT_3),
    hunt_exercise(4, functions.HUNT_4),
    hunt_exercise(5, functions.HUNT_5),
)  # fmt: skip
