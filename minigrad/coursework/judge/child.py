"""The script that runs in a process of its own: reads a request from stdin, writes the verdict to stdout. `judge_in_process` starts it."""

import json
import os
import sys

HOME = os.path.abspath(os.path.join(os.path.dirname(__file__), *[os.pardir] * 3))  # the folder that holds the package


def main():
    sys.path[0] = HOME  # in place of this script's own folder
    request = json.loads(sys.stdin.buffer.read().decode("utf-8"))
    verdict = os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):  # what a solution writes past Python is dropped, and what it asks for is never answered
        os.dup2(nowhere, stream)
    from minigrad.coursework.judge.ending import limit_memory  # only now is the package on the path, and nobody sees what imports print
    from minigrad.coursework.judge.request import judge

    if request.get("sandbox"):
        limit_memory()
    text = json.dumps(judge(request))
    os.write(verdict, b"\n")
    with os.fdopen(verdict, "wb") as out:
        out.write(text.encode("utf-8"))
        out.flush()
        os._exit(0)  # threads that a solution has left running do not keep the process alive


if __name__ == "__main__":
    main()
