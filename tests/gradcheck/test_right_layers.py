"""Right layers pass, at whatever input: the library's own, and every other way to write them, at kinks, ties and extremes."""

import pickle

import numpy as np
import pytest
from gradcheck_layers import (
    IMAGES,
    LABELS,
    BandLRN,
    CumulativeLRN,
    Exchange,
    ImageByImageConv,
    InclusiveReLU,
    LastPool,
    LogSumExpLoss,
    LoopConv,
    Plain,
    PlainDropout,
    PlainLinear,
    PlainLRN,
    PlainPool,
    PlainReLU,
    ReusingReLU,
    SharedPool,
    TensordotConv,
    equal,
    extreme,
    kinked,
    large,
    nearly_tied,
    rng,
    tied,
)

from minigrad import Conv2d, Dropout, Flatten, Linear, LocalResponseNorm, MaxPool2d, ReLU, Sequential, SoftmaxCrossEntropy, Tanh, Towers
from minigrad.device import CPU
from minigrad.gradcheck import CHECKS, check_layer, kink_free

ALL = CHECKS + ("alias", "errors")


def conv(*arguments, **options):
    return lambda: Conv2d(*arguments, **options, rng=rng(1))


def dropout(*arguments, training=True, **options):
    return lambda: Dropout(*arguments, **options, rng=rng(1)).train(training)


def sequential():
    return Sequential(
        conv1=Conv2d(2, 3, 3, stride=2, padding=(1, 0, 2, 1)),
        relu1=ReLU(),
        norm1=LocalResponseNorm(3, 0.5, 0.75, 1.0),
        pool1=MaxPool2d(2, 1),
        drop1=Dropout(0.4, rng=rng(1)),
        flatten=Flatten(),
        fc2=Linear(12, 4),
        tanh2=Tanh(),
    )


def exchanging(T, C):
    """T towers with C channels each; the second stage sees the channels of all."""
    first = [Sequential(conv1=Conv2d(2, C, 3, padding=1), tanh1=Tanh(), pool1=MaxPool2d(3, 2)) for _ in range(T)]
    second = [Sequential(conv2=Conv2d(T * C, C, 2), relu2=ReLU()) for _ in range(T)]
    return Towers([first, second], [CPU])


def tiny_net():
    """The stages of the network of 2012, two towers, with channels to be counted on one hand."""

    def apart(t):
        conv1 = Conv2d(2, 2, 3, stride=2, padding=(0, 1, 0, 1))
        return Sequential(conv1=conv1, relu1=ReLU(), norm1=LocalResponseNorm(5, 0.5, 0.75, 1.0), pool1=MaxPool2d(3, 1))

    def together(t):
        return Sequential(conv3=Conv2d(4, 2, 2, padding=(1, 0, 0, 1)), relu3=ReLU(), flatten=Flatten())

    def fully(t):
        return Sequential(fc6=Linear(8, 3), relu6=ReLU(), drop6=Dropout(0.5, rng=rng(t)))

    def last(t):
        return Sequential(fc8=Linear(6, 2))

    return Towers([[part(t) for t in (0, 1)] for part in (apart, together, fully, last)], [CPU])


