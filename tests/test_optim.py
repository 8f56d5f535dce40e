"""SGD by the numbers of the 2012 rule, and the rules by which its learning rate falls."""

import json
from copy import deepcopy

import numpy as np
import pytest

from minigrad import SGD, Device, Linear, Parameter
from minigrad.optim import LARS, ByEpoch, Constant, LinearDecay, Plateau


def one(name="tower0.conv1.W", value=1.0, grad=0.5):
    return Parameter(name, np.array([[value]]), np.array([[grad]]))


def moved(parameter, lrs, **options):
    """The parameter's number after a step with each of these learning rates."""
    sgd, values = SGD([parameter], **options), []
    for lr in lrs:
        sgd.lr = lr
        sgd.step()
        values.append(parameter.value.item())
    return values


@pytest.mark.parametrize("name", ["W", "conv1.W", "tower0.conv1.W", "b.W", "tower0.web", "tower1.fc.bb"])
def test_two_steps_of_a_weight(name):
    assert moved(one(name), [0.01, 0.01]) == pytest.approx([0.994995, 0.985485525025], rel=0, abs=1e-14)


@pytest.mark.parametrize("name", ["b", "conv1.b", "tower0.conv1.b"])
def test_two_steps_of_a_bias(name):
    assert moved(one(name), [0.01, 0.01]) == pytest.approx([0.99, 0.971], rel=0, abs=1e-14)


def test_the_velocity_keeps_the_rate_it_was_made_with():
    assert moved(one(), [0.01, 0.001]) == pytest.approx([0.994995, 0.994995 - 0.0050049974975], rel=0, abs=1e-14)


def test_a_rate_of_zero_leaves_weight_and_velocity_alone():
    assert moved(one(), [0.0, 0.01, 0.0, 0.0, 0.01]) == pytest.approx([1, *[0.994995] * 3, 0.985485525025], rel=0, abs=1e-14)


def test_a_bias_rate_of_zero_freezes_biases_alone():
    assert moved(one("conv1.b"), [0.01, 0.01], bias_lr=0.0) == [1, 1]
    assert moved(one("conv1.W"), [0.01], bias_lr=0.0) == pytest.approx([0.994995])


def test_rates_and_decays_of_biases_are_arguments():
    options = {"lr": 0.1, "momentum": 0.5, "weight_decay": 0.25, "bias_lr": 3.0, "bias_decay": 0.125}
    weight, bias = one("conv1.W"), one("conv1.b")
    sgd = SGD([weight, bias], **options)
    sgd.step()
    v, vb = -0.1 * (0.5 + 0.25), -0.3 * (0.5 + 0.125)
    assert (weight.value.item(), bias.value.item()) == pytest.approx((1 + v, 1 + vb), abs=1e-14)
    sgd.step()
    v, vb = 0.5 * v - 0.1 * (0.5 + 0.25 * (1 + v)), 0.5 * vb - 0.3 * (0.5 + 0.125 * (1 + vb))
    assert (weight.value.item(), bias.value.item()) == pytest.approx((1 - 0.075 + v, 1 - 0.1875 + vb), abs=1e-14)


def test_the_defaults_are_the_papers():
    sgd = SGD([])
    assert (sgd.lr, sgd.momentum, sgd.weight_decay) == (0.01, 0.9, 5e-4)


@pytest.mark.parametrize("shape", [(1,), (11, 11, 3, 7), (1_100_003,)])
def test_every_element_follows_the_rule(rng, shape):
    w, g1, g2 = (rng.standard_normal(shape).astype(np.float32) for _ in range(3))
    p = Parameter("fc6.W", w.copy(), g1)
    value, sgd = p.value, SGD([p])
    sgd.step()
    p.grad = g2
    sgd.step()
    assert p.value is value and value.dtype == np.float32
    w, g1, g2 = (a.astype(np.float64) for a in (w, g1, g2))
    v = -0.01 * (g1 + 5e-4 * w)
    v2 = 0.9 * v - 0.01 * (g2 + 5e-4 * (w + v))
    np.testing.assert_allclose(value, w + v + v2, rtol=1e-6, atol=1e-6)


def test_gradients_of_any_strides_are_left_alone(rng):
    w, g = rng.standard_normal((5, 7)), np.asfortranarray(rng.standard_normal((5, 7)))
    g.flags.writeable = False
    p = Parameter("fc.W", w.copy(), g)
    SGD([p], weight_decay=0.0).step()
    np.testing.assert_allclose(p.value, w - 0.01 * g, rtol=1e-14)


def test_moves_the_parameters_of_a_layer(rng):
    layer = Linear(3, 2, std=1.0, rng=rng).astype(np.float64)
    sgd, x = SGD(layer.parameters(), lr=0.1, momentum=0.0, weight_decay=0.0), rng.standard_normal((4, 3))
    before = deepcopy(layer)
    layer.forward(x)
    layer.backward(np.ones((4, 2)))
    sgd.step()
    (W, b), (W0, b0) = ([p.value for p in n.parameters()] for n in (layer, before))
    np.testing.assert_allclose(W, W0 - 0.1 * np.tile(x.sum(axis=0)[:, None], 2), rtol=1e-12)
    np.testing.assert_allclose(b, b0 - 0.8)


