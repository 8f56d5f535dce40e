"""Homework files: the one on the teacher's page, and those that cannot be right."""

import pytest

from minigrad.coursework import __main__
from minigrad.coursework.exercises import ALL, EXERCISES, VARIANTS
from minigrad.coursework.homework import read_homework
from minigrad.coursework.release.archive import ROOT

INI = "[homework]\ntitle = Slopes\nseed = 20121203\nfeedback = hint\n[exercises]\nrelu.backward = 4\n"


def test_the_teachers_page_is_true(tmp_path):
    page = (ROOT / "COURSEWORK.md").read_text(encoding="utf-8")
    (tmp_path / "homework.ini").write_text(page.partition("```ini\n")[2].partition("```")[0])
    assert list(read_homework(tmp_path / "homework.ini").points) == ["linear.backward", "relu.backward", "avgpool.backward"]
    groups = {exercise.group for exercise in EXERCISES}
    assert f"{len(EXERCISES)} exercises in {len(groups)} groups" in page and f"and {len(VARIANTS)} variants" in page
    assert f"for {sum(bool(mistake.hint) for e in ALL for mistake in e.mistakes)} known mistakes" in page
    assert all(f"`{e.group}`" in page for e in VARIANTS)


@pytest.mark.parametrize("line, said", [
    ("relu.backwards = 4", "there is no exercise 'relu.backwards'"), ("relu = 4", "did you mean relu.forward?"),
    ("relu.backward = much", "the points of relu.backward must be a number, not 'much'"),
    ("relu.backward = -1", "must be more than 0, not -1"), ("", "[exercises] is empty"),
])  # fmt: skip
def test_homework_that_cannot_be_right(line, said, tmp_path, capsys):
    (tmp_path / "homework.ini").write_text(INI.replace("relu.backward = 4", line))
    assert __main__.main(["release", str(tmp_path / "homework.ini"), "--out", str(tmp_path / "dist")]) == 2
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1 and not (tmp_path / "dist").exists()
