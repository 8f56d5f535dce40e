"""What runs beside a student's code, in its process. It imports nothing of minigrad: a copy of this folder is all that the process gets.

actor.py     answers requests: load the solution, make a layer, call a method
wire.py      values as bytes on a pipe
modules.py   a file or a notebook as a module; cells.py: what of a notebook's cells is Python
errors.py    an exception as a sentence
blank.py     is a function still blank?
fences.py    limits, and what Python refuses to do here"""