def test_a_step_before_any_backward_names_the_parameter():
    with pytest.raises(RuntimeError, match="fc.W.*backward"):
        SGD([Parameter("fc.W", np.ones(3))]).step()


@pytest.mark.parametrize("name", ["lr", "momentum", "weight_decay", "bias_lr", "bias_decay"])
@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf")])
def test_numbers_that_make_no_sense_are_refused(name, value):
    with pytest.raises(ValueError, match=f"{name}.*{value}"):
        SGD([one()], **{name: value})


def rates(rule, errors):
    """The learning rate of every epoch, up to the end."""
    lrs = []
    for error in errors:
        if rule.finished:
            break
        lrs.append(rule.lr)
        rule.epoch_ended(error)
    return lrs


def test_constant():
    assert rates(Constant(0.02), [0.5] * 50) == [0.02] * 50


def test_linear_decay():
    assert rates(LinearDecay(0.08, 4), [0.5] * 6) == pytest.approx([0.08, 0.06, 0.04, 0.02, 0.02, 0.02])


def test_by_epoch():
    assert rates(ByEpoch(0.01, [2, 5]), [0.5] * 7) == pytest.approx([0.01] * 2 + [0.001] * 3 + [0.0001] * 2)
    assert rates(ByEpoch(1.0, [3, 1], factor=0.5), [0.5] * 4) == pytest.approx([1, 0.5, 0.5, 0.25])


@pytest.mark.parametrize("epochs, milestones", [(90, [67, 82]), (12, [9, 11]), (8, [6, 7]), (2, [1, 1]), (1, [1, 1])])
def test_three_stages_end_after_three_quarters_and_eleven_twelfths(epochs, milestones):
    assert vars(ByEpoch.in_three_stages(0.02, epochs)) == vars(ByEpoch(0.02, milestones))


@pytest.mark.parametrize("patience", [1, 3, 7])
def test_plateau_divides_by_ten_exactly_three_times_and_ends(patience):
    lrs = rates(Plateau(0.01, patience=patience), [0.9] * 1000)
    assert sorted(set(lrs), reverse=True) == pytest.approx([0.01, 0.001, 1e-4, 1e-5], rel=1e-12)
    assert lrs == sorted(lrs, reverse=True)
    assert lrs == pytest.approx([0.01] * (patience + 1) + [0.001] * patience + [1e-4] * patience + [1e-5] * patience)


def test_plateau_waits_while_the_error_falls():
    rule = Plateau(0.01, patience=2)
    assert set(rates(rule, np.linspace(0.9, 0.1, 100))) == {0.01} and not rule.finished


def test_plateau_compares_with_the_best_error():
    """A worse epoch and then a better one, though not the best, is no progress."""
    rule = Plateau(0.01, patience=3)
    assert rates(rule, [0.5, 0.7, 0.6, 0.55, 0.45, 0.6]) == pytest.approx([0.01] * 4 + [0.001] * 2)


def test_plateau_with_other_numbers():
    rule = Plateau(1.0, patience=1, factor=0.5, times=1)
    assert rates(rule, [0.9] * 10) == [1, 1, 0.5] and rule.finished


@pytest.mark.parametrize(
    "make", [lambda: Constant(0.01), lambda: ByEpoch(0.01, [3, 9]), lambda: LinearDecay(0.01, 7), lambda: Plateau(0.01, patience=2)]
)
@pytest.mark.parametrize("epochs", [0, 1, 4, 7])
def test_a_rule_restored_is_the_rule_that_never_stopped(make, epochs):
    errors = [0.9, 0.8, 0.8, 0.8, 0.7, 0.75, 0.7, 0.72, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7]
    rule, again = make(), make()
    rates(rule, errors[:epochs])
    again.restore(json.loads(json.dumps(rule.state())))
    assert again.lr == rule.lr and again.finished == rule.finished
    expected = rates(rule, errors[epochs:])
    assert rates(again, errors[epochs:]) == expected
    assert again.finished == rule.finished


def test_velocities_follow_the_parameters(rng):
    """An optimiser that was made before the network was converted does what one does that was made after it."""
    results = []
    for before in (True, False):
        layer = Linear(3, 2, rng=np.random.default_rng(0))
        if before:
            sgd = SGD(layer.parameters(), 0.1)
        layer.astype(np.float64)
        if not before:
            sgd = SGD(layer.parameters(), 0.1)
        for seed in range(3):
            x = np.random.default_rng(seed).standard_normal((4, 3))
            layer.backward(layer.forward(x))
            sgd.step()
        results.append(layer.W.copy())
        assert {v.dtype for v in sgd.velocities} == {np.dtype(np.float64)}
    np.testing.assert_array_equal(*results)


