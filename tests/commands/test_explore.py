"""explore: the file, and the page that a browser makes of it; its numbers are the network's own."""

import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from browser import Browser, programs
from command_line import alexnet, refusal
from PIL import Image

from alexnet import AlexNet
from minigrad import data, training
from minigrad.commands import run as run_command
from minigrad.commands.networks import load_network
from minigrad.layers.base import ImageLayer
from minigrad.network import Network, Variant
from minigrad.plots import explorer
from minigrad.training import load_checkpoint, save_checkpoint
from minigrad.visualise import explain

HOSTILE = ["</script><img src=x onerror=\"document.title='broken'\">", "\"quoted\" & <i>'single'</i> {{numbers}}"]

with_browser = pytest.mark.skipif(
    None in programs(), reason="explore's page is looked at in Chromium: it and chromedriver are not installed"
)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Two photographs that are not square."""
    folder, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(5)
    for name, size in (("first.png", (40, 31)), ("second.jpg", (33, 60))):
        coarse = rng.integers(0, 256, (7, 7, 3)).astype(np.uint8)
        Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(folder / name)
    return [folder / "first.png", folder / "second.jpg"]


@pytest.fixture(scope="module")
def odd_run(run, tmp_path_factory):
    """The run, with classes whose names are HTML."""
    there = load_checkpoint(run)
    config = there.metadata["config"] | {"classes": HOSTILE}
    folder = tmp_path_factory.mktemp("odd")
    save_checkpoint(folder / "checkpoint.safetensors", replace(there, metadata=there.metadata | {"config": config}))
    return folder


@pytest.fixture(scope="module")
def page(odd_run, photos, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "page.html"
    assert alexnet("explore", "--checkpoint", odd_run, "--out", path, *photos) == 0
    return path


@pytest.fixture(scope="module")
def truth(odd_run, photos):
    """The network, and the two photographs as it is fed them."""
    net, checkpoint = load_network(AlexNet, odd_run)
    images = [data.read_fitted(path, *checkpoint.mean.shape[:2]) for path in photos]
    x = np.stack(images).astype(np.float32)
    return net, x - checkpoint.mean


# ---- the file


def test_one_file_that_asks_for_nothing(page, capsys):
    text = page.read_text(encoding="utf-8")
    assert len(text) < 5e6
    assert set(re.findall(r"https?://[^\s\"'`]+", text)) == {"http://www.w3.org/2000/svg"}  # the name of a language
    assert not re.findall(r"<script[^>]+src|<link[^>]+href=\"(?!data:)|@import|url\(", text)
    assert re.findall(r"</?script", text).count("</script") == 3


def test_it_lies_in_the_run_folder_unless_said_otherwise(run, photos, tmp_path, capsys):
    shutil.copytree(run, tmp_path / "run")
    for checkpoint in (tmp_path / "run", tmp_path / "run" / "checkpoint.safetensors"):
        assert alexnet("explore", "--checkpoint", checkpoint, photos[0]) == 0
        assert f"{tmp_path / 'run' / 'explore.html'}: " in capsys.readouterr().out
    assert (tmp_path / "run" / "explore.html").exists()


@pytest.mark.skipif(os.name == "nt" or os.uname().sysname == "Darwin", reason="file names are Unicode here")
def test_a_photograph_with_any_name(run, photos, tmp_path, capsys):
    name = os.fsdecode(b"<b>\xe9\"'&.png")
    shutil.copy(photos[0], tmp_path / name)
    assert alexnet("explore", "--checkpoint", run, "--out", tmp_path / "page.html", tmp_path / name) == 0
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<title>small: &lt;b&gt;\\xe9&quot;&#x27;&amp;.png</title>" in text
    assert r'"\u003cb>\\xe9\"' in text


def test_what_cannot_be_explored(run, photos, tmp_path, capsys):
    (tmp_path / "text.png").write_text("no image")
    assert "text.png" in refusal(capsys, "explore", "--checkpoint", run, photos[0], tmp_path / "text.png")
    assert "--out" in refusal(capsys, "explore", "--checkpoint", run, "--out", tmp_path / "no" / "page.html", photos[0])
    assert "'0'" in refusal(capsys, "explore", "--checkpoint", run, "--channels", "0", photos[0])
    there = load_checkpoint(run)
    huge = {name: value * np.float32(1e30) for name, value in there.values.items()}
    save_checkpoint(tmp_path / "huge.safetensors", replace(there, values=huge))
    said = refusal(capsys, "explore", "--checkpoint", tmp_path / "huge.safetensors", "--out", tmp_path / "page.html", photos[0])
    assert "not finite" in said and not (tmp_path / "page.html").exists()


# ---- the page


def number(text):
    """The number that a text shows: "−1.23·10⁻⁴" is -1.23e-4."""
    text = text.translate(str.maketrans("−⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "--0123456789")).replace("·10", "e")
    return float(text)


def same(text, value):
    """Whether a text shows a number to three digits."""
    digits = float(f"{value:.2e}")
    unit = 10.0 ** (np.floor(np.log10(abs(digits))) - 2) if digits else 0.0
    return abs(number(text) - value) <= 0.5 * unit + 2e-5 * abs(value) + 1e-30


def numbers(browser):
    """{what: the text} of all numbers that the inspector names."""
    script = "return [...document.querySelectorAll('#inspector [data-number]')].map((one) => [one.dataset.number, one.textContent])"
    return dict(browser.run(script))


def choose(browser, name, tower, channel):
    """Click channel `channel` in the picture of all maps of a layer."""
    node, x, y = browser.run(
        """const node = nodes.find((one) => one.name === arguments[0] && one.tower === arguments[1]);
        const atlas = atlases.find((one) => one.node === node);
        const {x, y} = atlas.corner(arguments[2]);
        return [node.id, (x + atlas.width / 2) / atlas.place.clientWidth, (y + atlas.height / 2) / atlas.place.clientHeight]""",
        name,
        tower,
        channel,
    )
    browser.click(f'.atlas[data-node="{node}"]', x, y)
    assert browser.run("return [state.node.id, state.channel]") == [node, channel]


def pick(browser, r, q, H, W):
    """Click a pixel of the enlarged map."""
    browser.click("#inspector [data-keep=map]", (q + 0.5) / W, (r + 0.5) / H)


def layer_by_layer(net, x):
    """{name: (x, y) of both towers}: what goes into each layer of a tower, and what comes out, channels first."""
    found = {}
    for stage in net.towers.stages:
        ends = []
        for t, tower in enumerate(stage):
            y = x
            for name, layer in tower.layers.items():
                before, y = y, layer.infer(y)
                found[name, t] = (before, y)
            ends.append(y)
        x = np.concatenate(ends, axis=-1)
    return found


@with_browser
def test_every_kind_of_layer(page, truth, tmp_path):
    """Opened, clicked through; what is shown is what NumPy makes of the network's weights and of what came before."""
    net, x = truth
    there = layer_by_layer(net, x[:1])
    with Browser(tmp_path) as browser:
        browser.open(page)
        check_convolution(browser, net, there, "conv1", 0, 0, 0, 0)  # in a corner: padding
        check_convolution(browser, net, there, "conv2", 1, 3, 14, 5)
        check_convolution(browser, net, there, "conv4", 0, 3, 4, 5)
        check_relu(browser, there)
        check_norm(browser, net, there)
        check_pooling(browser, there)
        check_dropout(browser, there)
        check_flatten(browser, there)
        check_linear(browser, net, there)
        sent = [text.split(" bytes")[0] for text in browser.texts(".exchange p")]
        assert sent[1:] == ["6,272", "512", "1,024", "1,024", "4"]  # a tower's part of each stage's end, in float32
        assert browser.complaints() == [] and browser.requests() == [page.as_uri()]


