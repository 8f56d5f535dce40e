"""Weights from elsewhere give the outputs that they gave there."""

import numpy as np
import pytest
from command_line import alexnet
from make_imagenet import class_folders
from safetensors.numpy import save_file

from alexnet import AlexNet
from minigrad import training
from minigrad.commands import imported
from minigrad.commands.datasets import load_data
from minigrad.commands.errors import UsageError
from minigrad.commands.networks import make_network
from minigrad.layers import LocalResponseNorm
from minigrad.training import TrainingError

SHAPES = {  # of torchvision's state dict, without the last layer
    "features.0": (64, 3, 11, 11),
    "features.3": (192, 64, 5, 5),
    "features.6": (384, 192, 3, 3),
    "features.8": (256, 384, 3, 3),
    "features.10": (256, 256, 3, 3),
    "classifier.1": (4096, 9216),
    "classifier.4": (4096, 4096),
    "classifier.6": (5, 4096),
}


@pytest.fixture(scope="module")
def state():
    """A state dict as torchvision's, with five classes."""
    rng, arrays = np.random.default_rng(0), {}
    for name, shape in SHAPES.items():
        fan_in = int(np.prod(shape[1:]))
        arrays[f"{name}.weight"] = ((rng.random(shape, np.float32) - 0.5) * np.float32((24 / fan_in) ** 0.5)).astype(np.float32)
        arrays[f"{name}.bias"] = rng.normal(0, 0.1, shape[0]).astype(np.float32)
    return arrays


@pytest.fixture(scope="module")
def file(state, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "alexnet.safetensors"
    save_file(state, path)
    return path


def pixels(n, side):
    """Raw pixels (n, side, side, 3)."""
    return np.random.default_rng(1).integers(0, 256, (n, side, side, 3)).astype(np.float32)


def close(a, b):
    np.testing.assert_allclose(a, b, atol=1e-4 * abs(b).max())


def network(checkpoint):
    net = make_network(AlexNet, checkpoint.metadata["config"], checkpoint.metadata["config"]["num_classes"])
    training.restore(checkpoint, net)
    return net.eval()


def fed(net, checkpoint, x):
    """Logits of raw pixels: the centre of the mean is subtracted."""
    top = (len(checkpoint.mean) - x.shape[1]) // 2
    return net.forward(x - checkpoint.mean[top : top + x.shape[1], top : top + x.shape[1]])


def test_torchvisions_weights(file, state, tmp_path):
    torch = pytest.importorskip("torch")
    nn = torch.nn

    class Twin(nn.Module):
        def __init__(self):
            super().__init__()
            c = [
                nn.Conv2d(s[1], s[0], s[2], *more)
                for s, more in zip(list(SHAPES.values())[:5], [(4, 2), (1, 2)] + [(1, 1)] * 3, strict=True)
            ]
            relu, pool = nn.ReLU(), nn.MaxPool2d(3, 2)
            self.features = nn.Sequential(c[0], relu, pool, c[1], relu, pool, c[2], relu, c[3], relu, c[4], relu, pool)
            f = [nn.Linear(s[1], s[0]) for s in list(SHAPES.values())[5:]]
            self.classifier = nn.Sequential(nn.Dropout(), f[0], relu, nn.Dropout(), f[1], relu, f[2])

        def forward(self, x):
            return self.classifier(torch.flatten(self.features(x), 1))

    twin = Twin().eval()
    twin.load_state_dict({name: torch.from_numpy(array) for name, array in state.items()})
    x = pixels(2, 224)
    scaled = (x / 255 - np.float32([0.485, 0.456, 0.406])) / np.float32([0.229, 0.224, 0.225])
    with torch.no_grad():
        expected = twin(torch.from_numpy(np.ascontiguousarray(scaled.transpose(0, 3, 1, 2), np.float32))).numpy()
    checkpoint = imported.load(file)
    close(fed(network(checkpoint), checkpoint, x), expected)


def test_a_file_of_pytorch(tmp_path):
    torch = pytest.importorskip("torch")
    tensors = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(2, dtype=torch.float16)}
    torch.save(tensors, tmp_path / "a.pth")
    for name, array in imported._torch_arrays(tmp_path / "a.pth").items():
        np.testing.assert_array_equal(array, tensors[name].numpy())
        assert array.dtype == np.float32
    torch.save([tensors], tmp_path / "list.pth")
    with pytest.raises(TrainingError, match=r"list\.pth is no state dict"):
        imported.load(tmp_path / "list.pth")


