"""A release: from a homework to what students get and what the teacher keeps.

build.py        the folders student/ and instructor/, and the order of it all
notebooks.py    the notebook of a homework, and its cells
proof.py        the proof that students get no solution, no marker, no hidden case
nbgrader.py     the homework for nbgrader; likewise otter.py, gradescope.py, autolab.py
container.py    a recipe for grading where there is no bubblewrap
archive.py      what these, Gradescope and Autolab need to grade: this project's files and the homework
address.py      the project's address, from setup.cfg, and what a first cell does about a missing library
files.py        writing texts and worksheets; hidden cases as plain data"""