def check_convolution(browser, net, there, name, tower, channel, r, q):
    (before, y), layer = there[name, tower], dict(((n, t), one) for _, t, n, one in net.layers())[name, tower]
    choose(browser, name, tower, channel)
    pick(browser, r, q, *y.shape[1:3])
    top, _, left, _ = layer.padding
    K = layer.kernel_size
    padded = np.pad(before[0], ((top, K), (left, K), (0, 0)))
    products = padded[r : r + K, q : q + K] * layer.W[..., channel]
    shown = numbers(browser)
    assert same(shown["value"], y[0, r, q, channel]) and same(shown["own"], y[0, r, q, channel])
    assert same(shown["products"], products.sum(dtype=np.float64)), (name, channel, r, q)
    assert same(shown["bias"], layer.b[channel]) and same(shown["after"], max(0, y[0, r, q, channel]))
    assert same(shown["sum"], products.sum(dtype=np.float64) + layer.b[channel])
    # The patch and the kernel of the input channel that counts most.
    c = int(np.abs(products.sum(axis=(0, 1))).argmax())
    for square, expected in (
        ("patch", padded[r : r + K, q : q + K, c]),
        ("kernel", layer.W[:, :, c, channel]),
        ("products", products[..., c]),
    ):
        cells = browser.texts(f'[data-square="{square}"] span')
        assert len(cells) == K * K and all(map(same, map(plain, cells), expected.ravel())), (name, square)


