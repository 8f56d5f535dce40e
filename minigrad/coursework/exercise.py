"""What an exercise is: functions to write, the cases they are tried with, and the mistakes that are usually made."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Exercise:
    """One exercise, as data.

    id         "group.name", or "group" alone; it never changes
    source     the model solution, a class or function
    write      the names of its functions that are to be written; all else is given
    after      ids of exercises that come first
    cases      the public cases
    vary       rng -> a hidden `Case`, without a name
    mistakes   known mistakes in what is to be written; others: those in the other functions of the source, written in other exercises
    points, minutes, reading   what it is worth, how long it takes, what to read first
    library    full names of the library's own versions, which a graded solution may not use
    random     forward draws numbers, so it cannot be compared with the model's"""

    id: str
    title: str
    source: type
    write: tuple
    after: tuple
    cases: tuple
    vary: Callable
    mistakes: tuple
    points: int
    minutes: int
    reading: str
    others: tuple = ()
    library: tuple = ()
    random: bool = False

    @property
    def group(self):
        """The first word of the id: the exercises of a group are written into one file."""
        return self.id.split(".")[0]
