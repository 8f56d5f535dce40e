"""Grading: from a folder of submissions to a table of grades and to what students may see.

grading.py      the order of it all: the class, its rows as they come, the files in the end
submissions.py  what was handed in, and by whom; which files may hold a solution; roster.py: who is in the class
judging.py      one submission: each of its exercises in a process of its own
unpacking.py    the script that unpacks a submission, in a process of its own
results.py      the table for the teacher, and the feedback in Gradescope's form
exports.py      the same for Canvas and Moodle, by id
pairs.py        a list of submissions that are alike; alike.py: what that means"""
