"""The command line: it trains, stops and goes on to the last bit, and answers mistakes with one sentence and exit code 2."""

import csv
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from make_imagenet import class_folders
from PIL import Image
from safetensors.numpy import save_file

import alexnet
from minigrad.data import loader
from minigrad.training import load_checkpoint

ROOT = Path(alexnet.__file__).parent
FLAGS = ["--batch-size", "8", "--lr", "0.001"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """train/<class>/* and val/<class>/*: 30 dark and bright images of 28 x 28 pixels."""
    root = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for part, count in (("train", 15), ("val", 4)):
        for name, grey in (("bright", 200), ("dark", 50)):
            (root / part / name).mkdir(parents=True)
            for i in range(count):
                pixels = (grey + rng.integers(-40, 40, (28, 28, 3))).astype(np.uint8)
                Image.fromarray(pixels).save(root / part / name / f"{i}.png")
    return root


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    """The folder of a finished run of two epochs."""
    output = tmp_path_factory.mktemp("runs") / "whole"
    assert alexnet.main(["--data", str(folder), "--epochs", "2", "--output", str(output), *FLAGS]) == 0
    return output


def rows(output):
    with open(output / "history.csv") as file:
        return [{k: v for k, v in row.items() if k not in ("seconds", "images_per_second")} for row in csv.DictReader(file)]


def same(one, other):
    a, b = load_checkpoint(one), load_checkpoint(other)
    return all(
        np.array_equal(x[name], y[name]) for x, y in ((a.values, b.values), (a.velocities, b.velocities)) for name in x.keys() | y.keys()
    )


def refusal(capsys, *argv):
    """The one sentence that a mistake is answered with."""
    capsys.readouterr()
    assert alexnet.main([str(a) for a in argv]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and "Traceback" not in err
    return err


def test_a_run_leaves_its_files(run):
    assert {p.name for p in run.iterdir()} == {"checkpoint.safetensors", "config.json", "curves.png", "filters.png", "history.csv"}
    assert [row["epoch"] for row in rows(run)] == ["1", "2"]


def test_resuming_at_an_epochs_end_is_bit_for_bit(run, folder, tmp_path):
    halves = tmp_path / "halves"
    assert alexnet.main(["--data", str(folder), "--epochs", "1", "--schedule", "constant", "--output", str(halves), *FLAGS]) == 0
    assert alexnet.main(["--resume", str(halves), "--epochs", "2"]) == 0
    whole = tmp_path / "whole"
    assert alexnet.main(["--data", str(folder), "--epochs", "2", "--schedule", "constant", "--output", str(whole), *FLAGS]) == 0
    assert same(halves, whole) and rows(halves) == rows(whole)


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
@pytest.mark.parametrize("number, code", [(signal.SIGKILL, -9), (signal.SIGINT, 130), (signal.SIGTERM, 130)])
def test_stopped_from_outside_and_resumed_is_bit_for_bit(folder, tmp_path, number, code):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    common = ["--data", str(folder), "--epochs", "6", *FLAGS]
    assert alexnet.main([*common, "--output", str(whole)]) == 0
    process = subprocess.Popen([sys.executable, "alexnet.py", *common, "--output", str(stopped)], cwd=ROOT, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not (stopped / "checkpoint.safetensors").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(number)
    message = process.communicate(timeout=60)[1].decode()
    if process.returncode != 0:  # else it was done before the signal came
        assert process.returncode == code
        if code == 130:
            assert "--resume" in message
        assert alexnet.main(["--resume", str(stopped)]) == 0
    assert same(whole, stopped) and rows(whole) == rows(stopped)


def test_evaluate_alone_and_as_an_ensemble(run, folder, capsys):
    assert alexnet.main(["evaluate", "--checkpoint", str(run)]) == 0
    alone = capsys.readouterr().out
    assert alexnet.main(["evaluate", "--checkpoint", str(run), str(run), "--data", str(folder)]) == 0
    assert capsys.readouterr().out.replace("mean of 2 networks, ", "") == alone
    assert f"top-1 error {float(rows(run)[-1]['val_top1_error']):.2%}" in alone


def test_what_evaluate_writes(run, tmp_path, capsys):
    assert alexnet.main(["evaluate", "--checkpoint", str(run), "--crops", "10", "--output", str(tmp_path / "out")]) == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"probabilities.npy", "confusion.csv", "classes.csv"}
    p = np.load(tmp_path / "out" / "probabilities.npy")
    assert p.shape == (8, 2)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
    error = (p.argmax(axis=1) != [0] * 4 + [1] * 4).mean()
    assert f"top-1 error {error:.2%}" in capsys.readouterr().out
    assert alexnet.main(["evaluate", "--checkpoint", str(run), "--crops", "10", "--batch-size", "7"]) == 0
    assert f"top-1 error {error:.2%}" in capsys.readouterr().out


def test_figures(run, folder, tmp_path, capsys):
    photo = next((folder / "val").rglob("*.png"))
    assert alexnet.main(["figures", "--checkpoint", str(run), "--output", str(tmp_path), "--image", str(photo), "--sample", "20"]) == 0
    names = ["activations", "confusion", "curves", "filters", "neighbours", "predictions"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(f"{name}.{kind}" for name in names for kind in ("png", "svg"))
    assert all(name in capsys.readouterr().out for name in names[:1])


def test_a_network_as_far_as_a_layer():
    for variant, x in (("small", np.zeros((2, 32, 32, 3), np.float32)), ("owt", None)):
        net = alexnet.AlexNet(variant, num_classes=3).eval()
        if x is None:
            assert [len(stage) for stage in alexnet.up_to(net, "relu5").stages] == [1]
            assert list(alexnet.up_to(net, "relu7").stages[1][0].layers)[-1] == "relu7"
            continue
        x += np.random.default_rng(0).normal(0, 50, x.shape)
        fc7 = alexnet.up_to(net, "relu7").forward(x)
        assert fc7.shape == (2, 512) and (fc7 >= 0).all() and fc7.std() > 0
        fc8 = np.concatenate([fc7 / 2 @ tower["fc8"].W + tower["fc8"].b for tower in net.towers.stages[-1]], axis=1)
        np.testing.assert_allclose(net.forward(x), fc8, rtol=1e-4, atol=1e-4)
        assert [a.shape for a in alexnet.activations(net, x[:1])["conv2"]] == [(15, 15, 32)] * 2


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """A folder of three classes."""
    root = tmp_path_factory.mktemp("three")
    class_folders(root, images=24, classes=3, width=40, height=36, odd=0)
    return root


def test_fine_tuning_replaces_the_last_layer(run, three, tmp_path):
    tuned = tmp_path / "tuned"
    argv = ["--checkpoint", str(run), "--data", str(three), "--epochs", "1", "--lr", "0", "--seed", "5", "--output", str(tuned)]
    assert alexnet.main(argv) == 0
    before, after = load_checkpoint(run), load_checkpoint(tuned)
    assert list(before.values) == list(after.values)
    for name in before.values:
        if ".fc8." not in name:
            np.testing.assert_array_equal(before.values[name], after.values[name])
    assert sum(v.size for n, v in after.values.items() if n.endswith("fc8.b")) == 3
    np.testing.assert_array_equal(before.mean, after.mean)
    assert after.metadata["config"]["classes"] == sorted(p.name for p in (three / "train").iterdir())


def test_fine_tuning_on_the_same_classes_keeps_all(run, folder, tmp_path):
    tuned = tmp_path / "tuned"
    assert alexnet.main(["--checkpoint", str(run), "--data", str(folder), "--epochs", "1", "--lr", "0", "--output", str(tuned)]) == 0
    before, after = load_checkpoint(run).values, load_checkpoint(tuned).values
    assert list(before) == list(after) and all(np.array_equal(before[name], after[name]) for name in before)


def test_fine_tuning_that_cannot_be(run, tmp_path, capsys):
    assert "variant small" in refusal(capsys, "--checkpoint", run, "--variant", "owt")
    assert "init 2012" in refusal(capsys, "--checkpoint", run, "--init", "he")
    assert "--resume" in refusal(capsys, "--checkpoint", run, "--resume", run)
    assert "nowhere" in refusal(capsys, "--checkpoint", tmp_path / "nowhere")


def test_from_photographs_to_errors(three, tmp_path, capsys):
    """Prepared once, trained on with crops, flips and colour noise, stopped at an epoch's end, resumed, evaluated."""
    prepared = str(tmp_path / "prepared")
    assert alexnet.main(["prepare", "--data", str(three), "--out", prepared, "--size", "36", "--workers", "1"]) == 0
    common = ["--data", prepared, "--augment", "--colour-noise", "0.1", "--schedule", "constant", *FLAGS]
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    assert alexnet.main([*common, "--epochs", "2", "--output", str(whole)]) == 0
    assert alexnet.main([*common, "--epochs", "1", "--output", str(halves)]) == 0
    assert alexnet.main(["--resume", str(halves), "--epochs", "2", "--workers", "3"]) == 0
    assert same(whole, halves) and rows(whole) == rows(halves)
    capsys.readouterr()
    assert alexnet.main(["evaluate", "--checkpoint", str(whole), str(halves), "--crops", "10"]) == 0
    assert "top-5 error 0.00%" in capsys.readouterr().out
    photo = next((three / "val").rglob("*.JPEG"))
    assert alexnet.main(["predict", "--checkpoint", str(whole), str(photo)]) == 0
    assert alexnet.main(["--data", prepared, "--output", str(tmp_path / "plain"), "--augment", "--epochs", "1", *FLAGS]) == 0
    assert not same(tmp_path / "plain", halves)
    large = str(tmp_path / "large")
    assert alexnet.main(["prepare", "--data", str(three), "--out", large, "--size", "48", "--workers", "1"]) == 0
    assert "48 pixels" in refusal(capsys, "--data", large)
    assert "at least 224" in refusal(capsys, "--data", large, "--variant", "half")


def test_predict_takes_any_image(run, tmp_path, capsys):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (45, 31, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    paths = []
    for mode, suffix in (("RGB", "jpg"), ("L", "png"), ("P", "png"), ("RGBA", "png"), ("CMYK", "jpg"), ("1", "png")):
        paths.append(str(tmp_path / f"{mode}.{suffix}"))
        image.convert(mode).save(paths[-1])
    assert alexnet.main(["predict", "--checkpoint", str(run), *paths]) == 0
    out = capsys.readouterr().out
    assert all(path in out for path in paths) and out.count("bright") == out.count("dark") == len(paths)


def test_summary_prints_the_totals(capsys):
    assert alexnet.main(["summary"]) == 0
    out = capsys.readouterr().out
    for number in ("60,965,224", "724,406,816", "659,272", "121,344", "62,369,155"):
        assert number in out


def test_benchmark_prints_a_table(capsys):
    assert alexnet.main(["benchmark", "--variant", "small", "--batch-size", "3", "--steps", "2"]) == 0
    out = capsys.readouterr().out
    assert "conv5" in out and "GFLOP/s" in out and "images/s" in out


@pytest.mark.parametrize(
    "argv, words",
    [
        (["--device", "tpu"], ["tpu", "cpu,cpu"]),
        (["--device", "0"], ["0", "cpu,cpu"]),
        (["--device", "cpu,cpu,cpu"], ["3", "2"]),
        (["--batch-size", "0"], ["batch-size", "0"]),
        (["--lr", "-1"], ["lr", "-1"]),
        (["--lr", "nan"], ["lr", "nan"]),
        (["--momentum", "1.5"], ["momentum", "1.5"]),
        (["--epochs", "none"], ["epochs", "none"]),
        (["--variant", "vgg"], ["vgg", "one-tower"]),
        (["--data", "nowhere"], ["nowhere"]),
        (["--data", "cifar10:nowhere"], ["nowhere"]),
        (["--resume", "nowhere"], ["nowhere"]),
        (["evaluate", "--checkpoint", "nowhere"], ["nowhere"]),
        (["evaluate", "--checkpoint", "nowhere", "--crops", "5"], ["crops", "5", "10"]),
        (["figures", "--checkpoint", "nowhere"], ["nowhere"]),
        (["export", "--checkpoint", "nowhere", "--to", "torch", "--out", "net.pt2"], ["nowhere"]),
        (["prepare", "--data", "nowhere", "--out", "."], ["nowhere", "train/<class>"]),
        (["prepare", "--data", ".", "--out", "out", "--size", "0"], ["size", "0"]),
        (["experiment", "relu-vs-tanh", "--data", "nowhere"], ["nowhere"]),
        (["experiment", "relu-vs-tanh", "--level", "100"], ["level", "100"]),
        (["experiment", "dropout"], ["dropout", "ablations"]),
        (["--frobnicate"], ["--frobnicate"]),
    ],
)
def test_mistakes_get_one_sentence(argv, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    message = refusal(capsys, *argv)
    assert all(word in message for word in words)
    assert not list(tmp_path.iterdir())


def test_a_loss_that_blows_up_is_told_in_one_sentence(folder, tmp_path):
    command = [sys.executable, "alexnet.py", "--data", folder, "--lr", "1e6", "--batch-size", "4", "--output", tmp_path / "run"]
    done = subprocess.run(command, cwd=Path(alexnet.__file__).parent, capture_output=True, text=True)
    lines = done.stderr.splitlines()
    assert done.returncode == 2 and len(lines) == 2 and "try a smaller --lr" in lines[1]


def test_an_empty_folder(tmp_path, capsys):
    assert str(tmp_path) in refusal(capsys, "--data", tmp_path)


def test_an_image_that_cannot_be_decoded_is_named(run, folder, tmp_path, capsys):
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no image")
    assert "bad.png" in refusal(capsys, "predict", "--checkpoint", run, bad)


def test_a_run_is_never_overwritten(run, folder, capsys):
    before = (run / "checkpoint.safetensors").read_bytes()
    assert "--resume" in refusal(capsys, "--data", folder, "--output", run)
    assert (run / "checkpoint.safetensors").read_bytes() == before


def test_a_run_that_goes_on_elsewhere_overwrites_no_other(run, folder, tmp_path, capsys):
    other = tmp_path / "other"
    other.mkdir()
    (other / "history.csv").write_text("precious")
    assert "other" in refusal(capsys, "--resume", run, "--epochs", "3", "--output", other)
    assert "other" in refusal(capsys, "--data", folder, "--output", other)
    assert [path.read_text() for path in other.iterdir()] == ["precious"]
    before = (run / "checkpoint.safetensors").read_bytes()
    assert alexnet.main(["--resume", str(run), "--epochs", "3", "--output", str(tmp_path / "new")]) == 0
    assert (run / "checkpoint.safetensors").read_bytes() == before and len(rows(tmp_path / "new")) == 3


def chosen(*argv):
    return alexnet.new_config(alexnet.command_line().parse_args(["train", *map(str, argv)]))["variant"]


def test_photographs_in_a_folder_are_for_the_paper_s_network(folder, three, tmp_path):
    """`--data DIR` with ImageNet in DIR is the run of 2012; small images are for `small`."""
    class_folders(tmp_path / "large", images=8, classes=2, width=300, height=240, odd=0)
    assert chosen("--data", tmp_path / "large") == "paper"
    assert chosen("--data", tmp_path / "large", "--variant", "owt") == "owt"
    assert alexnet.main(["prepare", "--data", str(three), "--out", str(tmp_path / "prepared"), "--size", "224", "--workers", "1"]) == 0
    assert chosen("--data", tmp_path / "prepared") == "paper"
    for argv in ([], ["--synthetic"], ["--data", folder], ["--data", "fashion-mnist"], ["--data", three], ["--data", tmp_path / "nowhere"]):
        assert chosen(*argv) == "small"


def test_a_run_finds_its_data_from_anywhere(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(folder.parent)
    run = str(tmp_path / "run")
    assert alexnet.main(["--data", folder.name, "--epochs", "1", "--schedule", "constant", "--output", run, *FLAGS]) == 0
    monkeypatch.chdir(tmp_path)
    assert alexnet.main(["evaluate", "--checkpoint", run]) == 0
    assert alexnet.main(["--resume", run, "--data", f"{folder}/", "--epochs", "2"]) == 0


@pytest.fixture
def broken(folder, tmp_path):
    """A copy of `folder`, one of whose images is cut off: its header looks well. And that image's path."""
    shutil.copytree(folder, tmp_path / "broken")
    path = tmp_path / "broken" / "train" / "dark" / "7.png"
    path.write_bytes(path.read_bytes()[:-1000])
    return tmp_path / "broken", path


def test_an_image_that_only_decoding_shows_to_be_broken(folder, broken, tmp_path, capsys, monkeypatch):
    """It costs no step: mended, the run goes on to what it would have been."""
    monkeypatch.setattr(loader, "SAMPLE", 3)  # the mean image is not taken of it
    (data, path), stopped, whole = broken, tmp_path / "stopped", tmp_path / "whole"
    argv = ["--epochs", "2", *FLAGS, "--output"]
    capsys.readouterr()
    assert alexnet.main(["--data", str(data), *argv, str(stopped)]) == 2
    message = capsys.readouterr().err.splitlines()[-1]
    assert "7.png" in message and f"--resume {stopped}" in message
    assert load_checkpoint(stopped).metadata["batch"] > 0
    shutil.copy(folder / "train" / "dark" / "7.png", path)
    assert alexnet.main(["--resume", str(stopped)]) == 0
    assert alexnet.main(["--data", str(data), *argv, str(whole)]) == 0
    assert same(whole, stopped)


def test_what_was_left_out_stays_left_out(broken, tmp_path, capsys):
    run = str(tmp_path / "run")
    assert alexnet.main(["--data", str(broken[0]), "--skip-bad", "--epochs", "1", "--schedule", "constant", "--output", run, *FLAGS]) == 0
    capsys.readouterr()
    assert alexnet.main(["--resume", run, "--epochs", "2"]) == 0
    assert "29 images to train" in capsys.readouterr().err
    assert alexnet.main(["evaluate", "--checkpoint", run]) == 0


@pytest.mark.parametrize("header", ["{}", "5", '{"config": 3}', '{"config": {"variant": "small"}}'])
def test_a_checkpoint_with_nothing_in_it_is_refused(tmp_path, capsys, header):
    save_file({"a": np.zeros(1)}, tmp_path / "empty.safetensors", metadata={"minigrad": header})
    for flag in (["evaluate", "--checkpoint"], ["--resume"], ["--checkpoint"]):
        assert "empty.safetensors" in refusal(capsys, *flag, tmp_path / "empty.safetensors")


def test_resuming_with_other_settings_is_refused(run, capsys):
    message = refusal(capsys, "--resume", run, "--variant", "owt")
    assert "small" in message and "owt" in message


def test_a_checkpoint_of_other_classes_is_refused(run, capsys):
    message = refusal(capsys, "evaluate", "--checkpoint", run, "--data", "fashion-mnist")
    assert "2" in message and "10" in message


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"not safetensors" * 100, lambda b: b""])
def test_a_damaged_checkpoint_is_refused(run, tmp_path, capsys, damage):
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(damage((run / "checkpoint.safetensors").read_bytes()))
    assert "broken.safetensors" in refusal(capsys, "evaluate", "--checkpoint", broken)


def test_an_output_that_cannot_be_written(folder, tmp_path, capsys):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    assert "file" in refusal(capsys, "--data", folder, "--output", blocked / "run").splitlines()[-1]


def test_a_reader_who_has_seen_enough_is_no_error():
    with subprocess.Popen([sys.executable, ROOT / "alexnet.py", "summary"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b"" and process.wait() == 0
