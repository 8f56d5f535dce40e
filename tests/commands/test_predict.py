"""predict: any image file gets its classes, a broken one its sentence."""

import csv
from dataclasses import replace

import numpy as np
from command_line import alexnet, refusal
from PIL import Image

from minigrad.commands import predict
from minigrad.training import load_checkpoint, save_checkpoint


def test_predict_takes_any_image(run, tmp_path, capsys):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (45, 31, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    paths = []
    for mode, suffix in (("RGB", "jpg"), ("L", "png"), ("P", "png"), ("RGBA", "png"), ("CMYK", "jpg"), ("1", "png")):
        paths.append(str(tmp_path / f"{mode}.{suffix}"))
        image.convert(mode).save(paths[-1])
    assert alexnet("predict", "--checkpoint", run, *paths) == 0
    out = capsys.readouterr().out
    assert all(path in out for path in paths) and out.count("bright") == out.count("dark") == len(paths)


def test_an_image_that_cannot_be_decoded_is_named(run, folder, tmp_path, capsys):
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no image")
    assert "bad.png" in refusal(capsys, "predict", "--checkpoint", run, bad)


def test_the_others_are_predicted_all_the_same(run, folder, tmp_path, capsys):
    good, bad = sorted((folder / "val" / "dark").iterdir())[:2], [tmp_path / "none.png", tmp_path / "text.png"]
    bad[1].write_text("no image")
    assert alexnet("predict", "--checkpoint", run, good[0], bad[0], good[1], bad[1]) == 2
    out, err = capsys.readouterr()
    assert [line for line in out.splitlines() if not line.startswith("  ")] == [str(path) for path in good]
    assert len(err.splitlines()) == 2 and all(str(path) in line for path, line in zip(bad, err.splitlines(), strict=True))


def test_outputs_that_are_no_numbers_are_told(run, folder, tmp_path, capsys):
    """Weights that are finite, but whose products are not."""
    saved = load_checkpoint(run)
    large = replace(saved, values={name: value * np.float32(1e30) for name, value in saved.values.items()})
    save_checkpoint(tmp_path / "a.safetensors", large)
    image = next((folder / "val" / "dark").iterdir())
    assert "weights have blown up" in refusal(capsys, "predict", "--checkpoint", tmp_path / "a.safetensors", image)
    assert "weights have blown up" in refusal(capsys, "evaluate", "--checkpoint", tmp_path / "a.safetensors")


def test_folders_are_searched_and_good_files_predicted_beside_bad_ones(run, folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(predict, "TOGETHER", 3)  # several portions, one of them without a good file
    photos = tmp_path / "photos"
    for name in ("b/2.png", "b/c/1.PNG", "a.png", "z.png", "zz.png"):
        path = photos / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((folder / "val" / "dark" / "0.png").read_bytes())
    for name in ("x.jpg", "y1.png", "y2.png", "y3.png"):
        (photos / name).write_bytes(b"no image")
    (photos / "notes.txt").write_text("")
    (photos / ".hidden.png").write_text("")
    (photos / "loop").symlink_to(photos)
    bright = folder / "val" / "bright" / "1.png"
    assert alexnet("predict", "--checkpoint", run, photos, bright) == 2
    out, err = capsys.readouterr()
    assert [line for line in out.splitlines() if not line.startswith(" ")] == [
        *(str(photos / name) for name in ("a.png", "b/2.png", "b/c/1.PNG", "z.png", "zz.png")),
        str(bright),
    ]
    assert all(name in err for name in ("x.jpg", "y1.png", "y2.png", "y3.png", "notes.txt", "loop")) and "hidden" not in err
    assert alexnet("predict", "--checkpoint", run, *(photos / name for name in ("b", "b/c", "a.png"))) == 0


def test_a_table_of_predictions(run, folder, tmp_path, capsys):
    bad = tmp_path / 'a "bad", one.png'
    bad.write_bytes(b"no image")
    table = tmp_path / "table.csv"
    assert alexnet("predict", "--checkpoint", run, folder / "val", bad, "--csv", table) == 2
    out, err = capsys.readouterr()
    assert out == "" and "8 images" in err and "bad" in err
    assert alexnet("predict", "--checkpoint", run, folder / "val") == 0
    printed = capsys.readouterr().out.splitlines()
    with open(table, newline="", encoding="utf-8") as file:
        heading, *rows = csv.reader(file)
    assert heading == ["file", "class_1", "probability_1", "class_2", "probability_2"] and len(rows) == 8
    for i, row in enumerate(rows):
        shown = [f"  {float(p):6.1%}  {name}" for name, p in zip(row[1::2], row[2::2], strict=True)]
        assert printed[3 * i : 3 * i + 3] == [row[0], *shown]


def test_predictions_that_have_no_images_or_nowhere_to_go(run, folder, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert "empty holds no image" in refusal(capsys, "predict", "--checkpoint", run, tmp_path / "empty")
    argv = ["predict", "--checkpoint", run, folder / "val"]
    assert "--csv" in refusal(capsys, *argv, "--csv", tmp_path / "nowhere" / "table.csv")
