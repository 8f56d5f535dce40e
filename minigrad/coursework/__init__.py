"""Coursework: exercises cut from the layers themselves, checked by the gradient checker.

    python -m minigrad.coursework new conv2d        begin
    python -m minigrad.coursework check conv2d      see how far it is

In a notebook: `from minigrad.coursework import check; check("conv2d.backward", Conv2d)`. COURSEWORK.md is the teacher's page.

Where what is:

    __main__.py     the command line; checking.py and console.py help it
    notebook.py     check and score, for notebooks; suite.py: the public cases as a pytest plugin
    from_file.py    check_file and score_file, for notebooks that nbgrader and otter grade
    exercises/      the tables of exercises: what is written (exercise.py), with which cases it is tried (cases.py; hidden.py draws those
                    for grading), which mistakes are known (mistakes/)
    tasks.py        model solutions of the exercises that are functions; those of the layers stand in minigrad/plain.py
    threads.py      ranks as threads: what the exercises on all-reduce run on
    variants.py     model solutions of the exercises for graded work
    explain.py      what is wanted, derived
    source.py       the text of a model solution; blanks.py takes bodies out of it, worksheets.py makes files of it
    judge/          from a solution to a verdict
    homework.py     what a teacher writes down; feedback.py: what students learn of hidden cases
    release/        from a homework to what students get
    grade/          from a folder of submissions to a table of grades"""

from minigrad.coursework.from_file import check_file, score_file
from minigrad.coursework.notebook import CheckFailed, check, score
from minigrad.coursework.threads import AllReduce
from minigrad.layers import Layer, Parameter
from minigrad.plain import col2im, four_sides, im2col, output_size

__all__ = [
    "AllReduce",
    "CheckFailed",
    "Layer",
    "Parameter",
    "check",
    "check_file",
    "col2im",
    "four_sides",
    "im2col",
    "output_size",
    "score",
    "score_file",
]
