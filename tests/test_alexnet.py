"""AlexNet: the counts, names, shapes and bytes of the network of 2012, and what its towers must never do."""

import io
from copy import deepcopy

import numpy as np
import pytest
from naive import relative_error

from alexnet import AlexNet
from minigrad import SGD, SoftmaxCrossEntropy, data, training
from minigrad.commands.summary import summary

LAYERS = ["conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8"]
FULLY_CONNECTED = [37_752_832, 16_781_312, 4_097_000]
PARAMETERS = {
    "paper": (60_965_224, [34_944, 307_456, 885_120, 663_936, 442_624, *FULLY_CONNECTED]),
    "one-tower": (62_378_344, [34_944, 614_656, 885_120, 1_327_488, 884_992, *FULLY_CONNECTED]),
    "owt": (61_100_840, [23_296, 307_392, 663_936, 884_992, 590_080, *FULLY_CONNECTED]),
    "half": (59_798_312, [17_472, 153_728, 221_376, 331_968, 442_624, *FULLY_CONNECTED]),
}


def pixels(seed, N, size, dtype=np.float32):
    """Images like those of 0 to 255 after the mean has been subtracted."""
    return (60 * np.random.default_rng(seed).standard_normal((N, size, size, 3))).clip(-128, 127).astype(dtype)


def counts(net):
    """Parameters of each layer, towers together."""
    found = {}
    for p in net.parameters():
        layer = p.name.split(".")[1]
        found[layer] = found.get(layer, 0) + p.value.size
    return found


def names(towers):
    return [f"tower{t}.{layer}.{kind}" for layer in LAYERS for t in range(towers) for kind in "Wb"]


def small(device="cpu", dtype=np.float32, **options):
    return AlexNet(**({"variant": "small", "num_classes": 10} | options), device=device).astype(dtype)


@pytest.fixture(scope="module")
def paper():
    """The paper's network after a training forward and backward of four images, its logits and what backward returned."""
    net, loss = AlexNet(), SoftmaxCrossEntropy()
    logits = net.forward(pixels(0, 4, 224))
    loss.forward(logits, np.array([0, 499, 500, 999]))
    return net, logits, net.backward(loss.backward())


def test_paper_parameters(paper):
    net = paper[0]
    total, layers = PARAMETERS["paper"]
    assert net.num_parameters() == total
    assert list(counts(net).values()) == layers
    tower0 = [p for p in net.parameters() if p.name.startswith("tower0")]
    assert sum(p.value.size for p in tower0 if p.name.endswith("W")) == 30_477_328
    assert sum(p.value.size for p in tower0 if p.name.endswith("b")) == 5_284


@pytest.mark.parametrize("variant", ["one-tower", "owt", "half"])
def test_relatives(variant):
    net = AlexNet(variant)
    total, layers = PARAMETERS[variant]
    assert net.num_parameters() == total
    assert counts(net) == dict(zip(LAYERS, layers, strict=True))
    assert [p.name for p in net.parameters()] == names(1)
    net.eval()
    assert net.forward(pixels(0, 1, 224)).shape == (1, 1000)


@pytest.mark.parametrize(
    "variant, macs, neurons",
    [
        ("paper", "724,406,816", "659,272"),
        ("one-tower", "1,135,256,096", "659,272"),
        ("owt", "714,188,480", "494,184"),
        ("half", "391,514,384", "355,864"),
    ],
)
def test_summary_adds_up_multiplications_and_neurons(variant, macs, neurons):
    out = io.StringIO()
    summary(AlexNet(variant), out)
    total = next(line for line in out.getvalue().splitlines() if line.startswith("total"))
    assert total.split()[1:3] == [f"{PARAMETERS[variant][0]:,}", macs]
    assert f" {neurons} neurons" in out.getvalue()


def test_paper_names_and_shapes(paper):
    values = {p.name: p.value for p in paper[0].parameters()}
    assert list(values) == names(2)
    shapes = [
        (11, 11, 3, 48),
        (5, 5, 48, 128),
        (3, 3, 256, 192),
        (3, 3, 192, 192),
        (3, 3, 192, 128),
        (9216, 2048),
        (4096, 2048),
        (4096, 500),
    ]
    for tower in ("tower0", "tower1"):
        assert [values[f"{tower}.{layer}.W"].shape for layer in LAYERS] == shapes
        assert [values[f"{tower}.{layer}.b"].shape for layer in LAYERS] == [shape[-1:] for shape in shapes]
    assert {value.dtype for value in values.values()} == {np.dtype(np.float32)}