def plain(cell):
    """A square's number as all others are shown."""
    return re.sub(r"^(−?)\.", r"\g<1>0.", cell).replace("e−", "·10⁻").replace("e+", "·10")


def check_relu(browser, there):
    before, y = there["relu2", 1]
    for r, q in (
        np.unravel_index(before[0, ..., 5].argmin(), before.shape[1:3]),
        np.unravel_index(before[0, ..., 5].argmax(), before.shape[1:3]),
    ):
        choose(browser, "relu2", 1, 5)
        pick(browser, r, q, *y.shape[1:3])
        shown = numbers(browser)
        assert same(shown["before"], before[0, r, q, 5]) and same(shown["after"], y[0, r, q, 5])


def check_norm(browser, net, there):
    before, y = there["norm1", 0]
    layer = net.towers.stages[0][0]["norm1"]
    for channel in (0, 6):  # the first has neighbours on one side alone
        r, q = np.unravel_index(before[0, ..., channel].argmax(), before.shape[1:3])
        choose(browser, "norm1", 0, channel)
        pick(browser, r, q, *y.shape[1:3])
        shown = numbers(browser)
        around = before[0, r, q, max(0, channel - 2) : channel + 3]
        assert all(same(shown[f"x{i + max(0, channel - 2) - channel}"], value) for i, value in enumerate(around))
        s = layer.k + layer.alpha * (around.astype(np.float64) ** 2).sum()
        assert same(shown["squares"], (around.astype(np.float64) ** 2).sum()) and same(shown["s"], s)
        assert same(shown["own"], y[0, r, q, channel]) and same(shown["sum"], before[0, r, q, channel] / s**layer.beta)


