"""Grading: from a folder of submissions to a table of grades and to what students may see.

grading.py         the order of it all: each exercise of each submission in a process of its own
submissions.py     what was handed in: folders, archives, files, and which of their files holds a solution
notebook_code.py   the code of a notebook that was handed in, as a module
results.py         the table for the teacher, and the feedback in Gradescope's form"""
