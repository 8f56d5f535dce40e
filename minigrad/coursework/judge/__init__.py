"""The judge: from a solution to a verdict, the same for all ways in (the command line, `check` in a notebook, pytest, the grader).

loading.py      finds a solution: a class or function from a file, a folder, a module
runner.py       tries it with cases: a `Result`, with a report of the gradient checker's kind for each case
one_case.py     tries it with one case: values.py compares values one by one, gradients.py asks the gradient checker
agreement.py    a known mistake is named only where all cases speak for it
inputs.py       the inputs and layers of a case
outputs.py      which values a case compares; properties.py, randomness.py and sums.py: those of cases of the kind "property"
keeping.py      whether forward keeps what backward needs; summands.py: the sign of a sum of which one term is left
comparison.py   how two values are compared, and the sentence for a wrong one
capture.py      what a solution prints is collected, its warnings become notes
errors.py       an exception as a sentence
verdict.py      a result as plain data that can go from process to process
request.py      from a request (plain data) to a verdict; guard.py: what the text of a graded solution may not use
cage.py         the process of a graded solution, in a sandbox where there is one; caged/ is what runs there
library.py      what that process gets of this project: no solution of the exercise
remote.py       a solution in that process, called as if it were here
process.py      the same in a process of its own; child.py is the script that runs there
answer.py       what that process answers, read with caution; ending.py: ending it with all that it has started"""