def check_pooling(browser, there):
    before, y = there["pool1", 1]
    r, q = 4, 7
    choose(browser, "pool1", 1, 2)
    pick(browser, r, q, *y.shape[1:3])
    window = before[0, 2 * r : 2 * r + 3, 2 * q : 2 * q + 3, 2]
    cells = browser.texts('[data-square="window"] span')
    assert all(map(same, map(plain, cells), window.ravel())) and same(numbers(browser)["winner"], window.max())
    assert browser.run("return Number(document.querySelector('#inspector .winner').dataset.i)") == int(window.argmax())
    assert same(numbers(browser)["own"], y[0, r, q, 2])
    ties = [place for place in np.ndindex(y.shape[1:]) if place[0] > 1 and y[0][place] == 0]  # all nine are 0: the first wins
    r, q, c = ties[len(ties) // 2]
    choose(browser, "pool1", 1, c)
    pick(browser, r, q, *y.shape[1:3])
    assert f"row {2 * r}, column {2 * q}" in " ".join(browser.texts("#inspector .ledger"))


def check_dropout(browser, there):
    before, y = there["drop6", 0]
    choose(browser, "drop6", 0, 17)
    shown = numbers(browser)
    assert same(shown["before"], before[0, 17]) and same(shown["own"], y[0, 17])
    assert number(shown["training"]) == 0 or same(shown["training"], before[0, 17])


def check_flatten(browser, there):
    before, y = there["flatten", 1]
    for unit in (70, 200):
        choose(browser, "flatten", 1, unit)
        r, q, c = np.unravel_index(unit, before.shape[1:])
        assert f"pool5, tower {c // 32}, channel {c % 32}, row {r}, column {q}" in " ".join(browser.texts("#inspector .ledger"))
        assert same(numbers(browser)["before"], before[0, r, q, c]) and same(numbers(browser)["own"], y[0, unit])


def check_linear(browser, net, there):
    before, y = there["fc7", 1]
    layer = net.towers.stages[3][1]["fc7"]
    choose(browser, "fc7", 1, 9)
    products, shown = before[0].astype(np.float64) * layer.W[:, 9], numbers(browser)
    assert same(shown["products"], products.sum()) and same(shown["bias"], layer.b[9]) and same(shown["own"], y[0, 9])
    most = browser.texts("#inspector .contribution .number")
    expected = sorted(products, key=abs, reverse=True)
    assert all(map(same, most, [*expected[:12], sum(expected[12:])]))


@with_browser
def test_classes_backwards_keyboard_theme(page, truth, tmp_path):
    net, x = truth
    p = training.softmax(net.infer(x))
    with Browser(tmp_path, scheme="dark") as browser:
        browser.open(page)
        assert browser.run("return document.documentElement.dataset.theme") == "dark"
        for n in (0, 1):  # the two photographs
            browser.click(f"#photos button:nth-child({n + 1})")
            assert browser.texts("#photograph h2") == [["first.png", "second.jpg"][n]]
            order = np.argsort(-p[n])
            assert browser.texts(".bar .name") == [HOSTILE[k] for k in order]
            shares = [number(text.removesuffix(" %")) for text in browser.texts("[data-number=probability]")]
            np.testing.assert_allclose(shares, 100 * p[n][order], rtol=5.1e-3)
        browser.click(".bar:nth-child(2)")  # the score of a class
        assert same(numbers(browser)["own"], net.infer(x)[1, order[1]]) and HOSTILE[order[1]] in browser.texts("#inspector .channel")[0]
        browser.click("#backwards .choice button:nth-child(2)")
        found = explain(net, x[1:], order[1:2])
        brightest = browser.run("return image().backwards.saliency.most[explained]")
        assert abs(brightest / np.quantile(found.saliency, 0.995) - 1) < 1e-4
        weights = browser.run("return Array.from(arrayAt(image().backwards.weights).slice(64, 128))")
        np.testing.assert_allclose(weights, found.weights[0], rtol=1e-4, atol=1e-9)
        browser.click("#theme")
        browser.click("#scales button:nth-child(2)")
        assert browser.run("return [document.documentElement.dataset.theme, state.ownScale]") == ["light", True]
        check_keyboard(browser)
        assert browser.run("return document.title") == "small: first.png, second.jpg"
        assert browser.complaints() == [] and browser.requests() == [page.as_uri()]


def check_keyboard(browser):
    """From one map to the next, into it, from pixel to pixel, and back."""
    where = "return [state.node.name, state.channel, state.r, state.q]"
    choose(browser, "conv2", 0, 3)
    pick(browser, 6, 6, 15, 15)
    browser.run("atlases.find((one) => one.node === state.node).place.focus()")
    browser.press("ArrowRight")
    assert browser.run(where) == ["conv2", 4, 6, 6]
    browser.press("ArrowDown")
    assert browser.run(where) == ["conv2", 4 + browser.run("return atlases.find((one) => one.node === state.node).columns"), 6, 6]
    browser.press("Enter", "ArrowDown", "ArrowDown", "ArrowLeft")
    assert browser.run(where)[2:] == [8, 5]
    browser.press("Escape")
    assert browser.run("return [inspector.hidden, document.activeElement.className]") == [True, "atlas chosen"]


@with_browser
def test_on_a_phone(page, truth, tmp_path):
    """By touch: the page is as wide as the screen, and what is looked at comes up from below and goes again."""
    net, x = truth
    with Browser(tmp_path, width=390, height=844) as browser:
        browser.open(page)
        assert browser.run("return [innerWidth, document.documentElement.scrollWidth, inspector.hidden]") == [390, 390, True]
        choose(browser, "conv3", 1, 20)
        _, y = layer_by_layer(net, x[:1])["conv3", 1]
        pick(browser, 2, 3, 7, 7)
        assert same(numbers(browser)["value"], y[0, 2, 3, 20])
        left, top, width, height = browser.run("const b = inspector.getBoundingClientRect(); return [b.left, b.top, b.width, b.height]")
        assert (left, width, round(top + height)) == (0, 390, 844) and height < 0.65 * 844
        browser.click("#inspector .close")
        assert browser.run("return inspector.hidden") and browser.complaints() == []


class Averages(ImageLayer):
    """A layer of a student's own, which the page knows nothing of: pairs of columns, and twice as many channels."""

    def output_shape(self, shape):
        return *shape[:2], shape[2] // 2, 2 * shape[3]

    def forward_slab(self, x, first):
        y = (x[:, :, ::2] + x[:, :, 1::2]) / 2
        return np.concatenate([y, -y], axis=-1), None

    def backward_slab(self, dy, kept):
        return np.repeat((dy[..., : dy.shape[3] // 2] - dy[..., dy.shape[3] // 2 :]) / 2, 2, axis=2), ()


class Other(Network):
    """No convolution, a pooling that sees the image, stages of three and two towers."""

    variants = {
        "other": Variant(
            lambda nn, classes: [
                nn.Sequential(pool=nn.MaxPool2d(2, 2), own=Averages(), relu=nn.ReLU()),
                nn.Sequential(flatten=nn.Flatten(), hidden=nn.Linear(3 * 8 * 4 * 6, 7), out=nn.Linear(7, classes)),
            ],
            image_size=16,
            towers=3,
        )
    }


@with_browser
def test_other_networks(photos, tmp_path):
    """Layers that the page does not know, three towers, nothing for Grad-CAM: every layer can still be looked at."""
    net = Other(seed=1)
    config = {"variant": "other", "init": "he", "seed": 1, "num_classes": 10, "classes": list("abcdefghij")}
    values = {p.name: p.value for p in net.parameters()}
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(path, training.Checkpoint(values, {}, np.zeros((16, 16, 3), np.float32), {"config": config}))
    assert run_command(Other, ["explore", "--checkpoint", str(path), str(photos[0])]) == 0
    with Browser(tmp_path) as browser:
        browser.open(tmp_path / "explore.html")
        looked_at = browser.run(
            """return nodes.map((node) => { select(node, ...strongest(node)); return [node.name, inspector.textContent] })"""
        )
        assert [name for name, _ in looked_at][:3] == ["pool", "own", "relu"] and len(looked_at) == 18
        assert "Averages()" in looked_at[1][1] and not any("null" in text or "undefined" in text or "NaN" in text for _, text in looked_at)
        assert len(browser.texts("#backwards .methods figure")) == 4 and browser.complaints() == []


def test_scripts_and_style_are_all_in_the_page():
    folder = Path(explorer.__file__).parent
    assert {path.name for path in folder.glob("*.js")} == set(explorer.SCRIPTS)
