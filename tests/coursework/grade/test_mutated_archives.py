"""Archives of which bytes are changed, ends are cut off, sizes and names lie: none ends the class's run, and everybody gets a row."""

import csv
import io
import random
import struct
import sys
import zipfile

import pytest

from minigrad.coursework import __main__
from minigrad.coursework.exercises import find
from minigrad.coursework.grade import judging
from minigrad.coursework.judge.runner import attempt
from minigrad.coursework.judge.verdict import verdict_of
from minigrad.coursework.worksheets import parts_of, worksheet

INI = "[homework]\nseed = 20121203\n[exercises]\nrelu.backward = 4\n"
GOOD = worksheet("", parts_of(find(["relu"])), "solution")
LOCAL, CENTRAL, END = b"PK\3\4", b"PK\1\2", b"PK\5\6"
SIZES = {LOCAL: (18, 22), CENTRAL: (20, 24), END: (12, 16)}  # where four bytes of a size or an offset stand behind each mark
NAMES = (b"\xff\xfe", b"../../", b"/etc/", b"\0\0\0", b"con:", b"\n\r\t", b"\xc3\xbc\xed\xa0", b"PK\1\2")


def good_archive(rng):
    """The bytes of a zip as somebody hands it in."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", rng.choice([zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])) as archive:
        for name in ["hw/relu.py", *rng.sample(["relu.py", "hw/notes.txt", "linear.py", "deep/er/relu.py"], rng.randint(0, 3))]:
            archive.writestr(name, GOOD if name.endswith("relu.py") else "nothing")
    return out.getvalue()


def mutated(rng):
    """A good archive with something changed."""
    content = bytearray(good_archive(rng))
    kind = rng.choice(["flip", "flip", "many", "cut", "size", "size", "name", "mark", "twice", "random"])
    marks = [(mark, at) for mark in SIZES for at in range(len(content)) if content.startswith(mark, at)]
    if kind == "flip":
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    elif kind == "many":
        for _ in range(rng.randint(2, 60)):
            content[rng.randrange(len(content))] = rng.randrange(256)
    elif kind == "cut":
        del content[rng.randrange(len(content)) :]
    elif kind == "size":
        mark, at = rng.choice(marks)
        place = at + rng.choice(SIZES[mark])
        content[place : place + 4] = struct.pack("<I", rng.choice([0, 1, 0xFFFFFFFF, 0x7FFFFFFF, 1 << 31, rng.randrange(1 << 32)]))
    elif kind == "name":
        at = content.find(b"relu.py" if b"relu.py" in content else b"linear.py", rng.choice([0, len(content) // 2]))
        word = rng.choice(NAMES)
        content[max(at, 0) : max(at, 0) + len(word)] = word
    elif kind == "mark":
        mark, at = rng.choice(marks)
        content[at : at + 30] = rng.randbytes(30)
    elif kind == "twice":
        content += content[rng.randrange(len(content)) :]
    else:
        content[rng.randrange(len(content)) :] = rng.randbytes(rng.randint(1, 400))
    return bytes(content)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is limited on Linux alone")
@pytest.mark.parametrize("seed, number", [(0, 12), pytest.param(1, 300, marks=pytest.mark.slow)])
def test_everybody_gets_a_row(seed, number, tmp_path, monkeypatch):
    """What is tried are the archives: solutions are judged without a process for each."""

    def judge(request, exercise, cases):
        return verdict_of(exercise, attempt(request["impl"], exercise, cases[:1], 0), cases[:1])

    monkeypatch.setattr(judging, "judge_in_process", judge)
    rng = random.Random(seed)
    folder = tmp_path / "class"
    folder.mkdir()
    for i in range(number):
        (folder / f"s{i:03}.zip").write_bytes(mutated(rng))
    (folder / "zz_good.zip").write_bytes(good_archive(random.Random(3)))
    (tmp_path / "homework.ini").write_text(INI)
    out = tmp_path / "grades.csv"
    words = ["grade", str(folder), "--homework", str(tmp_path / "homework.ini"), "--out", str(out), "--json", str(tmp_path / "r.json")]
    assert __main__.main(words) == 0
    with open(out, encoding="utf-8-sig", newline="") as file:
        rows = {row["submission"]: row for row in csv.DictReader(file)}
    assert set(rows) == {path.stem for path in folder.iterdir()}
    assert rows["zz_good"]["earned"] == "4"
    for name, row in rows.items():
        assert row["status"] in ("passes", "wrong", "not started") and 0 <= float(row["earned"]) <= 4, name
        assert (row["status"] == "passes") == (row["earned"] == "4") and bool(row["cause"]) == (row["status"] != "passes"), name
        assert "no fault of its own" not in row["cause"] and row["cause"].isprintable(), name  # that would be a fault of ours
    causes = {row["cause"] for row in rows.values()}
    assert len(causes) > 2 and 0 < sum(row["earned"] == "4" for row in rows.values()) < len(rows)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["class", "grades.csv", "homework.ini", "r.json"]