def test_paper_starts_from_the_numbers_of_2012(paper):
    stds = (0.01, 0.01, 0.03, 0.03, 0.03, 0.01, 0.01, 0.01)
    biases = (0, 1, 0, 1, 1, 1, 1, 0)
    values = {p.name: p.value for p in paper[0].parameters()}
    for tower in ("tower0", "tower1"):
        for layer, std, bias in zip(LAYERS, stds, biases, strict=True):
            W = values[f"{tower}.{layer}.W"]
            assert abs(W.std() / std - 1) < 5 / (2 * W.size) ** 0.5
            assert (values[f"{tower}.{layer}.b"] == bias).all()


def test_towers_do_not_start_as_twins(paper):
    values = {p.name: p.value for p in paper[0].parameters()}
    for layer in LAYERS:
        a, b = values[f"tower0.{layer}.W"].ravel()[:1000], values[f"tower1.{layer}.W"].ravel()[:1000]
        assert abs(np.corrcoef(a, b)[0, 1]) < 0.2


def test_first_loss(paper):
    """ln 1000 = 6.9078 and half the variance of the logits; ln 500 = 6.21 would be a softmax over one tower's classes.

    Every class is the label once: the logits of all images are nearly alike, so few labels would say little about the mean."""
    _, logits, _ = paper
    assert logits.shape == (4, 1000) and logits.dtype == np.float32
    assert 6.9 < SoftmaxCrossEntropy().forward(np.repeat(logits, 250, axis=0), np.arange(1000)) < 7.25


def test_bytes_exchanged(paper):
    """Each tower sends 121,344 an image in each direction; tower 1 also 500 logits, and gets their gradients."""
    towers = paper[0].towers
    assert towers.bytes_forward == towers.bytes_backward == 4 * (2 * 121_344 + 4 * 500)


def test_every_gradient_is_there_and_the_images_have_none(paper):
    net, _, dx = paper
    assert dx is None
    for p in net.parameters():
        assert p.grad.shape == p.value.shape and p.grad.dtype == np.float32
        assert np.isfinite(p.grad).all() and p.grad.any(), p.name


def test_how_much_of_the_images_reaches_the_logits(paper):
    """The spread of a logit across images at test time, for coarse images: alive with the stds of 2012, dead with the paper's own
    on pixels of unit std."""
    x = np.random.default_rng(0).standard_normal((4, 8, 8, 3)).repeat(28, axis=1).repeat(28, axis=2).astype(np.float32)
    net = deepcopy(paper[0]).eval()
    assert net.forward(60 * x).std(axis=0).mean() > 0.01
    for p in net.parameters():
        if p.name.split(".")[1] in ("conv3", "conv4", "conv5") and p.name.endswith("W"):
            p.value[...] /= 3  # init "paper"
    assert net.forward(x).std(axis=0).mean() < 0.0001


def test_equals_two_groups_on_one_device(paper):
    """The reference is PyTorch's: grouped convolutions, a norm for each group, rows of fc6 by row, column and channel."""
    torch = pytest.importorskip("torch")
    F = torch.nn.functional
    net, loss, x, labels = deepcopy(paper[0]).eval(), SoftmaxCrossEntropy(), pixels(1, 2, 224), np.array([3, 996])
    logits = net.forward(x)
    value = loss.forward(logits, labels)
    net.backward(loss.backward())
    weights = {p.name: torch.tensor(p.value, requires_grad=True) for p in net.parameters()}

    def of_both(layer, kind):
        return torch.cat([weights[f"tower{t}.{layer}.{kind}"] for t in range(2)], dim=-1)

    def conv(h, layer, groups, **options):
        return F.relu(F.conv2d(h, of_both(layer, "W").permute(3, 2, 0, 1), of_both(layer, "b"), groups=groups, **options))

    def norm(h):
        return torch.cat([F.local_response_norm(part, 5, alpha=5e-4, beta=0.75, k=2.0) for part in h.chunk(2, dim=1)], dim=1)

    h = F.pad(torch.tensor(x).permute(0, 3, 1, 2), (0, 3, 0, 3))
    h = F.max_pool2d(norm(conv(h, "conv1", 1, stride=4)), 3, 2)
    h = F.max_pool2d(norm(conv(h, "conv2", 2, padding=2)), 3, 2)
    for layer, groups in (("conv3", 1), ("conv4", 2), ("conv5", 2)):
        h = conv(h, layer, groups, padding=1)
    h = F.max_pool2d(h, 3, 2).permute(0, 2, 3, 1).flatten(1)
    for layer in ("fc6", "fc7"):
        h = 0.5 * F.relu(h @ of_both(layer, "W") + of_both(layer, "b"))
    h = h @ of_both("fc8", "W") + of_both("fc8", "b")
    expected = F.cross_entropy(h, torch.tensor(labels))
    expected.backward()
    assert relative_error(logits, h.detach().numpy()) < 1e-5
    assert value == pytest.approx(expected.item(), rel=1e-5)
    for p in net.parameters():  # rounding may turn a tie of a pool or a kink, and with it one number of a sum
        assert relative_error(p.grad, weights[p.name].grad.numpy()) < 1e-3, p.name