LIBRARY = {
    "conv": (conv(3, 4, 3), (3, 5, 6, 3)),
    "conv, stride 2": (conv(2, 5, 3, stride=2, padding=1), (3, 7, 6, 2)),
    "conv, stride 3": (conv(2, 4, 2, stride=3), (3, 8, 6, 2)),
    "conv, four paddings": (conv(2, 5, 3, stride=2, padding=(1, 0, 2, 1)), (3, 7, 6, 2)),
    "conv, overhang": (conv(2, 4, 5, stride=2, padding=(0, 3, 0, 3)), (1, 8, 6, 2)),
    "conv, as large as the image": (conv(2, 5, 4), (3, 4, 4, 2)),
    "conv, 1 x 1": (conv(4, 5, 1), (3, 3, 2, 4)),
    "linear": (lambda: Linear(5, 4), (3, 5)),
    "linear, one image": (lambda: Linear(5, 4), (1, 5)),
    "relu": (ReLU, (3, 5)),
    "relu of images": (ReLU, (3, 4, 5, 2)),
    "tanh": (Tanh, (3, 4, 2)),
    "lrn": (lambda: LocalResponseNorm(5, 0.5, 0.75, 1.0), (3, 2, 1, 7)),
    "lrn, another beta": (lambda: LocalResponseNorm(3, 0.5, 0.6, 1.0), (3, 7)),
    "lrn, fewer channels than the window": (lambda: LocalResponseNorm(9, 0.5, 0.75, 1.0), (3, 2, 4)),
    "lrn, the paper's constants": (LocalResponseNorm, (3, 2, 1, 7)),
    "pool 3/2": (MaxPool2d, (3, 8, 6, 2)),
    "pool 2/2": (lambda: MaxPool2d(2, 2), (3, 5, 6, 2)),
    "pool 3/1": (lambda: MaxPool2d(3, 1), (1, 5, 6, 2)),
    "pool 2/3": (lambda: MaxPool2d(2, 3), (3, 8, 6, 2)),
    "dropout": (dropout(0.3), (3, 5)),
    "dropout, testing": (dropout(0.3, training=False), (3, 5)),
    "dropout, scaled in training": (dropout(0.3, scale_at="train"), (3, 2, 4)),
    "dropout, scaled in training, testing": (dropout(0.3, scale_at="train", training=False), (3, 5)),
    "flatten": (Flatten, (3, 2, 5, 4)),
    "sequential": (sequential, (3, 7, 5, 2)),
    "sequential, testing": (lambda: sequential().eval(), (3, 7, 5, 2)),
    "two towers of two channels": (lambda: exchanging(2, 2), (3, 5, 5, 2)),
    "three towers of one": (lambda: exchanging(3, 1), (1, 6, 5, 2)),
}


@pytest.mark.parametrize("make, shape", LIBRARY.values(), ids=LIBRARY)
def test_library_layers_pass_all_six_checks(make, shape):
    report = check_layer(make, shape, checks=ALL)
    assert report.ok, str(report)
    assert report.kinks == 0 and report.notes == () and report.findings == () and report.cause == ""
    assert {entry.method for entry in report.entries} == {"elements"}
    assert {entry.tensor for entry in report.entries} == {"x"} | {p.name for p in make().parameters()}
    assert {entry.draw for entry in report.entries} == {0, 1}
    assert all(entry.worst_error < 1e-8 and entry.wrong == 0 for entry in report.entries)


@pytest.mark.parametrize("training", [True, False])
def test_every_parameter_of_a_tiny_network_passes_all_six_checks(training):
    report = check_layer(lambda: tiny_net().train(training), (3, 8, 6, 2), wrt_x=False, checks=ALL)
    assert report.ok and report.kinks == 0 and report.notes == (), str(report)
    assert {entry.tensor for entry in report.entries} == {p.name for p in tiny_net().parameters()}
    assert {entry.method for entry in report.entries} == {"elements"}


def test_the_loss_passes_all_six_checks():
    report = check_layer(SoftmaxCrossEntropy, (3, 7), np.array([4, 0, 6]), checks=ALL)
    assert report.ok and report.kinks == 0 and report.notes == (), str(report)
    assert [entry.shape for entry in report.entries] == [(3, 7), (2, 7)]


def test_a_layer_is_copied_and_stays_as_it_is():
    layer, x = Sequential(conv1=Conv2d(2, 3, 2), drop1=Dropout(0.4), flatten=Flatten(), fc2=Linear(6, 2)), kink_free((3, 2, 3, 2), rng())
    layer.forward(x.astype(np.float32))
    before, kept = pickle.dumps(layer.__dict__), x.copy()
    assert check_layer(layer, x, checks=ALL).ok
    assert pickle.dumps(layer.__dict__) == before
    np.testing.assert_array_equal(x, kept)