def test_a_devices_threads_are_those_that_update(monkeypatch):
    device, asked = Device("cpu", threads=1), []
    layer = Linear(700, 300).to(device)
    sgd = SGD(layer.parameters())
    layer.backward(layer.forward(np.ones((1, 700), np.float32)))
    monkeypatch.setattr(device, "run", lambda work, tasks: asked.append([work(task) for task in tasks]))
    sgd.step()
    assert len(asked) == 1


def test_nothing_moves_if_one_parameter_has_no_gradient():
    one, other = Parameter("w", np.ones(3), np.ones(3)), Parameter("v", np.ones(3))
    with pytest.raises(RuntimeError, match="v has no gradient"):
        SGD([one, other]).step()
    assert (one.value == 1).all()


# ---- LARS


def stepped(optimizer):
    """What a step changes of each parameter."""
    before = [p.value.copy() for p in optimizer.parameters]
    optimizer.step()
    return [p.value - value for p, value in zip(optimizer.parameters, before, strict=True)]


def layer(rng, name, shape, size=1.0):
    """W and b of a layer, with gradients."""
    arrays = [(kind, size * rng.standard_normal(s), rng.standard_normal(s)) for kind, s in (("W", shape), ("b", shape[1:]))]
    return [Parameter(f"tower0.{name}.{kind}", value, grad) for kind, value, grad in arrays]


def test_lars_is_sgd_with_a_rate_for_each_layer():
    """By hand: |W| = 5 and |g| = 10, so lr 2 becomes 2 * 0.01 * 5 / (10 + 0.1 * 5)."""
    W = Parameter("tower0.fc6.W", np.array([[3.0, 0.0], [0.0, 4.0]]), np.array([[0.0, 6.0], [8.0, 0.0]]))
    b = Parameter("tower0.fc6.b", np.array([1.0, 2.0]), np.array([0.5, -1.0]))
    lars = LARS([W, b], lr=2.0, momentum=0.5, weight_decay=0.1, trust=0.01)
    rate, w = 2 * 0.01 * 5 / 10.5, W.value.copy()
    v, vb = stepped(lars)
    np.testing.assert_allclose(v, -rate * (W.grad + 0.1 * w), rtol=0, atol=1e-15)
    np.testing.assert_allclose(vb, -2 * rate * b.grad, rtol=0, atol=1e-15)
    w = W.value.copy()
    size = np.sqrt((w**2).sum())
    rate = 2 * 0.01 * size / (10 + 0.1 * size)
    np.testing.assert_allclose(stepped(lars)[0], 0.5 * v - rate * (W.grad + 0.1 * w), rtol=0, atol=1e-15)


@pytest.mark.parametrize("factor", [1e-6, 1, 1e6])
def test_no_layer_moves_further_than_it_is_trusted_to(rng, factor):
    """Whatever the size of its gradient; without weight decay exactly so far."""
    parameters = [p for name, size in (("conv1", 0.01), ("fc8", 30.0)) for p in layer(rng, name, (700, 60), size)]
    for p in parameters:
        p.grad *= factor
    sizes = [np.linalg.norm(p.value) for p in parameters]
    moves = stepped(LARS(parameters, lr=3.0, weight_decay=0.0, trust=0.01))
    for i in (0, 2):
        assert np.linalg.norm(moves[i]) == pytest.approx(3 * 0.01 * sizes[i])


@pytest.mark.parametrize("nothing", ["value", "grad"])
def test_lars_where_a_norm_is_zero(rng, nothing):
    W, b = layer(rng, "fc6", (4, 5))
    getattr(W, nothing)[...] = 0
    dW, db = stepped(LARS([W, b], lr=1.0, trust=0.25, weight_decay=0.0))
    np.testing.assert_allclose(dW, -0.25 * W.grad)
    np.testing.assert_allclose(db, -0.5 * b.grad)


def test_lars_does_not_depend_on_threads():
    moves = []
    for threads in (1, 3):
        fc = Linear(300, 700, rng=np.random.default_rng(0)).to(Device("cpu", threads=threads))
        fc.backward(fc.forward(np.random.default_rng(1).standard_normal((4, 300), np.float32)))
        moves.append(stepped(LARS(fc.parameters(), lr=5.0)))
    np.testing.assert_array_equal(moves[0][0], moves[1][0])


def test_lars_on_a_gpu_is_that_of_the_cpu(fake_gpus):
    moves = []
    for device in ("cpu", "0"):
        fc = Linear(30, 20, rng=np.random.default_rng(0)).astype("float64").to(device)
        fc.backward(fc.forward(fc.device.asarray(np.random.default_rng(1).standard_normal((4, 30)))))
        lars = LARS(fc.parameters(), lr=5.0)
        lars.step()
        moves.append([fc.device.numpy(p.value) for p in lars.parameters])
    for one, other in zip(*moves, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("trust", [0, -1.0, float("nan"), float("inf")])
def test_a_trust_that_cannot_be_is_refused(trust):
    with pytest.raises(ValueError, match="LARS: trust must be a number above 0"):
        LARS([], trust=trust)
