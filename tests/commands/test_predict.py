"""predict: any image file gets its classes, a broken one its sentence."""

import numpy as np
from command_line import alexnet, refusal
from PIL import Image


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