def test_weights_from_elsewhere_are_evaluated(file, tmp_path, capsys):
    class_folders(tmp_path / "data", images=10, classes=5, width=230, height=256, odd=0)
    assert alexnet("evaluate", "--checkpoint", file, "--data", tmp_path / "data", "--batch-size", "2") == 0
    assert "2 images: loss" in capsys.readouterr().out
    with pytest.raises(UsageError, match="add --data"):
        load_data(AlexNet, imported.load(file).metadata["config"])


def test_files_that_are_something_else(file, state, tmp_path):
    def refused(path, match):
        with pytest.raises(TrainingError, match=match):
            imported.load(path)

    save_file({"features.0.weight": state["features.0.weight"]}, tmp_path / "part.safetensors")
    refused(tmp_path / "part.safetensors", r"part\.safetensors is no state dict .*features\.0\.bias")
    with pytest.raises(TrainingError, match=r"odd\.safetensors: fc7 is \(9, 4096\).* 4096 outputs"):
        imported.from_torchvision("odd.safetensors", state | {"classifier.4.weight": state["classifier.4.weight"][:9]})
    (tmp_path / "text.safetensors").write_text("text")
    refused(tmp_path / "text.safetensors", "text.safetensors is cut short")
    refused(tmp_path / "nowhere.safetensors", "There is no checkpoint at .*nowhere")
    for suffix, package in ((".pth", "torch"), (".onnx", "onnx")):
        try:
            __import__(package)
        except ImportError:
            (tmp_path / f"text{suffix}").write_text("text")
            refused(tmp_path / f"text{suffix}", f"pip install {package}")
            continue
        refused(tmp_path / f"none{suffix}", f"There is no file .*none{suffix}")
        (tmp_path / f"text{suffix}").write_text("text")
        refused(tmp_path / f"text{suffix}", f"text{suffix} is no ")


# ---- Caffe's


def caffes_onnx(path, change=None, width=4096):
    """An ONNX file laid out as bvlc_alexnet is, with random weights and five classes. change(graph), if given, does it harm."""
    onnx = pytest.importorskip("onnx")
    helper, rng = onnx.helper, np.random.default_rng(2)
    nodes, constants = [], []

    def layer(kind, x, *shape, **attributes):
        name = f"{kind}_{len(nodes)}"
        inputs = [x]
        if shape:
            std = (2 / np.prod(shape[1:])) ** 0.5
            for suffix, array in (("w", rng.normal(0, std, shape)), ("b", rng.normal(0, 0.1, shape[0]))):
                constants.append(onnx.numpy_helper.from_array(array.astype(np.float32), f"{name}_{suffix}"))
                inputs.append(constants[-1].name)
        nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def norm(x):
        return layer("LRN", layer("Relu", x), size=5, alpha=1e-4, beta=0.75, bias=1.0)

    def pool(x):
        return layer("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2])

    x = pool(norm(layer("Conv", "data", 96, 3, 11, 11, strides=[4, 4])))
    x = pool(norm(layer("Conv", x, 256, 48, 5, 5, pads=[2] * 4, group=2)))
    for outputs, inputs, group in ((384, 256, 1), (384, 192, 2), (256, 192, 2)):
        x = layer("Relu", layer("Conv", x, outputs, inputs, 3, 3, pads=[1] * 4, group=group))
    x = layer("Flatten", pool(x))
    for outputs, inputs in ((width, 9216), (width, width)):
        x = layer("Relu", layer("Gemm", x, outputs, inputs, transB=1))
    x = layer("Gemm", x, 5, width, transB=1)
    ends = [helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, s) for n, s in (("data", ["N", 3, 227, 227]), (x, ["N", 5]))]
    graph = helper.make_graph(nodes, "AlexNet", ends[:1], ends[1:], constants)
    if change is not None:
        change(graph)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)


def test_caffes_network(tmp_path):
    path = tmp_path / "bvlc_alexnet.onnx"
    caffes_onnx(path)
    onnxruntime = pytest.importorskip("onnxruntime")
    x = pixels(2, 227)
    bgr = (x - np.float32([122.67891434, 116.66876762, 104.00698793]))[..., ::-1].transpose(0, 3, 1, 2)
    expected = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"data": np.ascontiguousarray(bgr)})[0]
    checkpoint = imported.load(path)
    assert checkpoint.metadata["config"]["adapted"]["image_size"] == 227
    net = network(checkpoint)
    close(fed(net, checkpoint, x), expected)
    for *_, layer in net.layers():
        if isinstance(layer, LocalResponseNorm):
            assert (layer.size, layer.alpha, layer.beta, layer.k) == (5, pytest.approx(2e-5), 0.75, 1.0)