def test_small_takes_28_to_32_pixels():
    net = small()
    assert net.num_parameters() <= 5_000_000
    assert [p.name for p in net.parameters()] == names(2)
    for size in (28, 31, 32):
        assert net.forward(pixels(0, 3, size)).shape == (3, 10)
        assert net.backward(np.ones((3, 10), np.float32)) is None
        assert all(p.grad.any() for p in net.parameters())


@pytest.mark.parametrize("shape", [(2, 27, 27, 3), (2, 33, 33, 3), (2, 32, 32, 4), (32, 32, 3), (2, 224, 224, 3)])
def test_small_refuses_other_images(shape):
    with pytest.raises(ValueError, match="small.*28.*32") as error:
        small().forward(np.zeros(shape, np.float32))
    assert str(shape) in str(error.value)


def test_integer_images_are_refused():
    with pytest.raises(TypeError, match="uint8"):
        small().forward(np.zeros((1, 32, 32, 3), np.uint8))


def ten_steps(device, dtype):
    net, loss = small(device, dtype), SoftmaxCrossEntropy()
    sgd, losses = SGD(net.parameters(), lr=0.001), []
    for step in range(10):
        losses.append(loss.forward(net.forward(pixels(step, 6, 32, dtype)), np.arange(6)))
        net.backward(loss.backward())
        sgd.step()
    return losses, {p.name: p.value for p in net.parameters()}


@pytest.mark.parametrize("dtype, tolerance", [(np.float32, 1e-6), (np.float64, 1e-12)])
def test_ten_steps_on_one_device_and_on_two(dtype, tolerance):
    (losses, one), (others, two) = ten_steps("cpu", dtype), ten_steps("cpu,cpu", dtype)
    np.testing.assert_allclose(losses, others, rtol=tolerance)
    start = {p.name: p.value for p in small(dtype=dtype).parameters()}
    for name, value in one.items():
        assert relative_error(value, two[name]) < tolerance
        assert (value != start[name]).any(), f"{name} has not moved"


def test_gradients_of_the_whole_network():
    """Along a random direction of each tower's weights before the exchange, in float64."""
    net, loss, rng = small(dtype=np.float64, num_classes=7).eval(), SoftmaxCrossEntropy(), np.random.default_rng(1)
    x, labels = pixels(0, 2, 32, np.float64), np.array([0, 6])
    loss.forward(net.forward(x), labels)
    net.backward(loss.backward())
    gradients = {p.name: p.grad for p in net.parameters()}
    checked = ("tower0.conv1.W", "tower1.conv1.W", "tower0.conv2.W", "tower1.conv2.b", "tower1.conv5.W", "tower0.fc6.W", "tower1.fc8.b")
    for p in (p for p in net.parameters() if p.name in checked):
        value, direction, h = p.value.copy(), rng.standard_normal(p.value.shape), 1e-7
        p.value[...] = value + h * direction
        above = loss.forward(net.forward(x), labels)
        p.value[...] = value - h * direction
        difference = (above - loss.forward(net.forward(x), labels)) / (2 * h)
        p.value[...] = value
        assert difference == pytest.approx((gradients[p.name] * direction).sum(), rel=1e-5), p.name


