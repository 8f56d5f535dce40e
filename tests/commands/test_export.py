"""Exported networks give the outputs that they gave here, and so does the twin that training is measured against."""

import numpy as np
import pytest
from command_line import alexnet
from make_imagenet import class_folders

from alexnet import AlexNet
from minigrad.commands.export import layout, to_onnx, to_torch


def pixels(n, side):
    """Raw pixels (n, side, side, 3)."""
    return np.random.default_rng(1).integers(0, 256, (n, side, side, 3)).astype(np.float32)


def close(a, b):
    np.testing.assert_allclose(a, b, atol=1e-4 * abs(b).max())


def shaken(variant):
    """A network whose layers all matter, its mean image, raw pixels and what it makes of them."""
    net = AlexNet(variant, num_classes=5, init="he" if variant == "small" else "2012", seed=1).eval()
    net.image_size = 28 if variant == "small" else 224
    rng = np.random.default_rng(3)
    for p in net.parameters():
        if p.name.endswith("b"):
            p.value[...] = rng.normal(0, 0.1, p.value.shape)
    mean = rng.uniform(90, 150, (net.image_size + 6, net.image_size + 4, 3)).astype(np.float32)
    x = pixels(3, net.image_size)
    return net, mean, x, net.forward((x - mean[3:-3, 2:-2]) * np.float32(net.input_scale))


@pytest.mark.parametrize("variant", ["small", "half"])
def test_onnx(variant, tmp_path):
    pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    net, mean, x, expected = shaken(variant)
    to_onnx.write(net, mean, tmp_path / "net.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx", providers=["CPUExecutionProvider"])
    close(session.run(["logits"], {"pixels": np.ascontiguousarray(x.transpose(0, 3, 1, 2))})[0], expected)


def test_torch(tmp_path):
    torch = pytest.importorskip("torch")
    net, mean, x, expected = shaken("small")
    to_torch.write(net, mean, tmp_path / "net.pt2")
    program = torch.export.load(tmp_path / "net.pt2").module()
    close(program(torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))).detach().numpy(), expected)


def test_steps_name_every_layer():
    net = AlexNet("small", num_classes=6)
    found = layout.steps(net)
    assert [len(stage) for stage in found] == [2] * 5
    flat = [step for stage in found for tower in stage for step in tower]
    assert sum(step[1].size + step[2].size for step in flat if step[0] in ("conv", "linear")) == net.num_parameters()
    assert [step[0] for step in found[0][0]] == ["conv", "relu", "lrn", "pool"] * 2
    assert [step[0] for step in found[2][1]] == ["flatten", "linear", "relu", "dropout"] and found[2][1][3] == ("dropout", 0.5, "test")


def test_fc6_reads_channels_first():
    """The rows of fc6 are told apart by flattening an image whose numbers are their own places."""
    net = AlexNet("small", num_classes=6)
    fc6 = net.towers.stages[2][0]["fc6"]
    H, W, C = 2, 2, fc6.W.shape[0] // 4
    x = np.arange(H * W * C, dtype=np.float32).reshape(1, H, W, C)
    kind, Wt, b = next(step for step in layout.steps(net)[2][0] if step[0] == "linear")
    np.testing.assert_allclose(x.transpose(0, 3, 1, 2).reshape(1, -1) @ Wt.T, x.reshape(1, -1) @ fc6.W, rtol=1e-4, atol=1e-2)


def test_export_from_the_command_line(tmp_path, capsys):
    class_folders(tmp_path / "data", images=15, classes=3, width=32, height=32, odd=0)
    run = tmp_path / "run"
    assert alexnet("--data", tmp_path / "data", "--epochs", "1", "--output", run) == 0
    capsys.readouterr()
    assert alexnet("export", "--checkpoint", run, "--to", "onnx", "--out", tmp_path / "net.txt") == 2
    assert "should end in .onnx" in capsys.readouterr().err
    try:
        import torch  # noqa: F401
    except ImportError:
        pass
    else:
        assert alexnet("export", "--checkpoint", run, "--to", "torch", "--out", tmp_path / "new" / "net.pt2") == 0
        assert (tmp_path / "new" / "net.pt2").stat().st_size > 1e6 and capsys.readouterr().err == ""
    try:
        import onnx  # noqa: F401
    except ImportError:
        assert alexnet("export", "--checkpoint", run, "--to", "onnx", "--out", tmp_path / "net.onnx") == 2
        assert "pip install onnx" in capsys.readouterr().err
        assert not (tmp_path / "net.onnx").exists()
    else:
        assert alexnet("export", "--checkpoint", run, "--to", "onnx", "--out", tmp_path / "net.onnx") == 0
        assert "(N, 3, 32, 32)" in capsys.readouterr().out and (tmp_path / "net.onnx").stat().st_size > 1e6