RIGHT = {
    "conv by loops": (lambda: LoopConv(1, 2, 2, 2, (1, 0, 0, 1)), (2, 3, 4, 1), kink_free, ()),
    "conv by tensordot": (TensordotConv, IMAGES, kink_free, ()),
    "conv by images": (ImageByImageConv, (3, 5, 4, 2), kink_free, ()),
    "conv of a tied image": (TensordotConv, (3, 5, 4, 2), equal, ()),
    "linear": (PlainLinear, (3, 5), kink_free, ()),
    "linear of one number": (lambda: PlainLinear(1, 1), (1, 1), kink_free, ()),
    **{
        f"{make.__name__}, {kind.__name__}": (make, (3, 5), kind, ())
        for make, kind in [(m, k) for m in (ReLU, PlainReLU, InclusiveReLU, ReusingReLU) for k in (kink_free, kinked)]
    },
    **{
        f"{make.__name__}, {kind.__name__}": (make, shape, kind, ())
        for make in (MaxPool2d, PlainPool, LastPool, SharedPool)
        for kind, shape in ((tied, (3, 5, 4, 1)), (nearly_tied, (2, 5, 6, 1)), (equal, (2, 5, 3, 1)))
    },
    "pool with gaps, tied": (lambda: MaxPool2d(2, 3), (2, 8, 5, 1), tied, ()),
    "pool 3/1, tied": (lambda: MaxPool2d(3, 1), (2, 5, 4, 1), tied, ()),
    **{
        f"{make.__name__}, {kind.__name__}": (make, (3, 2, 1, 7), kind, ())
        for make in (PlainLRN, BandLRN, CumulativeLRN)
        for kind in (kink_free, tied)
    },
    "lrn of large numbers": (lambda: LocalResponseNorm(5, 1e-4, 0.75, 2.0), (3, 2, 1, 7), large, ()),
    "lrn of zeros": (lambda: LocalResponseNorm(5, 0.5, 0.75, 1.0), (2, 7), lambda shape, rng: np.zeros(shape), ()),
    "loss": (LogSumExpLoss, (3, 7), kink_free, LABELS),
    "loss of extreme logits": (LogSumExpLoss, (3, 7), extreme, LABELS),
    "the library's loss of extreme logits": (SoftmaxCrossEntropy, (3, 7), extreme, LABELS),
    "loss of one class": (SoftmaxCrossEntropy, (3, 1), kink_free, (np.zeros(3, int),)),
    "loss of one image and one class": (SoftmaxCrossEntropy, (1, 1), kink_free, (np.zeros(1, int),)),
    "dropout of one number": (lambda: Dropout(0.5, rng=rng(1)), (1, 1), kink_free, ()),
    "another dropout of one number": (lambda: Dropout(0.5, rng=rng(2)), (1, 1), kink_free, ()),
    "a relu network at kinks": (lambda: Sequential(relu1=ReLU(), pool1=MaxPool2d(2, 1), norm1=LocalResponseNorm()), IMAGES, kinked, ()),
    "plain dropout, never before forward": (PlainDropout, (3, 5), kink_free, ()),
    "exchange": (Exchange, (2, 3, 4), kink_free, ()),
    "one axis": (PlainReLU, (7,), kink_free, ()),
}


def false_alarms(name, seeds):
    make, shape, kind, args = RIGHT[name]
    reports = [check_layer(make, kind(shape, rng(seed)), *args, seed=seed) for seed in seeds]
    return [str(report) for report in reports if not report.ok]


@pytest.mark.parametrize("name", RIGHT)
def test_right_layers_pass_at_kinks_ties_and_extremes(name):
    assert not false_alarms(name, range(2 if "loops" in name or "images" in name else 5))


@pytest.mark.slow
@pytest.mark.parametrize("name", RIGHT)
def test_right_layers_pass_for_fifty_seeds(name):
    assert not false_alarms(name, range(50))


def test_ties_that_float32_makes_are_no_finding_and_no_note():
    report = check_layer(PlainPool, nearly_tied(IMAGES, rng()))
    assert report.ok and not any("rounding" in note for note in report.notes)


@pytest.mark.parametrize("make", [ReLU, InclusiveReLU])
def test_kinks_are_counted_and_noted(make):
    report = check_layer(make, kinked((3, 5), rng()))
    assert report.kinks == sum(entry.kinks for entry in report.entries) >= 8
    assert "6 of 15 elements stand at kinks" in report.notes[0]
    assert "5 kinks" in str(report)


def test_layers_on_torch_autograd_pass():
    """A layer whose backward is torch's: what the checker says of it says something about the checker."""
    torch = pytest.importorskip("torch")

    class Autograd(Plain):
        def forward(self, x):
            self.x = torch.tensor(np.ascontiguousarray(x), requires_grad=True)
            self.y = torch.nn.functional.gelu(self.x) * torch.softmax(self.x, -1)
            return self.y.detach().numpy().copy()

        def backward(self, dy):
            return torch.autograd.grad(self.y, self.x, torch.tensor(np.ascontiguousarray(dy)), retain_graph=True)[0].numpy().copy()

        def __deepcopy__(self, memo):
            return type(self)()

    report = check_layer(Autograd, (3, 5), checks=CHECKS + ("alias",))
    assert report.ok and report.kinks == 0, str(report)