def test_every_dropout_draws_masks_of_its_own():
    towers = [tower for stage in small().towers.stages for tower in stage]
    drops = [layer for tower in towers for name, layer in tower.layers.items() if name in ("drop6", "drop7")]
    masks = [layer.forward(np.ones((2, 200), np.float32)) > 0 for layer in drops]
    assert len(masks) == 4
    for i, a in enumerate(masks):
        for b in masks[:i]:
            assert abs((a == b).mean() - 0.5) < 5 * 0.5 / a.size**0.5


def test_training_drops_and_testing_does_not():
    net, x = small(), pixels(0, 3, 32)
    assert (net.forward(x) != net.forward(x)).any()
    assert net.eval() is net
    np.testing.assert_array_equal(net.forward(x), net.forward(x))
    assert net.train() is net
    assert (net.forward(x) != net.forward(x)).any()


def test_the_seed_decides_weights_and_masks():
    x = pixels(0, 3, 32)
    a, b, c = (small(seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(a.forward(x), b.forward(x))
    for p, q in zip(a.parameters(), c.parameters(), strict=True):
        assert p.name.endswith("b") or (p.value != q.value).mean() > 0.99


@pytest.mark.parametrize("classes", [2, 7, 101])
def test_any_number_of_classes(classes):
    net = small(num_classes=classes)
    assert net.forward(pixels(0, 1, 32)).shape == (1, classes)
    widths = [p.value.size for p in net.parameters() if p.name.endswith("fc8.b")]
    assert len(widths) == 2 and sum(widths) == classes


@pytest.mark.parametrize("init", ["2012", "paper", "caffe", "he"])
def test_every_init_has_its_biases_and_scaling(init):
    net = small(init=init)
    biases = {
        "2012": (0, 1, 0, 1, 1, 1, 1, 0),
        "paper": (0, 1, 0, 1, 1, 1, 1, 0),
        "caffe": (0, 0.1, 0, 0.1, 0.1, 0.1, 0.1, 0),
        "he": (0,) * 8,
    }
    for p in net.parameters():
        if p.name.endswith("b"):
            assert (p.value == np.float32(biases[init][LAYERS.index(p.name.split(".")[1])])).all()
    drop = net.towers.stages[2][0]["drop6"]
    assert drop.scale_at == ("test" if init in ("2012", "paper") else "train") and drop.p == 0.5


def test_copies_share_nothing():
    net, x, dlogits = small(), pixels(0, 2, 32), np.ones((2, 10), np.float32)
    copy = deepcopy(net)
    logits = net.forward(x)
    net.backward(dlogits)
    for p in net.parameters():
        p.value[...] = 0
    np.testing.assert_array_equal(copy.forward(x), logits)
    copy.backward(dlogits)
    for p, q in zip(net.parameters(), copy.parameters(), strict=True):
        np.testing.assert_array_equal(p.grad, q.grad)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"variant": "vgg"}, "'vgg'.*paper.*one-tower.*owt.*half.*small"),
        ({"init": "xavier"}, "'xavier'.*2012.*paper.*caffe.*he"),
        ({"device": "tpu"}, "tpu.*'cpu'.*'cpu,cpu'"),
        ({"device": "cpu,tpu"}, "tpu.*'cpu'.*'cpu,cpu'"),
        ({"device": "cpu,cpu,cpu"}, r"\b3\b.*\b2\b"),
        ({"num_classes": 1}, "num_classes.*1"),
    ],
)
def test_what_does_not_exist_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        small(**options)


def test_small_learns_64_images_by_heart():
    dataset = data.load("fashion-mnist", size=32)
    net, loss = AlexNet("small", num_classes=10, init="he"), SoftmaxCrossEntropy()
    mean = data.mean_image(dataset.train_images)
    loader = data.Loader(dataset.train_images[:64], dataset.train_labels[:64], 32, mean=mean, size=28, shuffle=True, scale=net.input_scale)
    optimizer, error = SGD(net.parameters(), 0.01), 1
    for epoch in range(100):
        net.train()
        for x, labels in loader.batches(epoch):
            loss.forward(net.forward(x), labels)
            net.backward(loss.backward())
            optimizer.step()
        if epoch % 5 == 4:
            error = training.evaluate(net, loss, loader.batches(0))[1]
        if error == 0:
            break
    assert error == 0