def attribute(graph, kind, name):
    node = next(node for node in graph.node if node.op_type == kind)
    return next(a for a in node.attribute if a.name == name)


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda graph: graph.initializer[0].ClearField("dims"), "is no ONNX file"),
        (lambda graph: setattr(graph.initializer[0], "data_type", 999), "is no ONNX file"),
        (lambda graph: setattr(graph.node[0], "op_type", "Relu"), "holds 4 Conv"),
        (lambda graph: graph.node[0].input.__setitem__(2, "nowhere"), "weights and biases"),
        (lambda graph: setattr(graph.node[4].attribute[0], "i", 1 << 40), "groups"),
        (lambda graph: attribute(graph, "LRN", "size").__setattr__("i", 0), "LRN or padding"),
        (lambda graph: attribute(graph, "LRN", "size").__setattr__("name", "x"), "LRN or padding"),
        (lambda graph: attribute(graph, "LRN", "bias").__setattr__("f", -1.0), "LRN or padding"),
    ],
)
def test_an_onnx_file_that_is_damaged_gets_a_sentence(tmp_path, change, words, monkeypatch):
    monkeypatch.setattr(imported, "_values", lambda *_: {"tower0.conv1.W": np.zeros((11, 11, 3, 96)), "tower0.fc8.b": np.zeros(5)})
    caffes_onnx(tmp_path / "a.onnx", change, width=8)
    with pytest.raises(TrainingError, match=words) as caught:
        imported.load(tmp_path / "a.onnx")
    assert "a.onnx" in str(caught.value) and "\n" not in str(caught.value)


# ---- how training programs wrap a state dict


def test_prefixed_names_are_found(state, file, tmp_path):
    save_file({f"module.model.{name}": array for name, array in state.items()}, tmp_path / "prefixed.safetensors")
    plain, prefixed = imported.load(file), imported.load(tmp_path / "prefixed.safetensors")
    assert plain.values.keys() == prefixed.values.keys()
    assert all(np.array_equal(plain.values[name], prefixed.values[name]) for name in plain.values)


@pytest.mark.parametrize("wrong", ["int32", "float32"])
def test_weights_that_are_no_finite_floats_are_refused(state, wrong):
    W = state["classifier.6.weight"].astype(wrong)
    if wrong == "float32":
        W[0, 0] = np.nan
    with pytest.raises(TrainingError, match="fc8 holds numbers that are no finite floats"):
        imported.from_torchvision("a.pth", state | {"classifier.6.weight": W})


def test_an_fc6_of_another_network_is_refused(state):
    W = np.zeros((4096, 256 * 35), np.float32)
    with pytest.raises(TrainingError, match="fc6 has 8960 inputs"):
        imported.from_torchvision("a.pth", state | {"classifier.1.weight": W})


def test_nested_state_dicts_and_whole_modules(tmp_path, recwarn):
    torch = pytest.importorskip("torch")
    tensors = {"a": torch.ones(2)}
    for number, nested in enumerate(({"state_dict": tensors, "epoch": 3}, {"model": {"state_dict": tensors}}, {"net": tensors})):
        torch.save(nested, tmp_path / f"{number}.pth")
        assert list(imported._torch_arrays(tmp_path / f"{number}.pth")) == ["a"]
    module = torch.nn.Linear(2, 3)
    torch.save(module, tmp_path / "module.pth")
    torch.jit.script(module).save(str(tmp_path / "program.pt"))
    recwarn.clear()
    for name, words in (
        ("module.pth", r"looks like a whole module.*save model\.state_dict"),
        ("program.pt", "looks like a TorchScript program"),
    ):
        with pytest.raises(TrainingError, match=words) as caught:
            imported.load(tmp_path / name)
        assert "\n" not in str(caught.value)
    assert not recwarn.list
    torch.save({"resnet.weight": torch.ones(3)}, tmp_path / "other.pth")
    with pytest.raises(TrainingError, match=r"holds 1 arrays \(resnet\.weight, \.\.\.\)"):
        imported.load(tmp_path / "other.pth")


def test_tensors_that_only_say_they_are_large_and_names_that_are_none(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({"features.0.weight": torch.zeros(1).expand(1 << 40), 3: torch.ones(2)}, tmp_path / "a.pth")
    with pytest.raises(TrainingError, match="a.pth holds features.0.weight, whose numbers are stored once for many"):
        imported.load(tmp_path / "a.pth")
    torch.save({"a": torch.ones(2), 3: torch.ones(2)}, tmp_path / "b.pth")
    with pytest.raises(TrainingError, match=r"holds 1 arrays \(a, \.\.\.\)"):
        imported.load(tmp_path / "b.pth")
