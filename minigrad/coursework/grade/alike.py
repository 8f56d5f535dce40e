"""Which submissions are alike once names, comments and layout are taken away: a hint what to read side by side, never a verdict.

As a script of its own it reads files of students and gives their prints: numbers, one for each run of LENGTH tokens in which names are
replaced by the order in which they appear, so that renaming changes nothing (winnowing: Schleimer, Wilkerson and Aiken, 2003)."""

import json
import keyword
import re
import sys
import zlib

LENGTH = 12  # tokens in a run
FEWEST = 30  # prints beyond those of the blank; a shorter solution has only one way to be written
ALIKE = 0.8  # of the smaller one's prints are in the other
TOKEN = re.compile(r"#[^\n]*|[A-Za-z_]\w*|\d[\w.]*|\"\"\".*?\"\"\"|'''.*?'''|\"[^\"\n]*\"|'[^'\n]*'|\S", re.DOTALL)


def prints_of(text):
    """The prints of a Python text, a set of ints. Names that follow `np.` stay what they are, as keywords do."""
    tokens, before = [], ("", "")
    for token in TOKEN.findall(text):
        if token[0] in "#\"'":
            continue
        is_name = (token[0].isalpha() or token[0] == "_") and not keyword.iskeyword(token) and before != ("np", ".")
        tokens.append((is_name, token))
        before = (before[1], token)
    found = set()
    for i in range(len(tokens) - LENGTH + 1):
        order, run = {}, []
        for is_name, token in tokens[i : i + LENGTH]:
            run.append(f"_{order.setdefault(token, len(order))}" if is_name else token)
        found.add(zlib.crc32(" ".join(run).encode("utf-8", "replace")))
    return found


def text_of(path):
    """The text of a Python file, or of the code cells of a notebook."""
    with open(path, "rb") as file:
        text = file.read().decode("utf-8-sig", "replace")
    if path.endswith(".ipynb"):
        cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
        text = "\n".join("".join(cell["source"]) for cell in cells)
    return text


def pairs_alike(prints):
    """(share, key, key) of those that are alike, the most alike first. prints: key -> set, without what was given to everybody."""
    found, keys = [], sorted(key for key, own in prints.items() if len(own) >= FEWEST)
    for i, first in enumerate(keys):
        for second in keys[i + 1 :]:
            share = len(prints[first] & prints[second]) / min(len(prints[first]), len(prints[second]))
            if share >= ALIKE:
                found.append((round(share, 2), first, second))
    return sorted(found, key=lambda pair: (-pair[0], pair[1], pair[2]))


if __name__ == "__main__":
    done = []
    for path in json.load(sys.stdin):
        try:
            done.append(sorted(prints_of(text_of(path))))
        except (OSError, ValueError, KeyError, TypeError, RecursionError, MemoryError):
            done.append([])
    json.dump(done, sys.stdout)
